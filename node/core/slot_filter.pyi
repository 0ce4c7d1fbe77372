"""What Python sees of slot_filter.pyx."""

from collections.abc import Callable, Iterable
from typing import Any

from node.core.engine import Engine

class SlotFilter:
    def __init__(
        self,
        engine: Engine,
        ranges: Iterable[tuple[int, int]],
        find: Callable[[list[bytes]], Any],
        take: Callable[[bytes], object],
    ) -> None: ...
    def feed(self, chunk: bytes) -> None: ...
