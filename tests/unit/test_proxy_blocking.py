"""What is left to wait for of a blocking command that is sent on."""

from __future__ import annotations

import math

import pytest

from node.commands import TABLE
from proxy.sessions.blocking import shortened, timeout_of
from proxy.workers.redirection import Redirection, destination


@pytest.mark.parametrize(
    "request_, seconds, after",
    [
        ("blpop a b 10", 10, "blpop a b 7.500"),
        ("blpop a 2", 2, "blpop a 0.001"),
        ("brpop a 0", math.inf, "brpop a 0"),
        ("blmpop 10.25 1 a left", 10.25, "blmpop 7.750 1 a left"),
        ("blmove a b left right 3", 3, "blmove a b left right 0.500"),
        ("xread count 1 block 10000 streams s 0", 10, "xread count 1 block 7500 streams s 0"),
        ("xread block 0 streams s $", math.inf, "xread block 0 streams s $"),
        ("blpop a soon", 0, "blpop a soon"),
        ("xreadgroup group g c block 1 streams s >", 0.001, "xreadgroup group g c block 1 streams s >"),
    ],
)
def test_time_left_after_two_and_a_half_seconds(request_: str, seconds: float, after: str) -> None:
    argv = request_.encode().split()
    command = TABLE[argv[0].decode()]
    assert timeout_of(command, argv) == seconds
    assert shortened(command, argv, 2.5) == after.encode().split()


def test_destinations() -> None:
    asked = ("10.0.0.1", 7000)
    assert destination(b"-MOVED 5 10.0.0.2:7001", asked) == Redirection(5, ("10.0.0.2", 7001), False)
    assert destination(b"-ASK 16383 ::1:7001", asked) == Redirection(16383, ("::1", 7001), True)
    assert destination(b"-MOVED 5 :7001", asked) == Redirection(5, ("10.0.0.1", 7001), False)
    for text in (b"-MOVED 16384 a:1", b"-MOVED x a:1", b"-MOVED 5", b"-MOVED 5 a:b", b"-ERR MOVED 5 a:1"):
        assert destination(text, asked) is None, text
