"""One figure for Prometheus, as parts of a process tell it that need not know Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Figure(NamedTuple):
    """`name`: without the `_total` that a counter is shown with."""

    name: str
    text: str
    value: float
    is_counter: bool = False
    labels: Mapping[str, str] = {}


def counter(name: str, text: str, value: Any, **labels: str) -> Figure:
    return Figure(name, text, float(value), True, labels)


def gauge(name: str, text: str, value: Any, **labels: str) -> Figure:
    return Figure(name, text, float(value), False, labels)
