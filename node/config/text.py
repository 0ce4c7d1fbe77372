"""Setting values are text inside and bytes outside; bytes that are not UTF-8 survive both ways."""

from __future__ import annotations


def to_text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
