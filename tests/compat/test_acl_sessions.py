"""What connected users may do, as their rights change under them: stories played to our worker and to Redis.

A story has one line a step, `who: command`; each name is a connection of its own, opened when it first
speaks. A step's answer is the reply, or that the connection is closed; `who?` waits until it is.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from node.words import split_words
from tests.compat.scripts import CLOSED
from tests.compat.test_acl import Servers, emptied
from tests.compat.test_acl import servers as servers  # the fixture
from tests.harness.resp import Error, Map, Push, Resp, encode
from tests.harness.servers import Server
from tests.harness.wait import eventually


def play(server: Server, story: str, protocol: int = 2) -> list[tuple[str, Any]]:
    """Each step with its answer."""
    answers: list[tuple[str, Any]] = []
    connections: dict[str, Resp] = {}
    with contextlib.ExitStack() as stack:
        for line in filter(None, map(str.strip, story.splitlines())):
            if line.endswith("?"):
                who, answer = line[:-1], connections[line[:-1]].read_until_closed()
                answers.append((line, answer))
                continue
            who, _, command = line.partition(": ")
            if who not in connections:
                connections[who] = stack.enter_context(server.resp())
                if protocol != 2:
                    connections[who].command("HELLO", protocol)  # refused before a login, alike
            answers.append((line, answer_of(connections[who], command.replace("LUA", LUA))))
    return answers


def answer_of(connection: Resp, command: str) -> Any:
    try:
        return without_variables(connection.command(*split_words(command.encode())))
    except (ConnectionError, EOFError):
        return CLOSED


VARIABLE = (b"client-info", b"age-seconds", b"timestamp-created", b"timestamp-last-updated", b"entry-id")


def without_variables(reply: Any) -> Any:
    """Entries of ACL LOG without what differs from run to run; anything else as it is."""
    if not isinstance(reply, list):
        return reply
    return [without_moment(each) if is_entry(each) else each for each in reply]


def is_entry(item: Any) -> bool:
    return (isinstance(item, Map) and item.pairs[0][0] == b"count") or (
        isinstance(item, list) and len(item) == 20 and item[0] == b"count"
    )


def without_moment(entry: Any) -> dict[bytes, Any]:
    pairs = entry.pairs if isinstance(entry, Map) else list(zip(entry[::2], entry[1::2], strict=True))
    assert [name for name, _ in pairs][5:] == [b"age-seconds", b"client-info", *VARIABLE[4:], *VARIABLE[2:4]]
    return {name: value for name, value in pairs if name not in VARIABLE}


def stories(text: str) -> dict[str, str]:
    """Name → lines; a story begins with `== its name`."""
    return {name: lines for name, _, lines in (each.partition("\n") for each in text.split("== ")[1:])}


LUA = "function(keys, args) return redis.call(args[1], args[2]) end"
"""What LUA in a story stands for."""

STORIES = stories((Path(__file__).parent / "scripts" / "acl_stories.txt").read_text())

REDIS_ONLY = {
    "the default user has a password",
    "scripts",
    "functions",
    "new users hear what the setting says",
}
"""Stories in which Valkey shows users by other fields, or says the same in other words."""


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("name", STORIES)
def test_stories(servers: Servers, name: str, protocol: int) -> None:
    mine = play(emptied(servers["shoal"]), STORIES[name], protocol)
    theirs = play(emptied(servers["redis"]), STORIES[name], protocol)
    assert [(m, t) for m, t in zip(mine, theirs, strict=True) if m != t] == []


def test_blocked_clients_are_judged_when_they_are_woken(servers: Servers) -> None:
    for server in (servers["shoal"], servers["redis"]):
        emptied(server)
        with server.resp() as root, server.resp() as waiter:
            root.command("ACL", "SETUSER", "al", "on", "nopass", "+@all", "~*")
            waiter.command("AUTH", "al", "x")
            waiter.send_command("BLPOP", "k", "0")
            eventually(lambda: b"blocked_clients:1" in root.command("INFO", "clients"), "it is blocked")
            root.command("ACL", "SETUSER", "al", "-blpop")
            root.command("RPUSH", "k", "v")
            assert waiter.read() == Error("NOPERM User al has no permissions to run the 'blpop' command")
            assert root.command("LLEN", "k") == 1


def test_who_listened_before_logging_in_is_judged_when_the_user_changes(servers: Servers) -> None:
    for server in (servers["shoal"], servers["redis"]):
        emptied(server)
        with server.resp() as root, server.resp(protocol=3) as listener:
            root.command("ACL", "SETUSER", "al", "on", "nopass", "+@all", "~*", "&a")
            assert isinstance(listener.command("SUBSCRIBE", "other"), Push)
            listener.command("AUTH", "al", "x")
            root.command("PUBLISH", "other", "m")
            assert listener.read() == Push([b"message", b"other", b"m"])
            root.command("ACL", "SETUSER", "al", "&b")
            assert listener.read_until_closed() == b""


@pytest.mark.parametrize("name", [name for name in STORIES if name not in REDIS_ONLY])
def test_stories_of_valkey(servers: Servers, name: str) -> None:
    mine = play(emptied(servers["shoal"]), STORIES[name])
    theirs = play(emptied(servers["valkey"]), STORIES[name])
    assert [(m, t) for m, t in zip(mine, theirs, strict=True) if m != t] == []


PIPELINE = r"""
GET k
ACL SETUSER default -get
GET k
SET k v
ACL SETUSER default +get resetkeys ~k
GET k
GET x
MULTI
GET k
ACL SETUSER default -get
EXEC
ACL SETUSER default +get allkeys
GET x
"""


def test_rights_change_from_one_pipelined_request_to_the_next(servers: Servers) -> None:
    commands = [split_words(line.encode()) for line in PIPELINE.split("\n") if line]
    raw = []
    for server in (servers["shoal"], servers["redis"]):
        with emptied(server).resp() as connection:
            connection.send(b"".join(encode(*command) for command in commands))
            raw.append([connection.read_raw() for _ in commands])
    assert raw[0] == raw[1]


def test_inline_requests_are_judged(servers: Servers) -> None:
    raw = []
    for server in (servers["shoal"], servers["redis"]):
        emptied(server).run("ACL", "SETUSER", "al", "on", "nopass", "+get", "~k")
        with server.resp() as connection:
            connection.send(b"AUTH al x\r\nGET k\r\nGET x\r\nSET k v\r\n")
            raw.append([connection.read_raw() for _ in range(4)])
    assert raw[0] == raw[1]


def test_refusals_are_counted(servers: Servers) -> None:
    counted = []
    for server in (servers["shoal"], servers["redis"]):
        emptied(server).run("CONFIG", "RESETSTAT")
        before = denials(server)
        play(server, STORIES["log"])
        play(server, STORIES["channels"])
        counted.append({name: count - before[name] for name, count in denials(server).items()})
    assert counted[0] == counted[1]
    assert all(counted[0].values())


def denials(server: Server) -> dict[str, int]:
    return {
        name: count for name, count in server.info("stats").items() if name.startswith("acl_access_denied")
    }
