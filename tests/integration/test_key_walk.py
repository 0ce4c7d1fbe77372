"""Going through keys ends at once, also in the middle of a pause of many minutes."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest

from cluster.operations.key_walk import Examine, Source, Walk
from cluster.operations.link import ANONYMOUS, NodeLink
from tests.harness.resp import encode
from tests.harness.servers import ShoalNode

KEYS = 1000


@pytest.fixture
def source(shoal_node: ShoalNode) -> Source:
    with shoal_node.resp() as connection:
        connection.send(b"".join(encode("SET", f"key:{n}", "x") for n in range(KEYS)))
        assert all(connection.read().text == "OK" for _ in range(KEYS))
    return Source(shoal_node.host, shoal_node.port)


@pytest.fixture
def slow(source: Source) -> Walk:
    """The second half would be looked at after 500 seconds."""
    return Walk([source] * 2, ANONYMOUS, rate=1, portion=KEYS // 2)


def test_a_wish_to_stop_is_heard_while_it_pauses(slow: Walk) -> None:
    seen: list[bytes] = []

    def examine(link: NodeLink, database: int, keys: Sequence[bytes]) -> None:
        seen.extend(keys)
        slow.request_stop()

    began = time.monotonic()
    slow.run(lambda _: examine, lambda: None)
    assert time.monotonic() - began < 60
    assert slow.stop_requested and not slow.is_complete
    assert 0 < len(seen) < 2 * KEYS and sum(each.seen for each in slow.progress) == len(seen)


def test_who_pauses_is_not_waited_for_when_the_next_cannot_begin(slow: Walk) -> None:
    """So an interrupt is as prompt that comes up while the threads are started."""
    first, pausing = threading.Event(), threading.Event()

    def begin(_: Source) -> Examine:
        if first.is_set():
            assert pausing.wait(10)
            raise KeyboardInterrupt
        first.set()
        return lambda *_: pausing.set()

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        slow.run(begin, lambda: None)
    assert time.monotonic() - began < 60
