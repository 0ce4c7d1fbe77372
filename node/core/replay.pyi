"""What Python sees of replay.pyx."""

from node.core.engine import Client

class Damaged(ValueError): ...

class Replay:
    done: int
    good: int
    commands: int
    error: bytes | None
    def __init__(self, client: Client, bulk_length: int = ...) -> None: ...
    @property
    def incomplete(self) -> bool: ...
    def feed(self, data: bytes, nanoseconds: int = 0) -> bool: ...
