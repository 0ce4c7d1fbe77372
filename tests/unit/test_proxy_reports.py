"""How the proxy makes one report of those of several workers, from replies of RESP2 and RESP3 alike."""

from __future__ import annotations

from typing import Any

import pytest

from node.errors import ReplyError
from node.replies import Verbatim
from proxy.requests import reports, worker_info
from proxy.requests.codec import decode_reply, encode_reply
from proxy.requests.commands import reporting


def test_replies_as_values() -> None:
    raw = b"%2\r\n+a\r\n*3\r\n:-1\r\n,1.5\r\n#t\r\n$1\r\nb\r\n~2\r\n_\r\n=5\r\ntxt:x\r\n"
    value = decode_reply(raw)
    assert value["a"] == [-1, 1.5, True]
    assert value[b"b"][0] is None
    assert (value[b"b"][1].text, value[b"b"][1].format) == (b"x", "txt")
    assert decode_reply(b"$-1\r\n") is None
    assert decode_reply(b"*-1\r\n") is None
    error = decode_reply(b"!5\r\nERR x\r\n")
    assert isinstance(error, ReplyError)
    assert error.text == "ERR x"
    with pytest.raises(ValueError):
        decode_reply(b"?\r\n")


def test_logs_are_sorted_by_time_and_cut() -> None:
    one = [[1, 100, 5, [b"a"]], [0, 90, 5, [b"b"]]]
    other = [[7, 95, 5, [b"c"]]]
    names = [entry[3][0] for entry in reports.slow_log([b"slowlog", b"get"], [one, other])]
    assert names == [b"a", b"c", b"b"]
    assert len(reports.slow_log([b"slowlog", b"get", b"1"], [one, other])) == 1
    assert len(reports.slow_log([b"slowlog", b"get", b"-1"], [one * 20, other])) == 41
    entries = [[[b"count", 1, b"age-seconds", b"9.5"]], [{b"count": 2, b"age-seconds": 1.5}]]
    newest = reports.acl_log([b"acl", b"log", b"1"], entries)
    assert newest == [{b"count": 2, b"age-seconds": 1.5}]
    assert reports.acl_log([b"acl", b"log", b"reset"], ["OK", "OK"]) == "OK"


def test_latency() -> None:
    values = [[[b"fork", 10, 3, 9], [b"command", 5, 1, 1]], [[b"fork", 20, 4, 6]]]
    assert reports.latency_latest([], values) == [[b"fork", 20, 4, 9], [b"command", 5, 1, 1]]
    assert reports.latency_history([], [[[3, 1]], [[1, 2], [4, 5]]]) == [[1, 2], [3, 1], [4, 5]]
    histograms = [
        {b"get": {b"calls": 3, b"histogram_usec": {1: 2, 4: 3}}},
        [b"get", [b"calls", 2, b"histogram_usec", [2, 2]], b"set", [b"calls", 1, b"histogram_usec", [8, 1]]],
    ]
    assert reports.latency_histogram([], histograms) == {
        b"get": {b"calls": 5, b"histogram_usec": {1: 2, 2: 4, 4: 5}},
        b"set": {b"calls": 1, b"histogram_usec": {8: 1}},
    }


@pytest.mark.parametrize("flat", [False, True])
def test_memory_and_functions(flat: bool) -> None:
    def shaped(fields: dict[bytes, Any]) -> Any:
        return [item for pair in fields.items() for item in pair] if flat else fields

    ratio: Any = (b"1.5", b"12.25") if flat else (1.5, 12.25)
    stats = [
        shaped({b"total": 10, b"ratio": ratio[0], b"db.0": shaped({b"main": 1})}),
        shaped(
            {b"total": 5, b"ratio": ratio[1], b"db.0": shaped({b"main": 2}), b"db.1": shaped({b"main": 4})}
        ),
    ]
    merged = reports.memory_stats([], stats)
    assert (merged[b"total"], merged[b"ratio"], merged[b"db.0"]) == (15, ratio[1], {b"main": 3})
    assert reports.pairs_of(merged[b"db.1"]) == {b"main": 4}
    running = shaped({b"name": b"f"})
    engines = shaped({b"LUA": shaped({b"libraries_count": 1})})
    found = reports.function_stats(
        [], [shaped({b"running_script": script, b"engines": engines}) for script in (None, running)]
    )
    assert found == {b"running_script": {b"name": b"f"}, b"engines": {b"LUA": {b"libraries_count": 1}}}


def test_subscribers_are_added_up_in_the_order_of_the_request() -> None:
    argv = [b"pubsub", b"numsub", b"b", b"a"]
    assert reports.subscribers(argv, [[b"b", 1, b"a", 0], [b"b", 2, b"a", 4]]) == [b"b", 3, b"a", 4]


def test_a_report_is_of_those_who_answer() -> None:
    merge = reporting(reports.texts, [], 3)
    text = encode_reply(Verbatim("fine"), 3)
    assert merge([text, b"-ERR no samples\r\n", text]) == text
    assert merge([b"-ERR no samples\r\n", b"-ERR\r\n"]) == b"-ERR no samples\r\n"


def test_info_of_several_workers() -> None:
    one, other = (
        worker_info.parse(
            f"# Memory\r\nused_memory:{1024 * number}\r\nused_memory_human:x\r\n"
            f"mem_fragmentation_ratio:{ratio}\r\nmaxmemory_policy:noeviction\r\n\r\n"
            f"# Persistence\r\nloading:0\r\nrdb_last_save_time:{number}\r\n"
            f"rdb_last_bgsave_status:{status}\r\nrdb_saves:1\r\n"
            f"# Commandstats\r\ncmdstat_get:calls={number},usec=10,usec_per_call=9.00,failed_calls=0\r\n"
            f"# Keyspace\r\ndb0:keys={number},expires={number},avg_ttl={100 * number}\r\n"
        )
        for number, ratio, status in ((1, "1.50", "ok"), (3, "11.00", "err"))
    )
    assert worker_info.merged([one, other]) == {
        "Memory": {
            "used_memory": "4096",
            "used_memory_human": "4.00K",
            "mem_fragmentation_ratio": "11.00",
            "maxmemory_policy": "noeviction",
        },
        "Persistence": {
            "loading": "0",
            "rdb_last_save_time": "1",
            "rdb_last_bgsave_status": "err",
            "rdb_saves": "2",
        },
        "Commandstats": {"cmdstat_get": "calls=4,usec=20,usec_per_call=5.00,failed_calls=0"},
        "Keyspace": {"db0": "keys=4,expires=4,avg_ttl=250"},
    }
    assert worker_info.merged([one])["Keyspace"] == one["Keyspace"]
