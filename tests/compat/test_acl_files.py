"""Users of files and of redis.conf beside redis-server: read, refused, written, read again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.harness.resp import Simple
from tests.harness.servers import NotStarted, Oracle, Server, ShoalNode

KINDS = ("shoal", "redis")
GOOD = "user al on nopass ~k* +get\n\n  user default on nopass ~* +@all   \n"

Both = dict[str, Server]


def made(kind: str, **settings: str) -> Server:
    return ShoalNode(**settings) if kind == "shoal" else Oracle(kind, **settings)


@contextmanager
def with_file(kind: str, text: str) -> Iterator[Server]:
    server = made(kind, aclfile="users.acl")
    (server.directory / "users.acl").write_bytes(text.encode())
    with server:
        yield server


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    with with_file("shoal", GOOD) as ours, with_file("redis", GOOD) as theirs:
        yield {"shoal": ours, "redis": theirs}


FILES = {
    "good": GOOD,
    "empty": "",
    "without the default user": "user al on >x -@all\n",
    "selectors": "user al on (+get ~a) ( +set\t%W~b )\nuser bo (+get %R~b &c)\n",
    "unknown command": "user al +nosuch -@nosuch foo bar\nuser bo +@what\n",
    "no user": "usr al on\n",
    "no name": "user\n",
    "twice": "user al on\nuser al off\n",
    "odd name": "user a\tl on\n",
    "two spaces": "user  al on\n",
    "comment": "# users\nuser al\n",
    "pattern after all": "user al ~* ~k\n",
    "bad hash": "user al #abc !abc <x\n",
    "quotes": 'user al "~a b"\n',
    "carriage returns": "user al on ~a\r\nuser bo\r\n",
    "in upper case": "USER al on\n",
}


@pytest.mark.parametrize("name", FILES)
def test_loading(both: Both, name: str) -> None:
    told = {}
    for kind, server in both.items():
        path = server.directory / "users.acl"
        path.write_bytes(GOOD.encode())
        assert server.run("ACL", "LOAD") == Simple("OK")
        path.write_bytes(FILES[name].encode())
        told[kind] = (server.run("ACL", "LOAD"), server.run("ACL", "LIST"), server.run("ACL", "USERS"))
    assert told["shoal"] == told["redis"]


def test_saving(both: Both) -> None:
    told = {}
    for kind, server in both.items():
        path = server.directory / "users.acl"
        path.write_bytes(GOOD.encode())
        with server.resp() as connection:
            connection.command("ACL", "LOAD")
            connection.command("ACL", "SETUSER", "zoe", "on", ">x", "+@read", "-get", "&c", "(+set %W~x ~y)")
            connection.command("ACL", "SETUSER", "al", "+config|get", "+select|0")
            assert connection.command("ACL", "SAVE") == Simple("OK")
            before = connection.command("ACL", "LIST")
            assert connection.command("ACL", "LOAD") == Simple("OK")
            assert connection.command("ACL", "LIST") == before
        told[kind] = path.read_bytes()
    assert told["shoal"] == told["redis"]


def test_loading_takes_away_rights_from_who_is_connected(both: Both) -> None:
    for server in both.values():
        path = server.directory / "users.acl"
        path.write_text("user al on nopass ~* &* +@all\nuser bo on nopass ~* &a &b +@all\n")
        assert server.run("ACL", "LOAD") == Simple("OK")
        with server.resp() as al, server.resp() as bo, server.resp() as listener, server.resp() as nobody:
            for connection, name in ((al, "al"), (bo, "bo"), (listener, "bo")):
                assert connection.command("AUTH", name, "x") == Simple("OK")
            listener.command("SUBSCRIBE", "a")
            path.write_text("user bo on nopass ~* &b +get\n")
            assert nobody.command("ACL", "LOAD") == Simple("OK")
            assert al.read_until_closed() == b""
            assert listener.read_until_closed() == b""
            assert bo.command("SET", "k", "v").prefix == "NOPERM"
            assert bo.command("ACL", "WHOAMI").prefix == "NOPERM"
            assert nobody.command("ACL", "WHOAMI") == b"default"


@pytest.mark.parametrize("name", ["unknown command", "no user", "twice", "bad hash"])
def test_a_bad_file_ends_the_start(name: str) -> None:
    told = {}
    for kind in KINDS:
        with pytest.raises(NotStarted, match="ended with code 1") as caught, with_file(kind, FILES[name]):
            pass
        (line,) = [line for line in str(caught.value).splitlines() if "ACL errors: " in line]
        told[kind] = line.partition(" # ")[2]
    assert told["shoal"] == told["redis"]


USER_LINES = [
    ["al"],
    ["al on +get ~k"],
    ["al on +get", "bo >x -@all"],
    ["default on nopass +get ~k"],
    ["al on", "al off"],
    ["al foo"],
    ["al +nosuch"],
    ["al ~* ~k"],
    ["al !abc"],
    ['"a b" on'],
    ['al "(+get ~k)" +@all'],
]


@pytest.mark.parametrize("lines", USER_LINES, ids="|".join)
def test_users_of_redis_conf(lines: list[str]) -> None:
    told = {}
    for kind in KINDS:
        server = made(kind)
        path = server.directory / "redis.conf"
        path.write_text("".join(f"user {line}\n" for line in lines))
        server.command = with_configuration(server, str(path))  # type: ignore[method-assign]
        try:
            with server:
                told[kind] = [server.run("ACL", "LIST")]
        except NotStarted as error:
            told[kind] = complaints(str(error))
    shown = [said.replace("!abc", "(redacted)") if isinstance(said, str) else said for said in told["redis"]]
    assert told["shoal"] == shown  # what may be a password, or the hash of one, is not told


def with_configuration(server: Server, path: str) -> object:
    program, arguments = server.program(), server.command()
    return lambda: [*program, path, *arguments[len(program) :]]


def complaints(log: str) -> list[str]:
    """What follows the level of a log line, or is no log line at all; the start's own lines left out."""
    lines = [line.partition(" # ")[2] or line for line in log.splitlines() if " * " not in line]
    told = [line for line in lines if line.strip() and not any(word in line for word in NOT_ABOUT_USERS)]
    # Redis names another word of the line than the user.
    return [re.sub("user declaration '.*?'", "user declaration", line) for line in told]


NOT_ABOUT_USERS = ("ended with code", "***", "WARNING Memory overcommit")


def test_users_in_two_places(tmp_path: object) -> None:
    told = {}
    for kind in KINDS:
        server = made(kind, aclfile="users.acl", user="al on")
        with pytest.raises(NotStarted) as caught, server:
            pass
        told[kind] = [line for line in complaints(str(caught.value)) if "ACL file path is invalid" in line]
    assert told["shoal"] == told["redis"]
    assert len(told["shoal"]) == 1


def test_rewriting_the_configuration() -> None:
    told = {}
    for kind in KINDS:
        server = made(kind)
        path = server.directory / "redis.conf"
        path.write_text("user bo on +get\nrequirepass foo\nuser zoe off\n# the end\n")
        server.command = with_configuration(server, str(path))  # type: ignore[method-assign]
        with server, server.resp() as connection:
            assert connection.command("AUTH", "foo") == Simple("OK")
            connection.command("ACL", "SETUSER", "al", "~x", "(+get ~y)")
            connection.command("ACL", "SETUSER", "bo", ">x")
            connection.command("ACL", "DELUSER", "zoe")
            assert connection.command("CONFIG", "REWRITE") == Simple("OK")
            kept = ("user ", "requirepass", "#")
            told[kind] = [line for line in path.read_text().splitlines() if line.startswith(kept)]
    assert told["shoal"] == told["redis"]
