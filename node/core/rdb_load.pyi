"""What Python sees of the RDB decoder (rdb_load.pyx)."""

from typing import Any

from node.core.database import Database
from node.core.listpack import Malformed
from node.core.rdb_source import Source

COLLECTIONS: frozenset[int]

class EmptyValue(Malformed): ...

def load_collection(source: Source, code: int) -> Any: ...

class Filler:
    loaded: int
    expired: int
    replaces: bool
    drop_before: int
    def __init__(self, drop_before: int) -> None: ...
    def put(self, db: Database, key: bytes, value: Any, expire_at: int) -> bool: ...
    def run(self, source: Source, db: Database, most: int) -> int: ...
