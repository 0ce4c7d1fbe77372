"""DUMP's payload: sealed, versioned, and suspicious of everything."""

from __future__ import annotations

from math import copysign
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.crc64 import crc64
from node.errors import BAD_DATA_FORMAT, BAD_DUMP_PAYLOAD, ReplyError
from node.persistence.rdb import dump_payload, load_payload
from tests.unit.test_rdb_files import plain, values


def sealed(body: bytes, version: int = 11) -> bytes:
    unsealed = body + version.to_bytes(2, "little")
    return unsealed + crc64(unsealed).to_bytes(8, "little")


def refusal(payload: bytes) -> ReplyError:
    with pytest.raises(ReplyError) as caught:
        load_payload(payload)
    return caught.value


@given(values)
def test_round_trip(value: Any) -> None:
    assert plain(load_payload(dump_payload(value))) == plain(value)


def test_as_redis_7_2_writes_it() -> None:
    assert dump_payload(b"1") == sealed(b"\x00\xc0\x01")


@pytest.mark.parametrize("length", [1, 65])
def test_the_sign_of_a_score_of_zero(length: int) -> None:
    """A listpack has no room for it, whichever member comes first."""
    member = b"m" * length
    body = b"\x05\x02\x00" + pack("<d", -0.0) + bytes([length if length < 64 else 0x40])
    body += (b"" if length < 64 else bytes([length])) + member + pack("<d", 1.0)
    scores = dict(plain(load_payload(sealed(body)))[1])
    assert (copysign(1, scores[b""]), scores[member]) == (1.0 if length == 1 else -1.0, 1.0)


@pytest.mark.parametrize("version", [1, 6, 11, 12, 80])
def test_versions_accepted(version: int) -> None:
    assert load_payload(sealed(b"\x00\x01a", version)) == b"a"


@pytest.mark.parametrize("version", [0, 13, 79, 81, 65535])
def test_versions_refused(version: int) -> None:
    assert refusal(sealed(b"\x00\x01a", version)) is BAD_DUMP_PAYLOAD


def test_every_truncation_and_every_flipped_bit_is_refused() -> None:
    payload = dump_payload(b"hello hello hello hello hello")
    for length in range(len(payload)):
        assert refusal(payload[:length]) is BAD_DUMP_PAYLOAD
    for position in range(len(payload) * 8):
        damaged = bytearray(payload)
        damaged[position // 8] ^= 1 << position % 8
        assert refusal(bytes(damaged)) is BAD_DUMP_PAYLOAD


@pytest.mark.parametrize(
    "body",
    [
        b"\x00\x05a",  # a string cut short
        b"\x00\x01ab",  # something behind the value
        b"\x04\x00",  # an empty hash
        b"\x0f\x00",  # a stream
        b"\x63\x00",  # no type
        b"\xff",
    ],
)
def test_sealed_nonsense_is_a_bad_format(body: bytes) -> None:
    assert refusal(sealed(body)) is BAD_DATA_FORMAT


@given(st.binary(max_size=100))
def test_any_sealed_body_gives_a_value_or_a_refusal(body: bytes) -> None:
    try:
        value = load_payload(sealed(body))
    except ReplyError as error:
        assert error in (BAD_DUMP_PAYLOAD, BAD_DATA_FORMAT)
    else:
        assert plain(load_payload(dump_payload(value))) == plain(value)
