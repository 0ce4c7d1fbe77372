"""What Python sees of the filler of databases (rdb_fill.pyx)."""

from typing import Any

from node.core.database import Database
from node.core.rdb_source import Source

class Filler:
    loaded: int
    expired: int
    replaces: bool
    drop_before: int
    def __init__(self, drop_before: int) -> None: ...
    def put(self, db: Database, key: bytes, value: Any, expire_at: int) -> bool: ...
    def run(self, source: Source, db: Database, most: int) -> int: ...
