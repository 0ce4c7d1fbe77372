"""Which way the proxy sends each command, and how replies of several workers become one."""

from __future__ import annotations

import pytest

from node.commands import TABLE, Command, every, find
from node.core.key_slot import key_slot
from node.errors import ReplyError
from node.replies import Verbatim
from proxy.core.routes import RouteTable, SlotMap
from proxy.local.local_commands import LOCAL_COMMANDS
from proxy.requests import commands as _commands  # noqa: F401  registers all that is answered here
from proxy.requests import merger, splitter
from proxy.requests.codec import bulk_of, encode_reply, encode_request, integer_of
from proxy.requests.cross_slot import is_possible
from proxy.requests.routing import Way, raw_routes, route_of, takes_node, way_of, would_block


def way(*argv: str) -> Way:
    command = find([word.encode() for word in argv])
    assert command is not None
    return way_of(command)


@pytest.mark.parametrize(
    "expected, requests",
    [
        (Way.FORWARD, ["get a", "set a b", "object encoding a", "rename a b", "eval x 1 a", "spublish c m"]),
        (Way.FORWARD, ["xread streams a 0", "sort a", "xgroup create a b $", "lmpop 1 a left"]),
        (Way.SPLIT, ["mget a", "mset a b", "del a", "unlink a", "exists a", "touch a"]),
        (Way.BROADCAST, ["dbsize", "flushall", "flushdb", "keys *", "script load x", "script exists x"]),
        (Way.BROADCAST, ["function load x", "config rewrite", "slowlog len", "slowlog get", "bgsave"]),
        (Way.BROADCAST, ["acl setuser a", "latency latest", "memory stats", "pubsub numsub a", "lastsave"]),
        (Way.OWN, ["scan 0", "randomkey", "info", "config get a", "config set a b"]),
        (Way.LOCAL, ["ping", "hello 3", "client id", "auth x", "select 0", "quit", "reset", "time"]),
        (Way.LOCAL, ["move a 1", "swapdb 0 1", "acl whoami"]),
        (Way.LOCAL, ["cluster nodes", "readonly"]),
        (Way.ANY, ["publish a b", "acl list", "object help"]),
        (Way.LOCAL, ["command", "command docs", "client pause 1", "client unpause"]),
        (Way.SESSION, ["multi", "exec", "watch a", "wait 0 0", "subscribe a", "ssubscribe a", "monitor"]),
        (Way.SESSION, ["client tracking on"]),
        (Way.REFUSED, ["shutdown", "migrate", "module load x", "failover"]),
    ],
)  # fmt: skip
def test_ways(expected: Way, requests: list[str]) -> None:
    for request in requests:
        assert way(*request.split()) is expected, request


def test_commands_that_may_have_keys_of_several_slots() -> None:
    """... with --cross-slot, of those with more than one key."""

    def several(command: Command) -> bool:
        specs = command.key_specs
        return len(specs) > 1 or any(spec.counted or spec.last for spec in specs)

    possible = {
        command.name
        for command in every()
        if route_of(command).way is Way.FORWARD
        and several(command)
        and is_possible(command, [command.name.encode(), b"2", b"2", b"b", b"c"])
    }
    assert possible == {
        "sunion", "sinter", "sintercard", "sdiff", "zunion", "zinter", "zintercard", "zdiff", "pfcount",
        "lcs", "sort_ro", "sunionstore", "sinterstore", "sdiffstore", "zunionstore", "zinterstore",
        "zdiffstore", "pfmerge", "bitop", "copy", "zrangestore", "geosearchstore", "sort", "georadius",
        "georadiusbymember", "rename", "renamenx", "lmove", "rpoplpush", "smove",
    }  # fmt: skip


def test_busy_workers_are_asked_beside_the_script() -> None:
    assert {command.name for command in every() if route_of(command).aside} == {
        "script|kill", "function|kill", "function|stats",
    }  # fmt: skip
    assert all(route_of(command).way is Way.BROADCAST for command in every() if route_of(command).aside)


def test_only_what_looks_at_servers_takes_the_name_of_a_node() -> None:
    named = {command.name for command in every() if takes_node(command)}
    assert {"info", "config|get", "slowlog|get", "latency|doctor", "dbsize", "debug", "memory|stats"} <= named
    assert named.isdisjoint({"get", "memory|usage", "shutdown", "monitor", "psync", "publish", "keys"})


def test_every_command_has_a_way_and_every_local_one_a_row() -> None:
    rows = {command.name for command in every()}
    assert all(isinstance(way_of(command), Way) for command in every())
    assert set(LOCAL_COMMANDS) <= rows


def test_blocking_variants() -> None:
    def blocks(*argv: bytes) -> bool:
        return would_block(TABLE[argv[0].decode()], argv)

    assert blocks(b"blpop", b"a", b"0")
    assert blocks(b"xread", b"COUNT", b"1", b"block", b"0", b"STREAMS", b"s", b"0")
    assert not blocks(b"xread", b"STREAMS", b"block", b"0")
    assert not blocks(b"get", b"a")


def test_raw_routes_point_at_the_only_key() -> None:
    for name, first_key, argc in raw_routes():
        argv = [name.encode(), *(b"%d" % i for i in range(1, argc or 12))]
        if argc or TABLE[name].accepts(len(argv)):
            assert TABLE[name].key_positions(argv) == [first_key], name


def test_route_table_finds_names_in_any_case() -> None:
    routes = RouteTable(raw_routes())
    assert routes.lookup(b"GeT") == (1, 0)
    assert routes.lookup(b"MGET") == (1, 2)
    assert routes.lookup(b"mset") == (1, 3)
    for name in (b"", b"ge", b"gett", b"ping", b"blpop", b"rename", b"x" * 100):
        assert routes.lookup(name) is None, name
    for name, first_key, argc in raw_routes():
        assert routes.lookup(name.upper().encode()) == (first_key, argc)


def test_slot_map_starts_empty() -> None:
    slots = SlotMap()
    assert slots.find(0, 2) is None
    assert slots.find(16383, 3) is None
    with pytest.raises(IndexError):
        slots.find(16384, 2)


def test_split_groups_by_slot_and_keeps_order() -> None:
    parts = splitter.split([b"MSET", b"{a}1", b"x", b"b", b"y", b"{a}2", b"z"], 2)
    assert [(part.slot, part.items) for part in parts] == [(key_slot(b"a"), [0, 2]), (key_slot(b"b"), [1])]
    assert parts[0].request == encode_request([b"MSET", b"{a}1", b"x", b"{a}2", b"z"])
    single = splitter.singly([b"MSET", b"{a}1", b"x", b"b", b"y", b"{a}2", b"z"], 2, parts[0])
    assert [(part.items, part.request) for part in single] == [
        ([0], encode_request([b"MSET", b"{a}1", b"x"])),
        ([2], encode_request([b"MSET", b"{a}2", b"z"])),
    ]


def test_merge_policies() -> None:
    error = b"-ERR x\r\n"
    assert merger.agg_sum([b":1\r\n", b":-3\r\n"]) == b":-2\r\n"
    assert merger.agg_sum([b":1\r\n", error]) == error
    assert merger.all_succeeded([b"+OK\r\n", b"+OK\r\n"]) == b"+OK\r\n"
    assert merger.all_succeeded([b"+OK\r\n", error]) == error
    assert merger.one_succeeded([error, b"+OK\r\n"]) == b"+OK\r\n"
    assert merger.one_succeeded([error, error]) == error
    assert merger.agg_logical_and([b"*2\r\n:1\r\n:1\r\n", b"*2\r\n:0\r\n:1\r\n"]) == b"*2\r\n:0\r\n:1\r\n"
    assert merger.concatenated([b"*1\r\n+a\r\n", b"*0\r\n", b"*1\r\n+b\r\n"]) == b"*2\r\n+a\r\n+b\r\n"
    assert (
        merger.in_order([[1], [0, 2]], [b"*1\r\n+b\r\n", b"*2\r\n+a\r\n$-1\r\n"])
        == b"*3\r\n+a\r\n+b\r\n$-1\r\n"
    )
    with pytest.raises(ValueError):
        merger.agg_sum([b"+OK\r\n", b":1\r\n"])
    assert merger.fitting(merger.agg_sum, [b"+OK\r\n", b":1\r\n"]).startswith(b"-ERR replies of the workers")
    assert merger.agg_min([b"*2\r\n:1\r\n:5\r\n", b"*2\r\n:3\r\n:4\r\n"]) == b"*2\r\n:1\r\n:4\r\n"
    assert merger.agg_max([b":1\r\n", b":7\r\n"]) == b":7\r\n"
    assert merger.agg_logical_or([b":0\r\n", b":1\r\n"]) == b":1\r\n"
    assert merger.union([b"*2\r\n+a\r\n+b\r\n", b"*1\r\n+b\r\n"]) == b"*2\r\n+a\r\n+b\r\n"
    assert merger.map_union([b"%1\r\n+a\r\n:1\r\n", b"%2\r\n+a\r\n:2\r\n+b\r\n:3\r\n"]) == (
        b"%2\r\n+a\r\n:1\r\n+b\r\n:3\r\n"
    )


def test_script_kill_tells_why_a_script_cannot_be_killed() -> None:
    idle, unkillable = b"-NOTBUSY No scripts in execution right now.\r\n", b"-UNKILLABLE Sorry\r\n"
    assert merger.one_succeeded([idle, unkillable]) == unkillable
    assert merger.one_succeeded([idle, idle]) == idle


def test_reply_encoding_by_protocol() -> None:
    value = {b"a": [1, None, True, "OK"], b"v": Verbatim("text")}
    assert (
        encode_reply(value, 2)
        == b"*4\r\n$1\r\na\r\n*4\r\n:1\r\n$-1\r\n:1\r\n+OK\r\n$1\r\nv\r\n$4\r\ntext\r\n"
    )
    assert (
        encode_reply(value, 3)
        == b"%2\r\n$1\r\na\r\n*4\r\n:1\r\n_\r\n#t\r\n+OK\r\n$1\r\nv\r\n=8\r\ntxt:text\r\n"
    )
    assert encode_reply([1.5, 2.0], 3) == b"*2\r\n,1.5\r\n,2\r\n"
    assert encode_reply(2.5, 2) == b"$3\r\n2.5\r\n"
    assert encode_reply(ReplyError("ERR x"), 2) == b"-ERR x\r\n"
    assert integer_of(b":42\r\n") == 42
    assert bulk_of(b"$3\r\na\r\n\r\n") == b"a\r\n"
    for raw in (b"$-1\r\n", b"+OK\r\n"):
        with pytest.raises(ValueError):
            bulk_of(raw)
