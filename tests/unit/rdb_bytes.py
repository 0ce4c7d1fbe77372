"""The primitives of RDB as bytes, for tests that compose files by hand."""

from __future__ import annotations

from node.persistence.rdb.writer import encoded


def encode_length(length: int) -> bytes:
    return encoded(lambda out: out.length(length))


def encode_string(text: bytes, compress: bool = True) -> bytes:
    return encoded(lambda out: out.string(text), compress)
