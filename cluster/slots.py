"""Hash slots as sets: bitmaps, ranges, and the notation of CLUSTER NODES.

A set of slots is a Python integer used as a bitmap: bit n stands for slot n. Union, difference and comparison
of whole claims are then single operations, and the 2048 bytes of the bus are `to_bytes(..., "little")`
of it, because the bus numbers the bits of a byte from the lowest. People and files write the same set as
inclusive ranges, `0-5460 6000 7000-7001`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

SLOT_COUNT = 16384
BITMAP_BYTES = SLOT_COUNT // 8
NO_SLOTS = 0
ALL_SLOTS = (1 << SLOT_COUNT) - 1


def from_bytes(bitmap: bytes | bytearray) -> int:
    """The set in 2048 bytes of the bus."""
    return int.from_bytes(bitmap, "little")


def to_bytes(slots: int) -> bytes:
    """The set as 2048 bytes of the bus."""
    return slots.to_bytes(BITMAP_BYTES, "little")


def from_iterable(numbers: Iterable[int]) -> int:
    """The set of the given slot numbers (each 0..16383)."""
    bitmap = bytearray(BITMAP_BYTES)
    for number in numbers:
        bitmap[number >> 3] |= 1 << (number & 7)
    return from_bytes(bitmap)


def from_range(first: int, last: int) -> int:
    """The set first..last, both included; empty if `last` < `first`."""
    if last < first:
        return NO_SLOTS
    return ((1 << (last - first + 1)) - 1) << first


def count(slots: int) -> int:
    return slots.bit_count()


def contains(slots: int, slot: int) -> bool:
    return bool(slots >> slot & 1)


def ranges(slots: int) -> Iterator[tuple[int, int]]:
    """Maximal runs of the set as (first, last), ascending."""
    base = 0
    while slots:
        gap = (slots & -slots).bit_length() - 1
        slots >>= gap
        base += gap
        # The lowest zero of a run of ones: adding 1 carries through the run.
        run = (~slots & (slots + 1)).bit_length() - 1
        yield base, base + run - 1
        slots >>= run
        base += run


def members(slots: int) -> Iterator[int]:
    """The slot numbers of the set, ascending."""
    for first, last in ranges(slots):
        yield from range(first, last + 1)


def format_ranges(slots: int, separator: str = " ") -> str:
    """`0-5460 6000`: the notation of CLUSTER NODES and nodes.conf; empty for the empty set."""
    return separator.join(str(a) if a == b else f"{a}-{b}" for a, b in ranges(slots))


def parse_slot(text: str) -> int:
    """A slot number in plain decimal digits. Raises ValueError for anything else or out of range."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5) or int(text) >= SLOT_COUNT:
        raise ValueError(f"not a slot number: {text!r}")
    return int(text)


def parse_range(text: str) -> tuple[int, int]:
    """`100` or `100-200` as (first, last). Raises ValueError if malformed or descending."""
    first_text, dash, last_text = text.partition("-")
    first = parse_slot(first_text)
    last = parse_slot(last_text) if dash else first
    if last < first:
        raise ValueError(f"not a slot range: {text!r}")
    return first, last


def parse_ranges(text: str) -> int:
    """The set written as ranges separated by blanks or commas. Raises ValueError."""
    slots = NO_SLOTS
    for part in text.replace(",", " ").split():
        slots |= from_range(*parse_range(part))
    return slots
