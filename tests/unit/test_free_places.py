"""Free memory goes back to the system place by place."""

from __future__ import annotations

from node.core import memory
from node.metrics import process

MB = 1 << 20
PIECE = 60_000


def fill() -> list[bytes]:
    """36 MB of blocks that are not asked of the system one by one."""
    return [b"%d" % (n % 10) * PIECE for n in range(600)]


def test_large_free_places_are_given_back_one_at_a_time() -> None:
    kept = fill()
    pin = b"p" * PIECE  # what is free before it does not go back by itself
    full = process.anonymous_bytes()
    kept.clear()
    freed = 0
    while memory.hollow():
        freed += 1
    assert freed >= 30
    assert process.anonymous_bytes() < full - 30 * MB, "they are gone before `trim`"
    memory.fill_in()
    assert memory.hollow(), "and free again"
    memory.fill_in()
    kept = fill()
    assert all(block == block[:1] * PIECE for block in kept)
    assert pin == b"p" * PIECE
