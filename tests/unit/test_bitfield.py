"""The integers of BITFIELD, on a string that is only bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import ReplyError
from node.handlers.bitfield import IntegerType, Operation, carry_out


class OneString:
    """As much of a database as BITFIELD touches."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)

    def getrange(self, key: bytes, start: int, stop: int, counted: bool = True) -> bytes:
        return bytes(self.data[start:stop])

    def setrange(self, key: bytes, offset: int, data: bytes) -> None:
        self.data[offset : offset + len(data)] = data

    def bits(self) -> str:
        return "".join(f"{byte:08b}" for byte in self.data)


types = st.one_of(
    st.builds(IntegerType, st.just(True), st.integers(1, 64)),
    st.builds(IntegerType, st.just(False), st.integers(1, 63)),
)
numbers = st.integers(-(1 << 63), (1 << 63) - 1)


@given(types, st.integers(0, 70), st.binary(min_size=17, max_size=17), numbers)
def test_set_writes_its_bits_and_no_others(type_: IntegerType, offset: int, data: bytes, value: int) -> None:
    string = OneString(data)
    before = string.bits()
    old, _ = carry_out(string, b"", Operation(b"SET", type_, offset, value))
    assert old == type_.wrap(int(before[offset : offset + type_.bits], 2))
    after = string.bits()
    assert after[:offset] == before[:offset]
    assert after[offset + type_.bits :] == before[offset + type_.bits :]
    assert int(after[offset : offset + type_.bits], 2) == value & ((1 << type_.bits) - 1)
    got, changed = carry_out(string, b"", Operation(b"GET", type_, offset))
    assert got == type_.wrap(value)
    assert not changed


@given(types, numbers, numbers)
def test_increments_wrap_stop_or_fail(type_: IntegerType, start: int, amount: int) -> None:
    start = type_.wrap(start)
    total = start + amount
    fits = type_.lowest <= total <= type_.highest
    assert type_.fit(total, b"SAT") == min(max(total, type_.lowest), type_.highest)
    assert type_.fit(total, b"FAIL") == (total if fits else None)
    wrapped = type_.fit(total, b"WRAP")
    assert wrapped is not None
    assert type_.lowest <= wrapped <= type_.highest
    assert (wrapped - total) % (1 << type_.bits) == 0


def test_bytes_behind_the_end_read_as_zeros() -> None:
    got, _ = carry_out(OneString(b"\xff"), b"", Operation(b"GET", IntegerType(False, 8), 4))
    assert got == 0xF0


@pytest.mark.parametrize("raw", [b"", b"u", b"u0", b"u64", b"i0", b"i65", b"x8", b"u08", b"U8", b"i-1", b"8"])
def test_no_types(raw: bytes) -> None:
    with pytest.raises(ReplyError, match="Invalid bitfield type"):
        IntegerType.parse(raw)
