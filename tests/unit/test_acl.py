"""Rules and what they allow, files of users, and the log of refusals; all without a server."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from node.acl import AclLog, Denial, RuleError, User, Users, file
from node.acl.commands import ALL_COMMANDS, CATEGORY_MASKS
from node.acl.denial import Reason
from node.acl.file import NOTHING_CHANGED, AclFileError
from node.acl.log import LONGEST_NAME
from node.acl.rules import Unmatched, joined_selectors
from node.commands import find


def user(*rules: str) -> User:
    made = User(b"alice")
    made.apply_all([rule.encode() for rule in rules])
    return made


def judged(who: User, request: str) -> Denial | None:
    argv = [word.encode() for word in request.split()]
    row = find(argv)
    assert row is not None
    return who.judge(row, argv)


def allowed(who: User, request: str) -> bool:
    return judged(who, request) is None


# commands


def test_a_new_user_may_only_log_in() -> None:
    new = user()
    assert not allowed(new, "ping")
    assert allowed(new, "auth x")
    assert allowed(new, "hello 3")


@pytest.mark.parametrize(
    ("rules", "yes", "no"),
    [
        ("+get", ["get k"], ["set k v"]),
        ("+@all -get", ["set k v", "acl list"], ["get k"]),
        ("+@read", ["get k", "hget k f"], ["set k v"]),
        ("+@all -@write", ["get k"], ["set k v", "del k"]),
        ("+config", ["config get a", "config set a b"], []),
        ("+config -config|set", ["config get a"], ["config set a b"]),
        ("+config|get", ["config get a"], ["config set a b"]),
        ("+@all -config +config|get", ["config get a"], ["config set a b"]),
        ("+select|0", ["select 0"], ["select 1"]),
        ("+select|0 +select", ["select 1"], []),
        ("+select|0 -select", [], ["select 0"]),
        ("+select|0 -@connection", [], ["select 0"]),
        ("+debug|OBJECT +debug|sleep", ["debug object k", "debug SLEEP 0"], ["debug reload"]),
        ("+GET -set", ["get k"], ["set k v"]),
    ],
)
def test_commands(rules: str, yes: list[str], no: list[str]) -> None:
    made = user("~*", "&*", *rules.split())
    assert [request for request in yes if not allowed(made, request)] == []
    assert [request for request in no if allowed(made, request)] == []
    again = user("~*", "&*", *made.root.describe_commands().decode().split())
    assert again.root.allowed == made.root.allowed
    assert again.root.first_arguments == made.root.first_arguments


@pytest.mark.parametrize(
    ("rules", "described"),
    [
        ("", "-@all"),
        ("+get +set +get", "-@all +set +get"),
        ("+config|get +config|set -config", "-@all -config"),
        ("+get +@all", "+@all"),
        ("+@all -get +get", "+@all +get"),
        ("+@READ +@read -@Read", "-@all -@read"),
        ("+select|0 +SELECT|1", "-@all +select|0 +select|1"),
        ("+client +client|id", "-@all +client +client|id"),
    ],
)
def test_what_is_described_is_the_way_there(rules: str, described: str) -> None:
    assert user(*rules.split()).root.describe_commands().decode() == described


def test_masks_cover_the_table() -> None:
    everything = 0
    for mask in CATEGORY_MASKS.values():
        everything |= mask
    assert everything == ALL_COMMANDS


# keys and channels


@pytest.mark.parametrize(
    ("rules", "yes", "no"),
    [
        ("~a*", ["get a1", "set a v", "mget a1 a2"], ["get b", "mget a1 b"]),
        ("%R~a", ["get a", "exists a"], ["set a v", "getset a v", "del a", "set a v get"]),
        ("%W~a", ["set a v", "del a", "exists a"], ["get a", "getset a v", "set a v get"]),
        ("%R~a %W~a", ["get a", "set a v", "getset a v"], []),
        ("%R~a %W~b", ["copy a b", "exists a"], ["copy b a", "rename a b"]),
        ("%RW~a", ["getset a v"], []),
        ("%R~a* %W~*b", ["get ab", "set ab v"], ["incr ab"]),
        ("~k", ["eval x 1 k", "eval x 0", "eval x notanumber k"], ["eval x 1 other", "eval x 2 k other"]),
        ("%R~k %W~d", ["sort k store d", "sort_ro k"], ["sort d", "sort k store k"]),
        ("~k", ["migrate h 1 k 0 1", "xread streams k 0"], ["migrate h 1 o 0 1", "xread streams o 0"]),
    ],
)
def test_keys(rules: str, yes: list[str], no: list[str]) -> None:
    made = user("+@all", *rules.split())
    assert [request for request in yes if not allowed(made, request)] == []
    assert [request for request in no if allowed(made, request)] == []


def test_channels() -> None:
    made = user("+@all", "~*", "&news:*", "&x")
    for request in ("publish news:1 m", "subscribe news:a x", "psubscribe news:*", "unsubscribe other"):
        assert allowed(made, request), request
    for request in (
        "publish other m",
        "subscribe x other",
        "psubscribe news:1*",
        "ssubscribe other",
        "spublish o m",
    ):
        assert not allowed(made, request), request
    assert judged(made, "subscribe x o") == Denial(Reason.CHANNEL, 2)


def test_a_request_needs_one_selector_that_allows_all_of_it() -> None:
    made = user("+get", "~a", "(+set ~b)", "(+@all ~c &c)")
    assert allowed(made, "get a")
    assert allowed(made, "set b v")
    assert allowed(made, "getset c v")
    assert judged(made, "set a v") == Denial(Reason.KEY, 1)
    assert judged(made, "mset c v d v") == Denial(Reason.KEY, 3)
    assert judged(made, "publish d m") == Denial(Reason.CHANNEL, 1)
    assert judged(user("+get"), "set a v") == Denial(Reason.COMMAND, 0)


def test_a_root_with_all_keys_does_not_lend_them() -> None:
    made = user("~*", "+get", "(+set ~b)")
    assert not allowed(made, "set a v")
    assert allowed(made, "set b v")


@pytest.mark.parametrize(
    ("rules", "unrestricted"),
    [
        ("+@all ~* &*", True),
        ("allcommands allkeys allchannels", True),
        ("+@all ~*", False),
        ("+@all ~* &* -get", False),
        ("+@all ~* &* -get +get", True),
        ("-@all (+@all ~* &*)", True),
        ("(+@all ~*) (+@all &*)", False),
    ],
)
def test_who_need_not_be_judged(rules: str, unrestricted: bool) -> None:
    assert user(*joined(rules)).is_unrestricted is unrestricted


def joined(rules: str) -> list[str]:
    return [rule.decode() for rule in joined_selectors(rules.encode().split())]


# passwords


def test_passwords() -> None:
    made = user("on", ">one", ">two", "#" + hashlib.sha256(b"three").hexdigest())
    assert [made.accepts(word) for word in (b"one", b"two", b"three", b"four", b"")] == [True] * 3 + [
        False
    ] * 2
    made.apply(b"<one")
    assert not made.accepts(b"one")
    assert b"two" not in made.describe()
    made.apply(b"nopass")
    assert made.accepts(b"whatever")
    made.apply(b"off")
    assert not made.accepts(b"whatever")
    made.apply_all([b"on", b"resetpass"])
    assert not made.accepts(b"")


# words


@pytest.mark.parametrize(
    ("rules", "joins"),
    [
        ("+get ( +set ~a ) ~b", ["+get", "( +set ~a )", "~b"]),
        ("(+get) (+set ~x)", ["(+get)", "(+set ~x)"]),
        ("(+get (~a )", ["(+get (~a )"]),
        ("+get)", ["+get)"]),
    ],
)
def test_selectors_of_several_words(rules: str, joins: list[str]) -> None:
    assert joined(rules) == joins


def test_an_open_selector_is_told_by_its_beginning() -> None:
    with pytest.raises(Unmatched) as caught:
        joined("+get (+set ~a")
    assert (caught.value.rule, caught.value.position) == (b"(+set", 1)


@pytest.mark.parametrize(
    "rule", ["%~a", "%RR~a", "%X~a", "%", "~a b", "&a\n", "nope", "(on)", "+debug|", "#abc", "!x"]
)
def test_bad_rules_change_nothing(rule: str) -> None:
    made = user("+get", "~a", "&c", ">p")
    before = made.describe()
    with pytest.raises(RuleError) as caught:
        made.apply(rule.encode())
    assert caught.value.rule == rule.encode()
    assert made.describe() == before


def test_reset_is_a_new_user() -> None:
    made = user("on", ">x", "+@all", "~*", "&*", "skip-sanitize-payload", "(+get)", "reset")
    assert made.describe() == User(b"alice").describe() == b"off sanitize-payload resetchannels -@all"


def test_a_description_makes_the_same_user() -> None:
    made = user("on", ">x", "+@read", "-get", "+config|get", "%R~a", "~b", "&c", "(+set %W~d)")
    assert user(*joined(made.describe().decode())).describe() == made.describe()


# files


def test_a_file_is_written_and_read_back(tmp_path: Path) -> None:
    users = Users()
    users.put(users.draft(b"bob", [b"on", b">x", b"~a", b"+get", b"(+set ~b)"]))
    path = str(tmp_path / "users.acl")
    file.save(path, users)
    assert [made.describe() for made in file.load(path, "users.acl", Users())] == [
        known.describe() for known in sorted(users, key=lambda known: known.name != b"default")
    ]


def test_a_file_without_a_default_user_has_one_all_the_same() -> None:
    (default,) = file.parse(b"\n", "f", Users())
    assert default.describe() == b"on nopass sanitize-payload ~* &* +@all"


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("usr a", "f:1 should start with user keyword followed by the username."),
        ("\nuser", "f:2 should start with user keyword followed by the username."),
        ("user a\nuser a", "WARNING: Duplicate user 'a' found on line 2."),
        ("user a\tb", "'f:1: username 'a\tb' contains invalid characters."),
        (
            "user a +foo bar baz",
            "f:1: Error in applying operation '+foo': Unknown command or category name in ACL. "
            "f:1: Syntax error.",
        ),
        ("user a (+get", "f:1: Unmatched parenthesis in selector definition."),
    ],
)
def test_a_bad_file_is_refused_with_all_reasons(text: str, complaints: str) -> None:
    with pytest.raises(AclFileError) as caught:
        file.parse(text.encode(), "f", Users())
    assert str(caught.value) == f"{complaints} {NOTHING_CHANGED}"


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(AclFileError, match="opening file 'f': No such file or directory"):
        file.load(str(tmp_path / "f"), "f", Users())


# the log


def noted(log: AclLog, now: int, what: bytes, limit: int = 3) -> None:
    log.add(limit, now, Reason.KEY, "toplevel", what, b"alice", b"id=%d" % now)


def test_equal_refusals_within_a_minute_are_one_entry() -> None:
    log = AclLog()
    noted(log, 1_000, b"a")
    noted(log, 2_000, b"b")
    noted(log, 61_000, b"a")
    first, second = log.newest(10)
    assert (first.object, first.count, first.number) == (b"a", 2, 0)
    assert (first.created_at, first.updated_at, first.client) == (1_000, 61_000, b"id=61000")
    assert second.object == b"b"
    noted(log, 121_001, b"a")
    assert [(entry.object, entry.number, entry.count) for entry in log.newest(10)] == [
        (b"a", 2, 1), (b"a", 0, 2), (b"b", 1, 1),
    ]  # fmt: skip


def test_the_log_keeps_the_newest() -> None:
    log = AclLog()
    for number in range(5):
        noted(log, number, b"%d" % number)
    assert [entry.object for entry in log.newest(10)] == [b"4", b"3", b"2"]
    noted(log, 5, b"5", limit=0)
    assert len(log) == 0
    noted(log, 6, b"6" * 1_000_000)
    assert len(log.newest(1)[0].object) == LONGEST_NAME
    log.clear()
    assert len(log) == 0
