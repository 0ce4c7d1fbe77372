"""The key slot: the core's table against crcmod, hash tags by the specification's rules."""

from __future__ import annotations

import crcmod.predefined
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.key_slot import key_slot

crc16 = crcmod.predefined.mkPredefinedCrcFun("xmodem")


@given(st.binary(max_size=100).filter(lambda key: b"{" not in key))
def test_equals_crcmod(key: bytes) -> None:
    assert key_slot(key) == crc16(key) % 16384


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        (b"{user1000}.following", b"user1000"),
        (b"foo{}{bar}", b"foo{}{bar}"),
        (b"foo{{bar}}zap", b"{bar"),
        (b"foo{bar}{zap}", b"bar"),
        (b"foo{bar", b"foo{bar"),
        (b"}foo{bar}", b"bar"),
        (b"", b""),
    ],
)
def test_hash_tags(key: bytes, hashed: bytes) -> None:
    assert key_slot(key) == crc16(hashed) % 16384
