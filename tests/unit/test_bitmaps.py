"""Whole bitmaps: counting, finding and combining bits, against the same said slowly."""

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.bits import combine, count_ones, first_bit
from node.handlers.bitmaps import BitRange

bitmap = st.binary(max_size=40)


def bits(data: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in data)


@given(bitmap)
def test_counting_and_finding(data: bytes) -> None:
    assert count_ones(data) == bits(data).count("1")
    assert first_bit(data, 1) == bits(data).find("1")
    assert first_bit(data, 0) == bits(data).find("0")


@given(bitmap, st.integers(-70, 70), st.integers(-70, 70), st.sampled_from([b"BYTE", b"bit"]))
def test_ranges_mean_what_slices_mean(data: bytes, start: int, end: int, unit: bytes) -> None:
    scale = 1 if unit == b"bit" else 8
    units = list(range(len(data) * 8 // scale))
    first = max(0, start + len(units)) if start < 0 else start
    last = max(0, end + len(units)) if end < 0 else end
    expected = units[first : last + 1]
    wanted = BitRange.parse([b"%d" % start, b"%d" % end, unit], len(data))
    chosen = range(wanted.first, wanted.last + 1)
    assert list(chosen) == [unit * scale + bit for unit in expected for bit in range(scale)]
    if chosen:
        inside = bits(data)[wanted.first : wanted.last + 1]
        assert wanted.count(data) == inside.count("1")
        for bit in (0, 1):
            place = inside.find("01"[bit])
            assert wanted.find(data, bit) == (place + wanted.first if place >= 0 else -1)


SLOWLY = {
    b"AND": lambda column: all(column),
    b"OR": lambda column: any(column),
    b"XOR": lambda column: reduce(lambda a, b: a ^ b, column),
    b"DIFF": lambda column: column[0] and not any(column[1:]),
    b"DIFF1": lambda column: not column[0] and any(column[1:]),
    b"ANDOR": lambda column: column[0] and any(column[1:]),
    b"ONE": lambda column: sum(column) == 1,
}


@pytest.mark.parametrize("name", SLOWLY)
@given(sources=st.lists(bitmap, min_size=2, max_size=4))
def test_combining(name: bytes, sources: list[bytes]) -> None:
    length = max(map(len, sources))
    padded = [[bit == "1" for bit in bits(source.ljust(length, b"\0"))] for source in sources]
    expected = "".join("01"[SLOWLY[name](column)] for column in zip(*padded, strict=True))
    assert bits(combine(name, sources)) == expected


@given(bitmap)
def test_inverting(data: bytes) -> None:
    inverted = combine(b"NOT", [data])
    assert inverted == bytes(byte ^ 0xFF for byte in data)
