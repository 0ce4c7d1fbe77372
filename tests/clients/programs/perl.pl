# Redis.pm, or Redis::Fast, which has the same methods on top of hiredis: named by CLIENT_MODULE.

use strict;
use warnings;

my $module = $ENV{CLIENT_MODULE} || "Redis";
eval "require $module" or die $@;
my ($mode, $host, $port, $prefix) = @ARGV;
sub connected { $module->new(server => "$host:$port", encoding => undef) }
my $client = connected();

sub key { "$prefix:$_[0]" }
sub tell_line { print "$_[0]=$_[1]\n" }

tell_line(ping => $client->ping);
$client->set(key("binary"), pack("H*", "61000d0aff242a"));
tell_line(binary => unpack("H*", $client->get(key("binary"))));
tell_line(missing => defined $client->get(key("missing")) ? "something" : "nil");
my $last;
$client->incr(key("counter"), sub { $last = $_[0] }) for 1 .. 1000;
$client->wait_all_responses;
tell_line(pipeline => $last);
$client->hmset(key("hash"), a => 1, b => 2);
my %fields = $client->hgetall(key("hash"));
tell_line(hash => join ",", map { "$_=$fields{$_}" } sort keys %fields);
$client->rpush(key("list"), 1, 2, 3);
tell_line(list => join ",", $client->lrange(key("list"), 0, -1));
$client->zadd(key("zset"), 1, "one", 2.5, "two");
my @scores = $client->zrange(key("zset"), 0, -1, "WITHSCORES");
tell_line(zset => "$scores[0]=$scores[1],$scores[2]=$scores[3]");
$client->sadd(key("set"), "x", "y");
tell_line(set => join ",", sort $client->smembers(key("set")));
$client->multi;
$client->set(key("number"), 1);
$client->incr(key("number"));
tell_line(transaction => join ",", $client->exec);
my $source = "return {ARGV[1], tonumber(ARGV[2]) + 1}";
my @said = $client->eval($source, 1, key("script"), "seven", 7);
tell_line(script => join ",", map { ref $_ ? @$_ : $_ } @said);
eval { $client->incr(key("list")) };
tell_line(error => $@ =~ /(WRONGTYPE)/ ? $1 : $@);
$client->setex(key("fleeting"), 100, 1);
tell_line(ttl => $client->ttl(key("fleeting")));
$client->rpush(key("queue"), "job");
tell_line(queue => ($client->blpop(key("queue"), 1))[1]);
$client->set(key("m:1"), 1);
$client->set(key("m:3"), 3);
tell_line(mget => join ",", map { $_ // "nil" } $client->mget(map { key("m:$_") } 1 .. 3));
$client->set(key("big"), "x" x (1 << 20));
tell_line(big => length $client->get(key("big")));
$client->set(key("spread:$_"), $_) for 0 .. 499;
tell_line(spread => scalar grep { $client->get(key("spread:$_")) eq $_ } 0 .. 499);
my $heard;
my $subscriber = connected();
$subscriber->subscribe(key("channel"), sub { $heard = $_[0] });
$client->publish(key("channel"), "hello");
$subscriber->wait_for_messages(1) until defined $heard;
tell_line(pubsub => $heard);
