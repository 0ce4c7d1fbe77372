"""Index ranges as clients give them: both ends included, negative numbers counted from the end."""

from __future__ import annotations


def clip(start: int, stop: int, length: int) -> tuple[int, int]:
    """start..stop of a collection of `length` elements, as a half-open range within 0..length."""
    if start < 0:
        start = max(0, start + length)
    if stop < 0:
        stop += length
    stop = min(stop + 1, length)
    return (start, stop) if start < stop else (0, 0)
