"""What Python sees of slot_output.pyx."""

from collections.abc import Callable, Iterable
from typing import Any

class SlotOutput:
    def __init__(
        self,
        write: Callable[[bytes], Any],
        others: Callable[[bytes, Any, int], Iterable[list[bytes]]],
    ) -> None: ...
    def command(self, argv: list[bytes]) -> None: ...
    def slot(self, db: Any, slot: int) -> None: ...
    def flush(self) -> None: ...
