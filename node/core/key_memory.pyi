"""What one key takes. See key_memory.pyx."""

from typing import Any

def key_memory(db: Any, key: bytes, samples: int) -> int | None: ...
