"""Our side of the talk with a primary: whole, byte by byte, and with what a primary should not say."""

from __future__ import annotations

import pytest

from node.core.reply_writer import encode_command
from node.replication.replica import (
    Continue,
    Event,
    Failed,
    FullResync,
    Introduction,
    ReplicaProtocol,
    Send,
    SnapshotBegins,
    SnapshotEnds,
    SnapshotPart,
    StreamPart,
)

OLD = "1" * 40
NEW = "2" * 40
MARK = b"0123456789abcdefghijklmnopqrstuvwxyzABCD"
PINGED = b"+PONG\r\n"
GREETED = PINGED + b"+OK\r\n+OK\r\n+OK\r\n"
SET = encode_command([b"SET", b"a", b"1"])


def protocol(**options: str) -> ReplicaProtocol:
    made = ReplicaProtocol(Introduction(port=7001, id=OLD, offset=99, **options))  # type: ignore[arg-type]
    assert made.connected() == [Send(b"*1\r\n$4\r\nPING\r\n")]
    return made


def sent(events: list[Event]) -> list[bytes]:
    return [event.data for event in events if isinstance(event, Send)]


def merged(events: list[Event]) -> list[Event]:
    """Neighbouring parts joined, so that any cutting gives the same."""
    joined: list[Event] = []
    for event in events:
        last = joined[-1] if joined else None
        if isinstance(event, SnapshotPart) and isinstance(last, SnapshotPart):
            joined[-1] = SnapshotPart(last.data + event.data)
        elif isinstance(event, StreamPart) and isinstance(last, StreamPart):
            joined[-1] = StreamPart(last.data + event.data)
        else:
            joined.append(event)
    return joined


def feed(machine: ReplicaProtocol, data: bytes, size: int) -> list[Event]:
    """`data` in pieces of `size`; a snapshot is taken to be loaded at once."""
    events: list[Event] = []
    for start in range(0, len(data), size):
        events += machine.receive(data[start : start + size])
        if machine.state == "loading":
            events += machine.loaded()
    return merged(events)


def test_introduction() -> None:
    machine = protocol(announced_ip="10.0.0.1")
    events = feed(machine, PINGED + b"+OK\r\n" * 4, 1000)
    assert sent(events) == [
        encode_command([b"REPLCONF", b"listening-port", b"7001"]),
        encode_command([b"REPLCONF", b"ip-address", b"10.0.0.1"]),
        encode_command([b"REPLCONF", b"version", b"9.0.0"]),
        encode_command([b"REPLCONF", b"capa", b"eof", b"capa", b"psync2"]),
        encode_command([b"PSYNC", OLD.encode(), b"100"]),
    ]
    assert machine.state == "psync"


def test_whoever_wants_the_snapshot_alone_says_so_and_no_port() -> None:
    machine = ReplicaProtocol(Introduction(port=0, id="?", offset=-2, rdb_only=True))
    machine.connected()
    lines = sent(feed(machine, PINGED + b"+OK\r\n" * 3, 1000))
    assert lines[0] == encode_command([b"REPLCONF", b"rdb-only", b"1"])
    assert lines[-1] == encode_command([b"PSYNC", b"?", b"-1"])
    assert not any(b"listening-port" in line for line in lines)


@pytest.mark.parametrize("pong", [b"+PONG\r\n", b"-NOAUTH Authentication required.\r\n"])
@pytest.mark.parametrize(
    ("user", "expected"), [("", [b"AUTH", b"secret"]), ("bob", [b"AUTH", b"bob", b"secret"])]
)
def test_password(pong: bytes, user: str, expected: list[bytes]) -> None:
    machine = protocol(password="secret", user=user)
    assert sent(list(machine.receive(pong))) == [encode_command(expected)]
    assert sent(list(machine.receive(b"+OK\r\n")))[0].startswith(b"*3\r\n$8\r\nREPLCONF")


def test_wrong_password() -> None:
    machine = protocol(password="secret")
    (_, failed) = machine.receive(b"+PONG\r\n-WRONGPASS invalid\r\n")
    assert failed == Failed("Unable to AUTH to MASTER: WRONGPASS invalid")


def test_an_old_primary_may_refuse_lines_of_the_introduction() -> None:
    machine = protocol()
    events = feed(machine, PINGED + b"-ERR unknown command\r\n" * 2 + b"+OK\r\n", 1000)
    assert sent(events)[-1].startswith(b"*3\r\n$5\r\nPSYNC")


VECTORS = {
    "partial": (
        GREETED + b"+CONTINUE\r\n" + SET + SET,
        [Continue(OLD), StreamPart(SET + SET)],
    ),
    "partial, promoted": (
        GREETED + b"\n\n+CONTINUE " + NEW.encode() + b"\r\n" + SET,
        [Continue(NEW), StreamPart(SET)],
    ),
    "full, sized": (
        GREETED + b"+FULLRESYNC " + NEW.encode() + b" 5\r\n\n\n$7\r\nREDIS\r\n" + SET,
        [
            FullResync(NEW, 5), SnapshotBegins(7), SnapshotPart(b"REDIS\r\n"), SnapshotEnds(),
            StreamPart(SET),
        ],
    ),
    "full, empty": (
        GREETED + b"+FULLRESYNC " + NEW.encode() + b" 5\r\n$0\r\n",
        [FullResync(NEW, 5), SnapshotBegins(0), SnapshotEnds()],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", VECTORS)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 10_000])
def test_vectors_cut_anyhow(name: str, size: int) -> None:
    data, expected = VECTORS[name]
    events = feed(protocol(), data, size)
    assert [event for event in events if not isinstance(event, Send)] == expected


@pytest.mark.parametrize("size", [1, 3, 40, 41, 10_000])
@pytest.mark.parametrize("snapshot", [b"x" * 100, b"", MARK[:39], MARK[:20] + b"x" + MARK[:39] + b"x"])
def test_a_snapshot_with_a_mark(size: int, snapshot: bytes) -> None:
    """The mark is found however it is cut, and what merely begins like it is kept."""
    machine = protocol()
    feed(machine, GREETED + b"+FULLRESYNC " + NEW.encode() + b" 5\r\n$EOF:" + MARK + b"\r\n", size)
    events = feed(machine, snapshot + MARK, size)
    parts = [SnapshotPart(snapshot)] if snapshot else []
    assert events == [*parts, SnapshotEnds()]
    assert feed(machine, SET, size) == [StreamPart(SET)]


def test_nothing_is_executed_while_loading() -> None:
    machine = protocol()
    data = VECTORS["full, sized"][0]
    events = list(machine.receive(data))
    assert machine.state == "loading"
    assert not any(isinstance(event, StreamPart) for event in events)
    assert list(machine.receive(SET)) == []
    assert list(machine.loaded()) == [StreamPart(SET + SET)]


@pytest.mark.parametrize(
    "data",
    [
        b"-LOADING Redis is loading the dataset in memory\r\n",
        GREETED + b"-NOMASTERLINK Can't SYNC while not connected with my master\r\n",
        GREETED + b"+FULLRESYNC short 5\r\n",
        GREETED + b"+FULLRESYNC " + NEW.encode() + b" x\r\n",
        GREETED + b" \r\n",
        GREETED + b"+FULLRESYNC " + NEW.encode() + b" 5\r\n-ERR no\r\n",
        GREETED + b"+FULLRESYNC " + NEW.encode() + b" 5\r\n$EOF:short\r\n",
        GREETED + b"x" * 5000,
    ],
)
@pytest.mark.parametrize("size", [1, 10_000])
def test_what_makes_no_sense_ends_the_link(data: bytes, size: int) -> None:
    machine = protocol()
    events = feed(machine, data, size)
    assert sum(isinstance(event, Failed) for event in events) == 1
    assert machine.state == "failed"
