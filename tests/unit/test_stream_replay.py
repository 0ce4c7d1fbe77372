"""Our primary's stream, executed and passed on: cut anyhow, in slices, with what is no data, and stopped."""

from __future__ import annotations

import pytest

from node.config import Config
from node.core.replay import Damaged
from node.core.reply_writer import encode_command
from node.core.stream_replay import StreamReplay
from node.log import Log
from node.worker import Worker

LONGEST = 1 << 32


class Follower:
    """A worker that executes a stream, with what its trail and its log get of it."""

    def __init__(self) -> None:
        self.worker = Worker(Config.from_args([]), Log("nothing"))
        self.session = self.worker.internal_session()
        self.passed_on: list[bytes] = []
        self.logged: list[bytes] = []
        self.by_hand: list[list[bytes]] = []
        self.errors: list[tuple[str, str]] = []
        self.stops_at = b""
        self.worker.trail.attach_log(self.logged.append)
        self.worker.trail.attach(self.passed_on.append)
        self.stream = StreamReplay(
            self.session, LONGEST, self._perform, lambda name, text: self.errors.append((name, text))
        )

    def _perform(self, argv: list[bytes], name: bytes) -> bool:
        self.by_hand.append(argv)
        self.worker.trail.flush()
        if name == self.stops_at:
            self.stream.stop()
        elif name != b"REPLCONF":
            self.session.apply(argv)
        return name != b"REPLCONF"

    def feed(self, stream: bytes, step: int = 1 << 30, nanoseconds: int = 0) -> None:
        for start in range(0, len(stream), step):
            if not self.stream.feed(stream[start : start + step], nanoseconds):
                while not self.stream.feed(b"", nanoseconds):
                    pass
        self.worker.trail.flush()

    @property
    def data(self) -> dict[bytes, object]:
        return {key: value for key, value, _ in self.worker.databases[0].entries()}


def stream_of(*commands: str) -> bytes:
    return b"".join(encode_command([word.encode() for word in command.split()]) for command in commands)


STREAM = stream_of(
    "SELECT 0", "SET a 1", "PING", "INCR a", "REPLCONF GETACK *", "MULTI", "SET b 1", "PUBLISH c m",
    "SET b 2", "EXEC", "PUBLISH c m", "PEXPIREAT a 4000000000000", "PERSIST a", "SPUBLISH c m", "SET c 1",
)  # fmt: skip
LOGGED = stream_of(
    "SELECT 0", "SET a 1", "INCR a", "MULTI", "SET b 1", "PUBLISH c m", "SET b 2", "EXEC",
    "PEXPIREAT a 4000000000000", "PERSIST a", "SET c 1",
)  # fmt: skip


@pytest.mark.parametrize("step", [1, 2, 7, 64, 1000])
@pytest.mark.parametrize("nanoseconds", [0, 1])
def test_all_is_executed_and_passed_on_and_data_is_logged(step: int, nanoseconds: int) -> None:
    follower = Follower()
    follower.feed(STREAM, step, nanoseconds)
    assert follower.data == {b"a": b"2", b"b": b"2", b"c": b"1"}
    assert b"".join(follower.passed_on) == STREAM
    assert follower.worker.trail.offset == len(STREAM)
    assert b"".join(follower.logged) == LOGGED
    assert follower.by_hand == [[b"REPLCONF", b"GETACK", b"*"]]
    assert follower.stream.commands == 15


def test_a_slice_is_short() -> None:
    follower = Follower()
    assert not follower.stream.feed(stream_of("INCR a") * 1000, 1)
    follower.worker.trail.flush()
    assert 0 < int(follower.data[b"a"]) < 1000  # type: ignore[call-overload]
    assert b"".join(follower.passed_on) == stream_of("INCR a") * int(follower.data[b"a"])  # type: ignore[call-overload]


def test_a_transaction_is_passed_on_when_it_is_whole() -> None:
    follower = Follower()
    begun, end = stream_of("SET a 1", "MULTI", "SET a 2"), stream_of("EXEC")
    follower.feed(begun + end[:5], 11)
    assert b"".join(follower.passed_on) == stream_of("SET a 1")
    follower.feed(end[5:])
    assert b"".join(follower.passed_on) == begun + end
    assert follower.data == {b"a": b"2"}


def test_commands_by_hand_find_the_offset_that_precedes_them() -> None:
    follower = Follower()
    follower.feed(stream_of("SET a 1", "SCRIPT FLUSH", "SET b 1", "NOBODY knows", "SET c 1"))
    assert follower.passed_on[:2] == [stream_of("SET a 1"), stream_of("SCRIPT FLUSH", "SET b 1")]
    assert len(follower.by_hand) == 2
    assert len(follower.data) == 3


def test_everything_by_hand() -> None:
    follower = Follower()
    follower.stream.all_by_hand = True
    follower.feed(stream_of("SET a 1", "PING"))
    assert [argv[0] for argv in follower.by_hand] == [b"SET", b"PING"]


def test_nothing_follows_once_it_is_stopped() -> None:
    follower = Follower()
    follower.stops_at = b"SCRIPT"
    follower.feed(stream_of("SET a 1", "SCRIPT FLUSH", "SET a 2"))
    assert follower.data == {b"a": b"1"}
    assert b"".join(follower.passed_on) == stream_of("SET a 1")


def test_failures_are_told() -> None:
    follower = Follower()
    follower.feed(stream_of("SET a x", "INCR a", "LPUSH a 1", "SET a 1"))
    assert [name for name, _ in follower.errors] == ["INCR", "LPUSH"]
    assert follower.errors[1][1].startswith("WRONGTYPE")


def test_what_expired_here_exists_for_the_primary() -> None:
    follower = Follower()
    follower.feed(stream_of("SET a 1 PXAT 1", "APPEND a 2", "MULTI", "SELECT 1", "SET b 1 PXAT 1", "EXEC"))
    follower.feed(stream_of("INCR b", "PERSIST b", "SELECT 0", "PERSIST a"))
    assert follower.data == {b"a": b"12"}
    assert [(key, value) for key, value, _ in follower.worker.databases[1].entries()] == [(b"b", b"2")]


def test_empty_lines_count_and_are_not_logged() -> None:
    follower = Follower()
    stream = b"\n" + stream_of("SET a 1") + b"\r\n\n" + stream_of("SET b 1")
    follower.feed(stream, 3)
    assert b"".join(follower.passed_on) == stream
    assert b"".join(follower.logged) == stream_of("SET a 1", "SET b 1")


@pytest.mark.parametrize(
    "noise",
    [b"PING\r\n", b"*1\r\n+OK\r\n", b"*" + b"1" * 100 + b"\r\n", b"*1\r\n$99999999999\r\n", b"*0\r\n", b"\0"],
)
def test_something_else_is_refused_behind_what_was_right(noise: bytes) -> None:
    follower = Follower()
    with pytest.raises(Damaged):
        follower.feed(stream_of("SET a 1") + noise)
    follower.worker.trail.flush()
    assert follower.data == {b"a": b"1"}
    assert b"".join(follower.passed_on) == stream_of("SET a 1")
