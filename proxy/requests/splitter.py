"""One request with keys of many slots into one request per slot.

A worker of a cluster refuses two slots in one command even if it serves both, so the unit is the slot, not
the worker. What is split loses its atomicity across slots: that is the bargain every proxy of a sharded store
offers for MSET. Within a slot, order and atomicity stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from node.commands import TABLE
from node.core.key_slot import key_slot
from proxy.requests.codec import encode_request

SPLIT = {
    row.name: row.key_specs[0].step
    for row in TABLE.values()
    if row.request_policy == "multi_shard" and row.key_specs[0].last == -1
}
"""Commands that the table says may be split: name -> arguments per key, the key being the first. Only those
that are nothing but keys and their values: the options of MSETEX would have to hold for all parts or none."""


class Part(NamedTuple):
    slot: int
    items: list[int]
    """which keys of the request, counted from 0"""
    request: bytes


def split(argv: Sequence[bytes], width: int) -> list[Part]:
    """The parts of `argv`, in order of first appearance of their slots. `width` as in SPLIT."""
    by_slot: dict[int, list[int]] = {}
    for item in range((len(argv) - 1) // width):
        by_slot.setdefault(key_slot(argv[1 + item * width]), []).append(item)
    return [_part(argv, width, slot, items) for slot, items in by_slot.items()]


def singly(argv: Sequence[bytes], width: int, part: Part) -> list[Part]:
    """`part` with each key in a request of its own: these a worker can serve while its slot moves."""
    return [_part(argv, width, part.slot, [item]) for item in part.items]


def _part(argv: Sequence[bytes], width: int, slot: int, items: list[int]) -> Part:
    arguments = [argv[0]]
    for item in items:
        start = 1 + item * width
        arguments += argv[start : start + width]
    return Part(slot, items, encode_request(arguments))
