"""The command table against what redis-server and valkey-server say of themselves; COMMAND, built on it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from node.commands import TABLE, Command, docs, every, find
from node.commands.docs.syntax import parse
from node.errors import ReplyError
from node.handlers import commands as handlers
from node.handlers.registry import HANDLERS
from node.replies import SetReply
from tests.harness import resp
from tests.harness.servers import Oracle

OF_A_MODULE = (
    "VADD VCARD VDIM VEMB VGETATTR VINFO VISMEMBER VLINKS VRANDMEMBER VREM VSETATTR VSIM".lower().split()
)
"""Vector sets: redis-server 8 lists them, but a module built into it carries them out."""

OURS = {"cluster|migration", "cluster|witness", "hotkeys"} | {
    f"hotkeys|{name}" for name in ("get", "help", "reset", "start", "stop")
}
"""Of Redis 8.4 and 8.6, later than the oracle; by CLUSTER WITNESS supervisors tell what no Redis knows."""

REDIS_DIFFERS = {"cluster|replicate": "arity: Valkey adds NO ONE"}
VALKEY_DIFFERS = {
    "client|caching": "flags: Valkey allows it while a script is running too long",
    "client|getname": "flags: as above",
    "client|getredir": "flags: as above",
    "client|id": "flags: as above",
    "client|no-evict": "flags: as above",
    "client|no-touch": "flags: as above",
    "client|reply": "flags: as above, and Valkey forbids it in transactions",
    "client|setinfo": "flags: Valkey allows it while a script is running too long",
    "client|setname": "flags: as above",
    "select": "flags: as above",
    "cluster|info": "flags: Valkey allows it while loading",
    "cluster|myid": "flags: as above",
    "cluster|myshardid": "flags: as above",
    "cluster|nodes": "flags: as above",
    "memory|malloc-stats": "flags: as above",
    "memory|purge": "flags: as above",
    "script|exists": "flags: Valkey allows it on a stale replica",
    "script|flush": "flags: as above",
    "multi": "flags: Valkey refuses by flag what Redis refuses by its own error",
    "watch": "flags: as above",
    "exec": "flags: Valkey has skip_commandlog where Redis has skip_slowlog",
    "script|debug": "arity: Valkey passes arguments to its debugger",
    "georadius": "key specs: Valkey marks STORE and STOREDIST as variable",
    "georadiusbymember": "key specs: as above",
    "hsetex": "key specs: Valkey says insert where Redis says update",
    "hpttl": "tips: only Redis marks its output as not deterministic",
    "httl": "tips: as above",
}


def plain(value: Any) -> Any:
    """A reply, ours or read from a server, as dicts, lists, str and int; what has no order is sorted."""
    match value:
        case bytes():
            return value.decode()
        case resp.Simple():
            return value.text
        case resp.Set() | SetReply():
            return sorted((plain(item) for item in value.items), key=repr)
        case resp.Map():
            return {plain(key): plain(item) for key, item in value.pairs}
        case dict():
            return {plain(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
    return value


def ask(server: Oracle, *argv: str | bytes) -> Any:
    with server.resp(protocol=3) as connection:
        return plain(connection.command(*argv))


def rows_of(server: Oracle) -> dict[str, list[Any]]:
    """COMMAND's rows by name, subcommands included; without subcommand lists and the notes in key specs."""
    found = {}
    for top in ask(server, "COMMAND"):
        for row in (top, *top[9]):
            for spec in row[8]:
                spec.pop("notes", None)
            row[8].sort(key=repr)
            found[row[0].lower()] = row[:9]
    return {name: row for name, row in found.items() if name not in OF_A_MODULE}


def our_row(command: Command) -> list[Any]:
    return plain(handlers._catalogue._info(command)[:9])


@pytest.fixture
def all_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that carries out every command."""
    for row in every():
        if not row.subcommands or row.name == "command":
            monkeypatch.setitem(HANDLERS, row.name, lambda ctx, args: None)


def test_rows_are_those_of_redis(redis_server: Oracle) -> None:
    theirs = rows_of(redis_server)
    ours = {row.name: our_row(row) for row in every() if row.name in theirs}
    assert {name for name in theirs if ours[name] != theirs[name]} == REDIS_DIFFERS.keys()
    for name in REDIS_DIFFERS:
        assert (ours[name].pop(1), theirs[name].pop(1)) == (-3, 3)
        assert ours[name] == theirs[name]


def test_rows_are_those_of_valkey_but_for_known_differences(valkey_server: Oracle) -> None:
    theirs = rows_of(valkey_server)
    ours = {row.name: our_row(row) for row in every() if row.name in theirs}
    assert ours.keys() == theirs.keys()
    assert {name for name in theirs if ours[name] != theirs[name]} == VALKEY_DIFFERS.keys()
    columns = ["name", "arity", "flags", "first", "last", "step", "categories", "tips", "key specs"]
    for name, reason in VALKEY_DIFFERS.items():
        differing = [
            columns[i] for i, (a, b) in enumerate(zip(ours[name], theirs[name], strict=True)) if a != b
        ]
        assert differing == [reason.split(":")[0]] or reason.endswith("as above"), (name, differing)


def test_no_command_is_missing_or_made_up(redis_server: Oracle, valkey_server: Oracle) -> None:
    theirs = rows_of(redis_server).keys() | rows_of(valkey_server).keys()
    assert {row.name for row in every()} == theirs | OURS


DOCS_AS_VALKEYS = {
    "bgsave": "CANCEL",
    "bitcount": "an end that may be left out",
    "client|kill": "filters",
    "client|list": "filters",
    "cluster|replicate": "NO ONE",
    "cluster|setslot": "TIMEOUT",
    "geosearch": "BYPOLYGON",
    "geosearchstore": "BYPOLYGON",
    "hsetex": "NX and XX",
    "set": "IFEQ",
    "shutdown": "SAFE and FAILOVER",
    "zscan": "NOSCORES",
}
"""Whose arguments are those of Valkey rather than of Redis, because of what Valkey added."""


def without_summaries(arguments: Any) -> Any:
    """The field of a documentation, with arguments that are not explained one by one."""
    if not isinstance(arguments, list):
        return arguments
    for each in arguments:
        if isinstance(each, dict):
            each.pop("summary", None)
            without_summaries(each.get("arguments"))
    return arguments


def docs_of(server: Oracle) -> dict[str, dict[str, Any]]:
    found = ask(server, "COMMAND", "DOCS")
    found.update(
        {name: doc for top in list(found.values()) for name, doc in top.get("subcommands", {}).items()}
    )
    return {name.lower(): doc for name, doc in found.items() if name.lower() not in OF_A_MODULE}


def test_docs_state_the_facts_of_the_servers(
    redis_server: Oracle, valkey_server: Oracle, all_offered: None
) -> None:
    valkeys = docs_of(valkey_server)
    theirs = valkeys | docs_of(redis_server)
    for name in DOCS_AS_VALKEYS:
        theirs[name] |= {field: valkeys[name].get(field, []) for field in ("arguments", "history")}
    for row in every():
        if row.name in OURS:
            continue
        want, have = theirs[row.name], plain(handlers._catalogue._docs(row))
        for field in ("since", "group", "arguments", "deprecated_since", "doc_flags"):
            assert have.get(field) == without_summaries(want.get(field)), (row.name, field)
        assert {version for version, _ in have.get("history", [])} == {
            version for version, _ in want.get("history", [])
        }, row.name
        assert have.get("subcommands", {}).keys() >= want.get("subcommands", {}).keys()
        assert ("replaced_by" in have) == ("replaced_by" in want), row.name
        assert have["summary"].endswith(".")


def test_texts_without_a_command_do_not_exist() -> None:
    docs.find("get")
    assert docs._texts.keys() == {row.name for row in every()}


REQUESTS = """
get k|get|set k v|set k v get|set k v ex 10 GET|set k v nx|setex k 1 v|mget a b a|mset a 1 b 2|mset a 1 b
msetnx a 1 b 2|bitfield k|bitfield k get u8 0|bitfield k get u8 0 overflow wrap get u8 1
bitfield k set u8 0 1|bitfield k overflow wrap|bitfield k get u8 0 incrby u8 0 1|bitfield_ro k get u8 0
bitop and d a b|lcs a b|del a b|sort a|sort a store|sort a store d
sort a b store c get store by store limit store store|sort a store x store y|sort_ro a store b
migrate h 1 k 0 10|migrate h 1 k 0 10 keys a b|migrate h 1 k 0 10 copy auth keys|eval s 0|eval s 2 a b c
eval s x a|eval s -1 a|eval s 3 a b|evalsha s 1 a|fcall f 1 a b|fcall_ro f 0|zunion 2 a b
zunion 3 a b|zunion 0 a|zunionstore d 2 a b weights 1 2|zinterstore d 1 a|zdiff 2 a b withscores|zinter 1 a
zintercard 2 a b limit 1|zrangestore d s 0 1|zmpop 2 a b min|bzmpop 0 2 a b min|lmpop 1 a left
blmpop 0 1 a left|sintercard 2 a b|blpop a b 0|bzpopmin a b 0|blmove a b left right 0|lmove a b left right
xread count 2 streams a b 1 2|xread count 2 streams a b 1|xread block 0 streams a $|xread foo bar 1 2
xreadgroup group streams c streams a b > >|xadd k * f v|xgroup create k g $|xinfo stream k|xinfo help
georadius k 1 2 3 m|georadius k 1 2 3 m store d|georadius k 1 2 3 m store
georadius k 1 2 3 m store a storedist b|georadiusbymember k m 3 km asc storedist d
geosearchstore d s frommember m byradius 1 m|geoadd k 1 2 m|pfcount a b|pfmerge d a b|pfdebug encoding k
object encoding k|object freq k|memory usage k|ping|publish c m|spublish c m|ssubscribe a b|copy a b
rename a b|watch a b|exists a b|config get x|hset h f v|smove a b m|linsert k before a b|zadd k 1 a
hexpire h 1 fields 1 f|restore k 0 x|dump k|touch a b|nosuch a|object|xack k g 1
"""


@pytest.mark.parametrize(
    "request_", [part for line in REQUESTS.strip().split("\n") for part in line.split("|")]
)
def test_keys_are_found_as_redis_finds_them(request_: str, redis_server: Oracle, all_offered: None) -> None:
    argv = [word.encode() for word in request_.split(" ")]
    assert getkeys(argv) == theirs_for(redis_server, argv)


@pytest.mark.parametrize(
    "argv",
    [
        [b"migrate", b"h", b"1", b"", b"0", b"10", b"keys", b"a", b"b"],
        [b"migrate", b"h", b"1", b"", b"0", b"10", b"auth", b"keys", b"keys", b"a"],
        [b"migrate", b"h", b"1", b"", b"0", b"10", b"auth2", b"keys", b"keys", b"replace", b"KEYS", b"a"],
        [b"migrate", b"h", b"1", b"", b"0", b"10", b"copy"],
        [b"get", b""],
        [b"SET", b"\xff\x00", b"v", b"gEt"],
    ],
)
def test_odd_keys_are_found_as_redis_finds_them(
    argv: list[bytes], redis_server: Oracle, all_offered: None
) -> None:
    assert getkeys(argv) == theirs_for(redis_server, argv)


def test_keys_of_commands_that_only_valkey_has(valkey_server: Oracle, all_offered: None) -> None:
    for text in (
        "msetex 2 a 1 b 2 nx",
        "msetex 3 a 1 b 2",
        "delifeq k v",
        "clusterscan 0",
        "cluster flushslot 1",
    ):
        argv = [word.encode() for word in text.split(" ")]
        assert getkeys(argv) == theirs_for(valkey_server, argv), text


def getkeys(argv: list[bytes]) -> Any:
    try:
        return [(key, sorted(flags.items)) for key, flags in handlers.getkeysandflags(None, argv)]
    except ReplyError as error:
        return error.text


def theirs_for(server: Oracle, argv: list[bytes]) -> Any:
    with server.resp(protocol=3) as connection:
        reply = connection.command("COMMAND", "GETKEYSANDFLAGS", *argv)
    if isinstance(reply, resp.Error):
        return reply.text
    return [(key, plain(flags)) for key, flags in reply]


@pytest.mark.parametrize(
    ("request_", "positions"),
    [
        ("spublish c m", [1]),
        ("ssubscribe a b", [1, 2]),
        ("sunsubscribe", []),
        ("publish c m", []),
        ("mset a 1 b 2", [1, 3]),
        ("eval s 2 a b c", [3, 4]),
        ("eval s nonsense a", []),
        ("zunionstore d 2 a b", [1, 3, 4]),
        ("sort a get x store d", [1, 5]),
        ("get", []),
        ("object encoding k", [2]),
    ],
)
def test_routing_sees_keys_and_sharded_channels(request_: str, positions: list[int]) -> None:
    argv = [word.encode() for word in request_.split()]
    row = find(argv)
    assert row is not None
    assert row.key_positions(argv) == positions


def test_requests_find_their_rows() -> None:
    assert find([b"GET", b"k"]) is TABLE["get"]
    assert find([b"Config", b"GET", b"x"]) is TABLE["config"].subcommands["get"]
    assert find([b"config", b"nosuch"]) is TABLE["config"]
    assert find([b"config"]) is TABLE["config"]
    assert find([b"\xff"]) is None


def test_arity() -> None:
    assert TABLE["get"].accepts(2) and not TABLE["get"].accepts(3)
    assert TABLE["mget"].accepts(9) and not TABLE["mget"].accepts(1)


def test_policies_for_the_proxy() -> None:
    assert (TABLE["del"].request_policy, TABLE["del"].response_policy) == ("multi_shard", "agg_sum")
    assert (TABLE["get"].request_policy, TABLE["get"].response_policy) == ("", "")


def test_only_what_has_a_handler_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "HANDLERS", {"get": None, "config|get": None})
    assert [row[0] for row in handlers.command_(None, [])] == [b"get", b"config"]
    assert handlers.count(None, []) == 2
    assert handlers.list_(None, []) == [b"get", b"config", b"config|get"]
    assert handlers.info(None, [b"set"]) == [None]
    shown = handlers.info(None, [b"GET", b"nosuch", b"config|get", b"config|set"])
    assert [row and row[0] for row in shown] == [b"get", None, b"config|get", None]
    assert handlers.docs(None, [b"get", b"nosuch"]).keys() == {b"get"}
    assert handlers.docs(None, []).keys() == {b"get", b"config"}


@pytest.mark.parametrize(
    "arguments",
    [
        *("", "filterby aclcat transaction", "filterby ACLCAT BITMAP", "filterby aclcat nosuch"),
        *("filterby module nosuch", "filterby pattern xi*", "filterby pattern CLIENT|*", "filterby foo x"),
        *("filterby", "filterby pattern a b"),
    ],
)
def test_lists_are_those_of_redis(arguments: str, redis_server: Oracle, all_offered: None) -> None:
    theirs = redis_server.run("COMMAND", "LIST", *arguments.split())
    try:
        ours: Any = {name.decode() for name in handlers.list_(None, [a.encode() for a in arguments.split()])}
    except ReplyError as error:
        assert isinstance(theirs, resp.Error)
        assert error.text == theirs.text
        return
    valkey_only = {row.name for row in every()} - rows_of(redis_server).keys()
    assert ours - valkey_only == {name.decode().lower() for name in theirs} - set(OF_A_MODULE)


@pytest.mark.parametrize("text", ["[a", "a)", "x=(a | b", "a b]", "=", "[a))"])
def test_bad_syntax_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)


def test_the_table_is_light_and_leaves_the_texts_alone() -> None:
    """Two MB: a worker's memory is measured against servers written in C."""
    program = (
        "import resource, sys, typing, collections.abc;"
        "used = lambda: int(open('/proc/self/statm').read().split()[1]) * resource.getpagesize();"
        "before = used(); import node.commands;"
        "assert 'node.commands.docs' not in sys.modules;"
        "print(used() - before)"
    )
    grown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    assert int(grown.stdout) < 2 << 20
