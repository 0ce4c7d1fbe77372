"""Streams of commands executed again: fed in any pieces, cut anywhere, damaged."""

from __future__ import annotations

import pytest

from node.config import Config
from node.core.replay import Damaged, Replay
from node.core.reply_writer import encode_command
from node.log import Log
from node.worker import Worker


@pytest.fixture(scope="module")
def worker() -> Worker:
    return Worker(Config.from_args([]), Log("nothing"))


def stream_of(*commands: str) -> bytes:
    return b"".join(encode_command([word.encode() for word in command.split()]) for command in commands)


def replayed(worker: Worker, stream: bytes, step: int = 1 << 30) -> Replay:
    """What is there afterwards is in the worker's first database."""
    for db in worker.databases:
        db.clear()
    replay = Replay(worker.internal_session())
    for start in range(0, len(stream), step):
        replay.feed(stream[start : start + step])
    return replay


def data(worker: Worker) -> dict[bytes, object]:
    return {
        key: value if isinstance(value, bytes) else list(value)
        for key, value, _ in worker.databases[0].entries()
    }


STREAM = stream_of(
    "SET a 1", "INCR a", "RPUSH l x y", "MULTI", "SET b 1", "SET c 1", "EXEC", "DEL l", "SET d 1"
)


@pytest.mark.parametrize("step", [1, 2, 7, 64, 1000])
def test_pieces_of_any_size(worker: Worker, step: int) -> None:
    replay = replayed(worker, STREAM, step)
    assert data(worker) == {b"a": b"2", b"b": b"1", b"c": b"1", b"d": b"1"}
    assert (replay.done, replay.good, replay.incomplete) == (len(STREAM), len(STREAM), False)


def test_cut_at_every_byte(worker: Worker) -> None:
    """What is whole is executed, and `good` says where that ends."""
    ends = [len(stream_of(*words)) for words in (
        ["SET a 1"], ["SET a 1", "INCR a"], ["SET a 1", "INCR a", "MULTI", "SET b 1", "SET c 1", "EXEC"],
    )]  # fmt: skip
    stream = stream_of("SET a 1", "INCR a", "MULTI", "SET b 1", "SET c 1", "EXEC")
    for length in range(len(stream) + 1):
        replay = replayed(worker, stream[:length])
        assert replay.good == max(end for end in [0, *ends] if end <= length)
        assert replay.incomplete == (length not in (0, *ends))


def test_annotations_are_passed_over(worker: Worker) -> None:
    stream = b"#TS:1\r\n" + stream_of("SET a 1") + b"#TS:2\r\n" + stream_of("SET b 1") + b"#x"
    replay = replayed(worker, stream, 3)
    assert data(worker) == {b"a": b"1", b"b": b"1"}
    assert replay.good == len(stream) - 2
    assert replay.incomplete


@pytest.mark.parametrize(
    "damage",
    [
        b"PING\r\n",
        b"*0\r\n",
        b"*x\r\n",
        b"*1\r\n:1\r\n",
        b"*2\r\n$3\r\nGET\r\n$-1\r\n",
        stream_of("NOTHING a"),
        b"\0",
    ],
)
def test_damage(worker: Worker, damage: bytes) -> None:
    good = stream_of("SET a 1", "SET b 1")
    replay = Replay(worker.internal_session())
    with pytest.raises(Damaged):
        replay.feed(good + damage + stream_of("SET c 1"))
    assert replay.done == replay.good == len(good)


def test_gates_of_the_worker_do_not_count(worker: Worker) -> None:
    before = worker.engine.gate
    worker.engine.gate = 0xFFFFFF00
    try:
        replayed(worker, stream_of("SET a 1", "HSET h f v"))
        assert len(worker.databases[0]) == 2
    finally:
        worker.engine.gate = before
