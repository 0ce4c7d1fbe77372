"""COMMANDLOG beside valkey-server: its answers, and which commands are large."""

from __future__ import annotations

import pytest

from tests.compat.scripts import assert_same
from tests.harness.resp import Error, encode
from tests.harness.servers import Oracle, Server, ShoalNode

SCRIPT = [
    *("COMMANDLOG RESET slow", "COMMANDLOG RESET large-request", "COMMANDLOG RESET LARGE-REPLY"),
    *("COMMANDLOG", "COMMANDLOG GET", "COMMANDLOG GET 10", "COMMANDLOG GET 10 foo", "COMMANDLOG GET x slow"),
    *("COMMANDLOG GET -2 slow", "COMMANDLOG GET 10 slow extra", "COMMANDLOG GET 10 slow"),
    *("COMMANDLOG GET x foo", "COMMANDLOG LEN", "COMMANDLOG LEN foo", "COMMANDLOG LEN SLOW"),
    *("COMMANDLOG RESET", "COMMANDLOG RESET foo", "COMMANDLOG NONSENSE"),
    *(f"CONFIG GET commandlog-{what}" for what in ("request-larger-than", "reply-larger-than")),
    *(f"CONFIG GET commandlog-large-{what}-max-len" for what in ("request", "reply")),
    "CONFIG SET commandlog-request-larger-than -2",
]


@pytest.mark.parametrize("protocol", [2, 3])
def test_replies(shoal_node: ShoalNode, valkey_oracle: Oracle, protocol: int) -> None:
    assert_same(shoal_node, valkey_oracle, SCRIPT, protocol)


def limit(server: Server, request: int, reply: int) -> None:
    server.run(
        *("CONFIG", "SET", "commandlog-request-larger-than", str(request)),
        *("commandlog-reply-larger-than", str(reply)),
    )


@pytest.fixture
def servers(shoal_node: ShoalNode, valkey_oracle: Oracle) -> list[Server]:
    """Both with empty logs, of which CONFIG SET is no part; usual limits afterwards."""
    found: list[Server] = [shoal_node, valkey_oracle]
    for server in found:
        server.run("FLUSHALL")
    return found


def logged(server: Server, commands: list[list[bytes]], request: int, reply: int) -> list[object]:
    """The entries of the two logs, oldest first, that these commands leave: (bytes, command, client name)."""
    with server.resp() as connection:
        connection.command("CLIENT", "SETNAME", "me")
        limit(server, request, reply)
        server.run("COMMANDLOG", "RESET", "large-request")
        server.run("COMMANDLOG", "RESET", "large-reply")
        connection.send(b"".join(encode(*command) for command in commands))
        for _ in commands:
            connection.read()
        limit(server, -1, -1)
    entries = [server.run("COMMANDLOG", "GET", "-1", f"large-{kind}") for kind in ("request", "reply")]
    for newest_first in entries:
        numbers = [entry[0] for entry in newest_first]
        assert numbers == sorted(numbers, reverse=True)
        assert all(abs(entry[1] - int(server.run("TIME")[0])) < 60 for entry in newest_first)
    limit(server, 1 << 20, 1 << 20)
    return [
        [(entry[2], entry[3], entry[5]) for entry in reversed(newest_first) if entry[5] == b"me"]
        for newest_first in entries
    ]


COMMANDS = [
    [b"SET", b"k", b"x" * 71],
    [b"SET", b"k", b"x" * 72],
    [b"SET", b"k", b"x" * 73],
    [b"GET", b"k"],
    [b"SET", b"k", b"x" * 500],
    [b"GET", b"k"],
    [b"PING"],
    [b"MGET", b"k", b"none"],
    [b"RPUSH", b"l", *(b"%d" % n for n in range(50))],
    [b"LRANGE", b"l", b"0", b"-1"],
    [b"INCR", b"n"],
]


@pytest.mark.parametrize(("request_limit", "reply_limit"), [(100, 100), (-1, 200), (300, -1), (0, 0)])
def test_large_commands(servers: list[Server], request_limit: int, reply_limit: int) -> None:
    """In one pipeline, so that the core carries them out together."""
    ours, theirs = (logged(server, COMMANDS, request_limit, reply_limit) for server in servers)
    assert ours == theirs
    assert bool(ours[0]) == (request_limit >= 0)
    assert bool(ours[1]) == (reply_limit >= 0)


def test_requests_beyond_the_receive_buffer(servers: list[Server]) -> None:
    commands = [[b"PING"], [b"SET", b"big", b"x" * 300_000], [b"GET", b"big"], [b"PING"]]
    ours, theirs = (logged(server, commands, 200_000, 200_000) for server in servers)
    assert ours == theirs
    assert [len(log) for log in ours] == [1, 1]


def test_logs_are_cut(servers: list[Server]) -> None:
    for server in servers:
        server.run("CONFIG", "SET", "commandlog-large-reply-max-len", "2")
        assert [bytes_ for bytes_, *_ in logged(server, [[b"PING"], [b"ECHO", b"x" * 9]] * 3, -1, 5)[1]] == [
            7,
            15,
        ]
        server.run("CONFIG", "SET", "commandlog-large-reply-max-len", "128")


def test_a_transaction_counts_as_it_came(shoal_node: ShoalNode) -> None:
    commands = [[b"MULTI"], [b"SET", b"k", b"x" * 200], [b"GET", b"k"], [b"EXEC"]]
    requests, replies = logged(shoal_node, commands, 200, 200)
    assert [argv[0] for _, argv, _ in requests] == [b"SET"]
    assert [argv for _, argv, _ in replies] == [[b"EXEC"]]


def test_a_script_is_one_command(shoal_node: ShoalNode) -> None:
    """Valkey also logs what it calls."""
    commands = [[b"SET", b"k", b"x" * 200], [b"EVAL", b"return redis.call('get', KEYS[1])", b"1", b"k"]]
    assert [argv[0] for _, argv, _ in logged(shoal_node, commands, -1, 200)[1]] == [b"EVAL"]


def test_secrets_are_not_kept(shoal_node: ShoalNode) -> None:
    requests, _ = logged(shoal_node, [[b"ACL", b"SETUSER", b"someone", b">" + b"p" * 100]], 50, -1)
    assert [argv for _, argv, _ in requests] == [[b"ACL", b"SETUSER", b"(redacted)", b"(redacted)"]]
    shoal_node.run("ACL", "DELUSER", "someone")


def test_inline_requests(shoal_node: ShoalNode) -> None:
    limit(shoal_node, 0, 0)
    shoal_node.run("COMMANDLOG", "RESET", "large-request")
    with shoal_node.resp() as connection:
        connection.send(b"ECHO 'two words'\r\n\r\nPING 'no end\r\n")
        assert connection.read() == b"two words"
        assert connection.read() == Error("ERR Protocol error: unbalanced quotes in request")
    limit(shoal_node, 1 << 20, 1 << 20)
    entries = shoal_node.run("COMMANDLOG", "GET", "-1", "large-request")
    assert [b"ECHO", b"two words"] in [entry[3] for entry in entries]
