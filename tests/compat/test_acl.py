"""Access control lists beside the oracles: users by their rules, and what sessions may do with them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.commands.model import CATEGORIES
from node.words import split_words
from tests.harness.resp import Map, Resp, encode
from tests.harness.servers import Oracle, Server, ShoalNode

SERVERS = {"shoal": ShoalNode, "redis": lambda: Oracle("redis"), "valkey": lambda: Oracle("valkey")}

Servers = dict[str, Server]


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """Servers of this file's own, since users outlive FLUSHALL."""
    with contextlib.ExitStack() as stack:
        started = {kind: stack.enter_context(make()) for kind, make in SERVERS.items()}
        for server in started.values():
            server.run("ACL", "SETUSER", *ADMINISTRATOR)
        yield started


ADMINISTRATOR = ("admin", "on", "nopass", "~*", "&*", "+@all")
"""Always there, so that a test may do to the default user what it likes."""


def emptied(server: Server) -> Server:
    with server.resp() as connection:
        connection.command("AUTH", "admin", "any")
        names = set(connection.command("ACL", "USERS")) - {b"default", b"admin"}
        if names:
            connection.command("ACL", "DELUSER", *names)
        connection.command("ACL", "SETUSER", "default", "reset", "on", "nopass", "~*", "&*", "+@all")
        connection.command("ACL", "LOG", "RESET")
        connection.command("FLUSHALL")
    return server


# ------------------------------------------------------------------------------------------------ rules

RULES = r"""
""
on
"on off"
"nopass"
">a >b >a"
">a nopass"
"nopass >a"
">a resetpass"
">a <a"
"<a"
"#2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
"#2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae <foo"
">foo !2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
"#2C26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
"!short"
"skip-sanitize-payload"
"SKIP-SANITIZE-PAYLOAD Sanitize-Payload"
"+get"
"+GET +Set -get"
"+get +set +get"
"+@all"
"ALLCOMMANDS"
"+@all nocommands"
"+@all -get"
"+@all -get +get"
"-get"
"+@all -@write"
"+@read +set -@fast"
"+@READ -@read +@read"
"+@string +@string"
"+@nope"
"-@nope"
"+@"
"+"
"-"
"+nope"
"-nope"
"+config"
"+config|get"
"+config|GET +CONFIG|set"
"+config|get +config"
"+config|get -config"
"+config -config|get"
"-config|get"
"+config|nope"
"-config|nope"
"+config|get|x"
"+config|"
"-config|"
"+|get"
"+|"
"-|"
"+select|0"
"+select|0 +select|1 +SELECT|0"
"+select|0 -select"
"+select|0 +select"
"+select|0 +@connection"
"+select|0 -@all"
"+select|0 +@all"
"+select|"
"-select|0"
"+get|a|b"
"+memory|doctor +memory|usage -memory"
"+client +client|id -client|id"
"-@all +@all -debug +debug|object"
"~a"
"~a ~b ~a"
"~a ~* ~*"
"~* ~a"
"~* resetkeys ~a"
"allkeys"
"%R~a"
"%R~a %W~a"
"%W~a %R~b ~a"
"%RW~a"
"%WR~a"
"%rw~a"
"%R~*"
"%R~* %W~*"
"%RW~*"
"%R~* ~*"
"%~a"
"%RR~a"
"%X~a"
"%R"
"%R~"
"%"
"~"
"~~"
"&a"
"&a &b &a"
"&* &a"
"&a &*"
"&* resetchannels &a"
"allchannels"
"&"
"(+get ~a)"
"( +get ~a )"
"(+get  ~a)"
"(+get ~a) (+set ~b &c)"
"(+get"
"+get)"
"(+get (~a)"
"(on)"
"(>a)"
"(nope)"
"()"
'(+get "~a")'
'(+get "~a)'
'(+get\t~t)'
'("")'
'(+get "~a b")'
"(~a\x00b)"
"(+get) clearselectors"
"(+get) reset"
"(+@all ~* &*)"
"(+get %R~a) +@all ~*"
"on >a +@all ~* &* reset"
"foo"
"\x00"
"~\x00"
"~\xff*"
"""


def sequences() -> list[list[bytes]]:
    return [word.split(b" ") for line in RULES.splitlines() for word in split_words(line.encode())]


REQUESTS = [
    line.encode().split()
    for line in """
get a, set a v, set a v get, getset a v, get b, exists a, del a, mget a b, copy a b, rename a b
touch a, type b, config get x, config set x y, config resetstat, select 0, select 1, auth x, ping
acl whoami, client id, hello 3, publish a m, publish b m, subscribe a b, psubscribe a, psubscribe *
unsubscribe z, spublish a m, ssubscribe a b, eval x 1 a, eval x 0, eval_ro x 1 b, sort a
sort a store b, migrate h 1 a 0 1, xread streams a 0, blpop a b 0, bitfield a get u8 0
bitfield a set u8 0 1, object encoding a, debug object a, quit, multi, lmpop 2 a b left
zunionstore b 1 a, geosearchstore b a frommember m bybox 1 1 m, pfcount a b, pfmerge a b, command
command count, flushall, keys *, scan 0, wait 0 0, restore a 0 x, restore-asking a 0 x
replicaof no one, nope, config, get
""".replace("\n", ",").split(",")
    if line.strip()
]


DESCRIPTIONS = [[b"ACL", b"GETUSER", b"u"], [b"ACL", b"LIST"]]
TRIALS = [[b"ACL", b"DRYRUN", b"u", *request] for request in REQUESTS]
END = [b"ACL", b"DELUSER", b"u"]


def told(server: Server, commands: list[list[bytes]], protocol: int) -> list[bytes]:
    """The raw replies."""
    with Resp(server.port, server.host, timeout=20, protocol=protocol) as connection:
        connection.send(b"".join(encode(*command) for command in commands))
        return [connection.read_raw() for _ in commands]


def differences(
    ours: Server, theirs: Server, *rules: list[bytes], protocol: int = 2, described: bool = True
) -> list[tuple[list[bytes], bytes, bytes]]:
    """What is said otherwise about a user made by these rules, one list after the other."""
    changes = [[b"ACL", b"SETUSER", b"u", *each] for each in rules]
    commands = [*changes, *(DESCRIPTIONS if described else ()), *TRIALS, END]
    answers = zip(commands, told(ours, commands, protocol), told(theirs, commands, protocol), strict=True)
    return [(command, mine, other) for command, mine, other in answers if mine != other]


@pytest.mark.parametrize("protocol", [2, 3])
def test_rules_are_told_as_redis_does(servers: Servers, protocol: int) -> None:
    ours, theirs = emptied(servers["shoal"]), emptied(servers["redis"])
    for rules in sequences():
        assert differences(ours, theirs, rules, protocol=protocol) == []


ONLY_REDIS_HAS = (b"sanitize-payload",)


def test_rules_mean_the_same_to_valkey(servers: Servers) -> None:
    """Which has no payload flags, and databases besides: what both say is compared."""
    ours, theirs = emptied(servers["shoal"]), emptied(servers["valkey"])
    for rules in sequences():
        if any(flag in rule.lower() for rule in rules for flag in ONLY_REDIS_HAS):
            continue
        assert differences(ours, theirs, rules, described=False) == []
        assert shared_fields(ours, rules) == shared_fields(theirs, rules), rules


def shared_fields(server: Server, rules: list[bytes]) -> Any:
    with server.resp(protocol=3) as connection:
        connection.command("ACL", "SETUSER", "u", *rules)
        described = connection.command("ACL", "GETUSER", "u")
        connection.command("ACL", "DELUSER", "u")
    return without_databases(described)


def without_databases(described: Any) -> Any:
    if not isinstance(described, Map):
        return described
    fields = dict(described.pairs)
    fields.pop(b"databases", None)
    fields.pop(b"flags", None)
    fields[b"selectors"] = [without_databases(each) for each in fields.get(b"selectors", ())]
    return fields


_NAMES = """
get set del config config|get config|set select client client|id acl|cat ping multi eval publish
subscribe nope debug object object|freq sort bitfield
"""
_WORDS = """
on off nopass resetpass reset resetkeys resetchannels allkeys allchannels allcommands nocommands
clearselectors >p <p >q ~* &* +@all -@all
"""
_name = st.sampled_from(_NAMES.split())
_category = st.sampled_from([*CATEGORIES, "all", "nope"])
_pattern = st.text("ab*?[]^-\\k", max_size=4)
_rule = st.one_of(
    st.tuples(st.sampled_from("+-"), _name).map("".join),
    st.tuples(st.sampled_from("+-"), st.just("@"), _category).map("".join),
    st.tuples(st.just("+"), _name, st.just("|"), st.sampled_from(["0", "a", "GET", ""])).map("".join),
    st.tuples(st.sampled_from(["~", "%R~", "%W~", "%RW~", "&"]), _pattern).map("".join),
    st.sampled_from(
        [
            "on",
            "off",
            "nopass",
            "resetpass",
            "reset",
            "resetkeys",
            "resetchannels",
            "allkeys",
            "allchannels",
            "allcommands",
            "nocommands",
            "clearselectors",
            ">p",
            "<p",
            ">q",
            "~*",
            "&*",
            "+@all",
            "-@all",
        ]
    ),
)
_selector = st.lists(_rule, max_size=4).map(lambda rules: f"({' '.join(rules)})")
_rules = st.lists(st.one_of(_rule, _rule, _rule, _selector), max_size=10)


def test_any_rules_are_told_as_redis_does(servers: Servers) -> None:
    ours, theirs = emptied(servers["shoal"]), emptied(servers["redis"])

    @settings(max_examples=150, deadline=None, print_blob=True)
    @given(st.lists(_rules, min_size=1, max_size=3))
    def hold(changes: list[list[str]]) -> None:
        assert differences(ours, theirs, *([rule.encode() for rule in rules] for rules in changes)) == []

    hold()


READER_AND_WRITER = ["on", "+@all", "%R~r*", "%W~w*", "~b*", "&c*"]
_ARGUMENTS = """
r1 r2 w1 w2 b1 b2 c1 x1 0 1 2 3 get set store by keys streams limit count asc desc left right
storedist aggregate weights sum replace copy auth auth2 nx xx ex 10 group block idle incrby overflow
sat u8 overwrite from bymember frommember fields ch match * usage encoding help and or not before
after withscores
"""
_arguments = st.lists(st.sampled_from(_ARGUMENTS.split()), max_size=9)
FINDS_NO_KEY = (b"pfmerge", 1)
"""With one argument, the servers find no key in it, and let everybody do it who may call it at all."""


def arities(server: Server) -> dict[bytes, int]:
    with server.resp() as connection:
        names = connection.command("COMMAND", "LIST")
        rows = connection.command("COMMAND", "INFO", *names)
    return {name: row[1] for name, row in zip(names, rows, strict=True) if isinstance(row, list)}


@pytest.mark.parametrize("oracle", ["redis", "valkey"])
def test_any_request_needs_the_rights_it_needs_of_the_oracle(servers: Servers, oracle: str) -> None:
    """Tried, not executed, by a user who may do a different thing with each kind of key."""
    ours, theirs = emptied(servers["shoal"]), emptied(servers[oracle])
    for server in (ours, theirs):
        server.run("ACL", "SETUSER", "u", *READER_AND_WRITER)
    mine, other = arities(ours), arities(theirs)
    names = sorted(name for name in mine if mine[name] == other.get(name))

    @settings(max_examples=60, deadline=None, print_blob=True)
    @given(st.lists(st.tuples(st.sampled_from(names), _arguments), min_size=20, max_size=60))
    def hold(requests: list[tuple[bytes, list[str]]]) -> None:
        trials = [
            [b"ACL", b"DRYRUN", b"u", *name.split(b"|"), *(word.encode() for word in words)]
            for name, words in requests
            if (name, len(words)) != FINDS_NO_KEY
        ]
        answers = zip(trials, told(ours, trials, 2), told(theirs, trials, 2), strict=True)
        assert [(trial, mine, other) for trial, mine, other in answers if mine != other] == []

    hold()


@pytest.mark.parametrize("oracle", ["redis", "valkey"])
def test_categories_hold_the_same_commands(servers: Servers, oracle: str) -> None:
    with servers["shoal"].resp() as ours, servers[oracle].resp() as theirs:
        mine = {category: set(ours.command("ACL", "CAT", category)) for category in CATEGORIES}
        other = {category: set(theirs.command("ACL", "CAT", category)) for category in CATEGORIES}
        assert ours.command("ACL", "CAT") == theirs.command("ACL", "CAT")
    both = set().union(*mine.values()) & set().union(*other.values())
    assert len(both) > 250
    for category in CATEGORIES:
        assert mine[category] & both == other[category] & both, category
