"""What Python sees of records (records.pyx)."""

from typing import Any

from node.core.database import Database
from node.core.rdb_output import RdbOutput

PUT: int
DELETE: int
CLEAR: int
AWAIT: int
FORGET: int
NOTE: int
COMMIT: int

def frame(op: int, place: bytes, body: bytes = b"") -> bytes: ...

class RecordWriter:
    @property
    def out(self) -> RdbOutput: ...
    def take(self, db: Database, keys: int, size: int) -> tuple[bytes, set[int]]: ...

def value_in(record: bytes) -> tuple[Any, int]: ...
def expiry_in(record: bytes) -> int: ...
def thaw(db: Database, key: bytes, record: bytes) -> None: ...
def key_at(place: bytes, store: Any) -> bytes | None: ...
