"""How large a collection may grow before Redis would leave its compact encoding.

One object for the process, `limits`, whose fields are the directives of redis.conf with underscores. The
worker keeps it in step with its settings through `update`; a changed threshold counts from a value's next
change on.
"""

from __future__ import annotations

from dataclasses import dataclass

_LISTPACK_BYTES = {-1: 4096, -2: 8192, -3: 16384, -4: 32768, -5: 65536}
"""What the negative values of list-max-listpack-size stand for."""

_SAFE_BYTES = 8192
"""A list limited by number of elements is limited to this many bytes as well."""


@dataclass(slots=True)
class Limits:
    hash_max_listpack_entries: int = 512
    hash_max_listpack_value: int = 64
    """In bytes, of field and value alike."""
    list_max_listpack_size: int = -2
    """Positive: elements. Negative: one of the sizes in bytes above."""
    set_max_intset_entries: int = 512
    set_max_listpack_entries: int = 128
    set_max_listpack_value: int = 64
    stream_node_max_bytes: int = 4096
    """0: no limit of one's own."""
    stream_node_max_entries: int = 100
    """0: no limit."""
    zset_max_listpack_entries: int = 128
    zset_max_listpack_value: int = 64
    hll_sparse_max_bytes: int = 3000
    """Of a whole HyperLogLog string, header included."""

    def update(self, **values: int) -> None:
        """Take over new values of some directives. AttributeError for one that is no limit."""
        for name, value in values.items():
            setattr(self, name, value)

    def list_fits(self, length: int, size: int) -> bool:
        """May a list of `length` elements in `size` bytes of listpack stay in one?"""
        most = self.list_max_listpack_size
        if most < 0:
            return size <= _LISTPACK_BYTES.get(most, 65536)
        return length <= most and size <= _SAFE_BYTES


limits = Limits()
