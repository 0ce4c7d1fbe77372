"""The load generator: it counts replies whatever they look like and however they come, and what is due."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.bench.load import Request, Traffic, closed_loop, open_loop

ECHO = Request.of(("ECHO", "__rand_int__"))
SHAPES = (
    b"+OK\r\n",
    b":-12\r\n",
    b"$-1\r\n",
    b"$0\r\n\r\n",
    b"$5\r\n*\r\n$1\r\n",
    b"*-1\r\n",
    b"*0\r\n",
    b"*3\r\n$1\r\na\r\n*2\r\n:1\r\n*0\r\n+x\r\n",
)


@contextmanager
def answered(
    answer: Callable[[int], bytes], piece: int = 1 << 20
) -> Iterator[tuple[socket.socket, list[bytes]]]:
    """A connection to someone who answers the n-th request by `answer(n)`, sent in pieces, and what came."""
    here, there = socket.socketpair()
    came: list[bytes] = []

    def serve() -> None:
        left = b""
        while data := there.recv(1 << 16):
            left += data
            while len(left) >= len(ECHO.frame):
                came.append(left[: len(ECHO.frame)])
                left = left[len(ECHO.frame) :]
                reply = answer(len(came) - 1)
                for start in range(0, len(reply), piece):
                    there.sendall(reply[start : start + piece])

    def serve_while_wanted() -> None:
        with suppress(ConnectionError):  # after an error the other end is closed with replies in it
            serve()

    thread = threading.Thread(target=serve_while_wanted)
    thread.start()
    try:
        yield here, came
    finally:
        here.close()
        thread.join()
        there.close()


@pytest.mark.parametrize("piece", [1, 3, 1 << 20])
def test_replies_of_all_shapes_are_counted(piece: int) -> None:
    with answered(lambda number: SHAPES[number % len(SHAPES)], piece) as (link, came):
        sample = closed_loop([link], [], Traffic(ECHO, 5, 1, 1000), 5 * len(SHAPES))
    assert len(came) == 5 * len(SHAPES)
    assert sample.throughput > 0 and sample.p50 <= sample.p999


def test_random_numbers_are_drawn_anew_within_the_keyspace() -> None:
    with answered(lambda _: b"+OK\r\n") as (link, came):
        closed_loop([link], [], Traffic(ECHO, 10, 1, 50), 1000)
    numbers = [int(frame.split(b"\r\n")[-2]) for frame in came]
    assert all(len(frame.split(b"\r\n")[-2]) == 12 for frame in came)
    assert set(numbers) == set(range(50))


def test_an_error_ends_it_with_its_words() -> None:
    with (
        answered(lambda _: b"-WRONGTYPE no\r\n") as (link, _),
        pytest.raises(RuntimeError, match=r"^WRONGTYPE no$"),
    ):
        closed_loop([link], [], Traffic(ECHO, 1, 1, 1), 10)


def test_a_pause_counts_for_all_that_was_due_in_it() -> None:
    pause, rate, seconds = 0.2, 500.0, 0.4

    def answer(number: int) -> bytes:
        if number == 100:  # in the midst of it, and after the warm-up
            time.sleep(pause)
        return b"+OK\r\n"

    with answered(answer) as (link, came):
        sample = open_loop([link], [], Traffic(ECHO, 1, 1, 1), rate, seconds, seed=1)
    # In a closed loop with one connection only one request in two hundred would have waited.
    assert sample.p99 >= pause * 900
    assert sample.p50 < sample.p99
    assert 0.7 < len(came) / (rate * (seconds + 0.1)) < 1.3
