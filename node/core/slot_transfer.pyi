"""What Python sees of slot_transfer.pyx."""

from typing import Any

def transfer_slots(source: Any, target: Any, first: int, last: int, keeps: bool = True) -> int: ...
