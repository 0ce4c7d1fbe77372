"""LZF: we pack as liblzf does, and nothing malformed is unpacked."""

from __future__ import annotations

import random

import lzf as liblzf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core import lzf

texts = st.one_of(
    st.binary(min_size=1, max_size=3000),
    st.lists(st.sampled_from([b"abc", b"hello", b"x", bytes(50), b"yyyy"]), min_size=1, max_size=300).map(
        b"".join
    ),
)


def roomy(text: bytes) -> int:
    return len(text) + len(text) // 32 + 16


@given(texts)
def test_round_trip(text: bytes) -> None:
    packed = lzf.compress(text, roomy(text))
    assert packed is not None
    assert lzf.decompress(packed, len(text)) == text
    assert liblzf.decompress(packed, len(text)) == text


@given(texts)
def test_it_packs_the_same_bytes_as_liblzf(text: bytes) -> None:
    assert lzf.compress(text, 2 * len(text) + 64) == liblzf.compress(text, 2 * len(text) + 64)


@given(texts)
def test_no_more_room_is_used_than_there_is(text: bytes) -> None:
    packed = lzf.compress(text, roomy(text))
    assert packed is not None
    assert lzf.compress(text, len(packed) - 1) is None


@pytest.mark.parametrize("distance", [1, 2, 31, 255, 256, 4000, 8191, 8192, 8193, 70_000])
def test_repeats_at_every_distance(distance: int) -> None:
    gap = b"".join(n.to_bytes(3, "big") for n in range(1, distance // 3 + 1))[: max(distance - 20, 0)]
    text = (b"0123456789abcdefghij" + gap)[:distance] * 2
    packed = lzf.compress(text, roomy(text))
    assert packed is not None
    assert liblzf.decompress(packed, len(text)) == text


@pytest.mark.parametrize("period", [*range(1, 70), 100, 127, 128, 129, 200, 263, 264, 265, 1000])
def test_what_repeats_itself_while_it_is_unpacked(period: int) -> None:
    """A repeat may reach into what it puts out itself, from any distance."""
    text = random.Random(period).randbytes(period) * (600 // period + 3)
    for length in (2 * period + 3, len(text) - 1, len(text)):
        packed = liblzf.compress(text[:length], roomy(text))
        assert lzf.decompress(packed, length) == text[:length]


@given(st.binary(max_size=60), st.integers(0, 300))
def test_noise_is_unpacked_to_the_length_or_not_at_all(noise: bytes, length: int) -> None:
    text = lzf.decompress(noise, length)
    assert text is None or len(text) == length
