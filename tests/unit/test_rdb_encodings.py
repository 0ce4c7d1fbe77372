"""The packed encodings: what we encode reads back, and every damage is seen."""

from __future__ import annotations

from typing import Any

import crcmod
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core import listpack
from node.core.crc64 import crc64
from node.persistence.rdb import ziplist, zipmap
from node.persistence.rdb.format import Malformed

crcmod_crc64 = crcmod.mkCrcFun(0x1AD93D23594C935A9, initCrc=0, rev=True, xorOut=0)
integers = st.integers(-(1 << 63), (1 << 63) - 1)


def test_crc64_check_value() -> None:
    assert crc64(b"123456789") == 0xE9C6D914C4B8D9CA
    assert crc64(b"56789", crc64(b"1234")) == 0xE9C6D914C4B8D9CA


@given(st.binary(max_size=300), st.integers(0, (1 << 64) - 1))
def test_crc64_is_that_of_crcmod(data: bytes, before: int) -> None:
    assert crc64(data, before) == crcmod_crc64(data, before)


def a_ziplist(*entries: bytes) -> bytes:
    """A ziplist of entries given as encoding and data."""
    body = bytearray()
    tail, previous = 10, 0
    for entry in entries:
        tail = 10 + len(body)
        prevlen = bytes((previous,)) if previous < 254 else b"\xfe" + previous.to_bytes(4, "little")
        body += prevlen + entry
        previous = len(prevlen) + len(entry)
    total = 10 + len(body) + 1
    return b"%b%b%b%b\xff" % (
        total.to_bytes(4, "little"),
        tail.to_bytes(4, "little"),
        min(len(entries), 0xFFFF).to_bytes(2, "little"),
        bytes(body),
    )


def test_ziplist_reads_every_encoding() -> None:
    blob = a_ziplist(
        b"\x01a",
        b"\x41\x00" + b"b" * 256,
        b"\x80\x00\x00\x40\x00" + b"c" * 16384,
        b"\xf1",
        b"\xfd",
        b"\xfe\x80",
        b"\xc0\xe8\x03",
        b"\xf0\xff\xff\xff",
        b"\xd0\x00\x00\x01\x00",
        b"\xe0" + (1 << 62).to_bytes(8, "little"),
    )
    assert ziplist.decode(blob) == [
        b"a", b"b" * 256, b"c" * 16384, b"0", b"12", b"-128", b"1000", b"-1", b"65536", b"%d" % (1 << 62),
    ]  # fmt: skip


def test_an_empty_ziplist() -> None:
    assert ziplist.decode(a_ziplist()) == []


def test_zipmap() -> None:
    long = b"v" * 300
    blob = b"\x02" + b"\x03foo\x03\x02bar\0\0" + b"\x01k\xfe\x2c\x01\0\0\0" + long + b"\xff"
    assert zipmap.decode(blob) == [b"foo", b"bar", b"k", long]


SAMPLES: list[tuple[Any, bytes]] = [
    (listpack, listpack.encode([b"1", b"-5000", b"hello", b"x" * 70, b"123456789012"])),
    (ziplist, a_ziplist(b"\x01a", b"\xc0\xe8\x03", b"\x41\x00" + b"b" * 256)),
    (zipmap, b"\x01\x03foo\x03\x00bar\xff"),
]


@pytest.mark.parametrize(("encoding", "blob"), SAMPLES, ids=lambda value: getattr(value, "__name__", ""))
def test_every_truncation_is_refused(encoding: Any, blob: bytes) -> None:
    encoding.decode(blob)
    for length in range(len(blob)):
        with pytest.raises(Malformed):
            encoding.decode(blob[:length])
    with pytest.raises(Malformed):
        encoding.decode(blob + b"\0")


@given(st.sampled_from(SAMPLES), st.data())
def test_damage_is_refused_or_harmless(sample: tuple[Any, bytes], data: st.DataObject) -> None:
    """Any flipped byte gives other elements or Malformed, and nothing else."""
    encoding, blob = sample
    damaged = bytearray(blob)
    damaged[data.draw(st.integers(0, len(blob) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        elements = encoding.decode(bytes(damaged))
    except Malformed:
        return
    assert all(type(element) is bytes for element in elements)


@given(st.sampled_from([listpack, ziplist, zipmap]), st.binary(max_size=60))
def test_noise_is_refused_or_harmless(encoding: Any, noise: bytes) -> None:
    try:
        encoding.decode(noise)
    except Malformed:
        return
    assert noise
