"""The options of SCAN, and of whatever else walks over keys: how many are looked at, and which are shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from node import errors
from node.handlers.arguments import INT_MAX, Options
from node.keyspace.glob import Glob

DEFAULT_SCAN_COUNT = 10


@dataclass(slots=True)
class KeyScan:
    count: int = DEFAULT_SCAN_COUNT
    """Keys that are looked at, before MATCH and TYPE choose among them."""
    glob: Glob = field(default_factory=lambda: Glob(b"*"))
    type_name: str = ""

    def take(self, word: bytes, options: Options) -> None:
        """Read the option `word`; a syntax error if it is none of these."""
        match word:
            case b"COUNT":
                self.count = options.integer()
                if self.count < 1:
                    raise errors.SYNTAX
                self.count = min(self.count, INT_MAX)
            case b"MATCH":
                self.glob = Glob(options.value())
            case b"TYPE":
                self.type_name = options.value().decode("latin-1").lower()
            case _:
                raise errors.SYNTAX

    def chosen(self, db: Any, keys: list[bytes]) -> list[bytes]:
        if not self.glob.matches_all:
            keys = [key for key in keys if self.glob.matches(key)]
        if self.type_name:
            keys = [key for key in keys if db.type_name(key) == self.type_name]
        return keys
