<?php
// Predis, written in PHP.

require "Predis/autoload.php";
[, $mode, $host, $port, $prefix] = $argv;
$cluster = $mode === "cluster";
$client = $cluster
    ? new Predis\Client(["tcp://$host:$port"], ["cluster" => "redis"])
    : new Predis\Client("tcp://$host:$port");

function tell(string $name, $value): void { echo "$name=$value\n"; }
function key_of(string $name): string { global $prefix; return "$prefix:$name"; }

if (!$cluster) {
    tell("ping", $client->ping());
    $replies = $client->pipeline(function ($pipeline) {
        for ($n = 0; $n < 1000; $n++) {
            $pipeline->incr(key_of("counter"));
        }
    });
    tell("pipeline", $replies[999]);
    [$done, $number] = $client->transaction(fn ($t) => $t->set(key_of("number"), 1)->incr(key_of("number")));
    tell("transaction", "$done,$number");
}
$client->set(key_of("binary"), hex2bin("61000d0aff242a"));
tell("binary", bin2hex($client->get(key_of("binary"))));
tell("missing", $client->get(key_of("missing")) === null ? "nil" : "something");
$client->hmset(key_of("hash"), ["a" => 1, "b" => 2]);
$fields = $client->hgetall(key_of("hash"));
ksort($fields);
tell("hash", str_replace("&", ",", http_build_query($fields)));
$client->rpush(key_of("list"), [1, 2, 3]);
tell("list", implode(",", $client->lrange(key_of("list"), 0, -1)));
$client->zadd(key_of("zset"), ["one" => 1, "two" => 2.5]);
$scores = $client->zrange(key_of("zset"), 0, -1, ["withscores" => true]);
tell("zset", str_replace("&", ",", http_build_query($scores)));
$client->sadd(key_of("set"), ["x", "y"]);
$members = $client->smembers(key_of("set"));
sort($members);
tell("set", implode(",", $members));
$script = "return {ARGV[1], tonumber(ARGV[2]) + 1}";
tell("script", implode(",", $client->eval($script, 1, key_of("script"), "seven", 7)));
try {
    $client->incr(key_of("list"));
} catch (Predis\Response\ServerException $error) {
    tell("error", $error->getErrorType());
}
$client->setex(key_of("fleeting"), 100, 1);
tell("ttl", $client->ttl(key_of("fleeting")));
$client->rpush(key_of("queue"), ["job"]);
tell("queue", $client->blpop([key_of("queue")], 1)[1]);
$tag = $cluster ? "{m}" : "m";
$client->set(key_of("$tag:1"), 1);
$client->set(key_of("$tag:3"), 3);
$values = $client->mget([key_of("$tag:1"), key_of("$tag:2"), key_of("$tag:3")]);
tell("mget", implode(",", array_map(fn ($value) => $value ?? "nil", $values)));
$client->set(key_of("big"), str_repeat("x", 1 << 20));
tell("big", strlen($client->get(key_of("big"))));
for ($n = 0; $n < 500; $n++) {
    $client->set(key_of("spread:$n"), $n);
}
$right = 0;
for ($n = 0; $n < 500; $n++) {
    $right += $client->get(key_of("spread:$n")) === "$n";
}
tell("spread", $right);
