"""What Python sees of the RDB decoder (rdb_load.pyx)."""

from typing import Any

from node.core.listpack import Malformed
from node.core.rdb_source import Source

COLLECTIONS: frozenset[int]

class EmptyValue(Malformed): ...

def load_collection(source: Source, code: int) -> Any: ...
