<?php
// phpredis, the extension written in C.

[, $mode, $host, $port, $prefix] = $argv;
$cluster = $mode === "cluster";
if ($cluster) {
    $client = new RedisCluster(null, ["$host:$port"], 5, 5);
} else {
    $client = new Redis();
    $client->connect($host, (int) $port, 5);
}

function tell(string $name, $value): void { echo "$name=$value\n"; }
function key_of(string $name): string { global $prefix; return "$prefix:$name"; }

tell("ping", ($cluster ? $client->ping(key_of("ping")) : $client->ping()) === true ? "PONG" : "silence");
$client->set(key_of("binary"), hex2bin("61000d0aff242a"));
tell("binary", bin2hex($client->get(key_of("binary"))));
tell("missing", $client->get(key_of("missing")) === false ? "nil" : "something");
if (!$cluster) {
    $pipeline = $client->multi(Redis::PIPELINE);
    for ($n = 0; $n < 1000; $n++) {
        $pipeline->incr(key_of("counter"));
    }
    tell("pipeline", $pipeline->exec()[999]);
}
$client->hMSet(key_of("hash"), ["a" => 1, "b" => 2]);
$fields = $client->hGetAll(key_of("hash"));
ksort($fields);
tell("hash", str_replace("&", ",", http_build_query($fields)));
$client->rPush(key_of("list"), 1, 2, 3);
tell("list", implode(",", $client->lRange(key_of("list"), 0, -1)));
$client->zAdd(key_of("zset"), 1, "one", 2.5, "two");
tell("zset", str_replace("&", ",", http_build_query($client->zRange(key_of("zset"), 0, -1, true))));
$client->sAdd(key_of("set"), "x", "y");
$members = $client->sMembers(key_of("set"));
sort($members);
tell("set", implode(",", $members));
[$done, $number] = $client->multi()->set(key_of("number"), 1)->incr(key_of("number"))->exec();
tell("transaction", ($done ? "OK" : "no") . ",$number");
$script = "return {ARGV[1], tonumber(ARGV[2]) + 1}";
tell("script", implode(",", $client->eval($script, [key_of("script"), "seven", 7], 1)));
$client->clearLastError();
$client->incr(key_of("list"));
tell("error", explode(" ", $client->getLastError())[0]);
$client->setEx(key_of("fleeting"), 100, 1);
tell("ttl", $client->ttl(key_of("fleeting")));
$client->rPush(key_of("queue"), "job");
tell("queue", $client->blPop([key_of("queue")], 1)[1]);
$tag = $cluster ? "{m}" : "m";
$client->set(key_of("$tag:1"), 1);
$client->set(key_of("$tag:3"), 3);
$values = $client->mGet([key_of("$tag:1"), key_of("$tag:2"), key_of("$tag:3")]);
tell("mget", implode(",", array_map(fn ($value) => $value === false ? "nil" : $value, $values)));
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
