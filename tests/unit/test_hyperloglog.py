"""HyperLogLog: its registers and opcodes against the same said slowly, its estimates against the truth."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.registers import highest, pack, place, unpack
from node.datatypes.hyperloglog import (
    DENSE_SIZE,
    HASH_BITS,
    HEADER,
    REGISTERS,
    CorruptedError,
    HyperLogLog,
    estimate,
    is_valid,
)
from node.datatypes.limits import limits

SPARSE_HEADER = b"HYLL\1" + bytes(11)

raises = st.lists(st.tuples(st.integers(0, REGISTERS - 1), st.integers(1, HASH_BITS + 1)), max_size=60)
near_raises = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 3)), max_size=80)
"""Of few registers and values, so that opcodes are split and merged."""


@pytest.fixture
def small_limit() -> Iterator[int]:
    before = limits.hll_sparse_max_bytes
    limits.hll_sparse_max_bytes = 40
    yield limits.hll_sparse_max_bytes
    limits.hll_sparse_max_bytes = before


def dense() -> HyperLogLog:
    made = HyperLogLog()
    made.to_dense()
    return made


def slowly(changes: list[tuple[int, int]]) -> bytes:
    registers = bytearray(REGISTERS)
    for index, value in changes:
        registers[index] = max(registers[index], value)
    return bytes(registers)


def test_place_of_a_known_element() -> None:
    """Register 12711 and value 2 are what redis-server's PFDEBUG DECODE shows for the element `a`."""
    assert place(b"a") == (12711, 2)


def test_packing_is_undone() -> None:
    registers = bytes(index * 7 % 64 for index in range(REGISTERS))
    assert unpack(pack(registers)) == registers
    assert unpack(b"\xff" * (DENSE_SIZE - HEADER)) == b"\x3f" * REGISTERS
    for wrong in (b"", bytes(REGISTERS - 1)):
        with pytest.raises(ValueError):
            pack(wrong)
        with pytest.raises(ValueError):
            unpack(wrong)


@given(st.binary(max_size=40))
def test_places_are_in_range(element: bytes) -> None:
    index, value = place(element)
    assert 0 <= index < REGISTERS and 1 <= value <= HASH_BITS + 1


@given(st.one_of(raises, near_raises))
def test_both_encodings_hold_the_same_registers(changes: list[tuple[int, int]]) -> None:
    sparse, other = HyperLogLog(), dense()
    for index, value in changes:
        before = sparse.registers()[index]
        assert sparse.raise_register(index, value) == other.raise_register(index, value) == (value > before)
    assert sparse.registers() == other.registers() == slowly(changes)
    assert sparse.cardinality() == other.cardinality()
    sparse.to_dense()
    assert sparse.data == other.data and len(sparse.data) == DENSE_SIZE


@given(raises, raises)
def test_union(left: list[tuple[int, int]], right: list[tuple[int, int]]) -> None:
    assert highest(slowly(left), slowly(right)) == slowly(left + right)
    for made in (HyperLogLog(), dense()):
        for index, value in left:
            made.raise_register(index, value)
        made.raise_registers(slowly(right))
        assert made.registers() == slowly(left + right)


@given(near_raises, st.integers(16, 60))
def test_an_empty_one_takes_registers_as_if_one_by_one(changes: list[tuple[int, int]], limit: int) -> None:
    registers = slowly(changes)
    at_once, one_by_one = HyperLogLog(), HyperLogLog()
    before = limits.hll_sparse_max_bytes
    limits.hll_sparse_max_bytes = limit
    try:
        at_once.raise_registers(registers)
        for index, value in enumerate(registers):
            if value:
                one_by_one.raise_register(index, value)
    finally:
        limits.hll_sparse_max_bytes = before
    assert at_once.encoding == one_by_one.encoding
    assert at_once.data[HEADER:] == one_by_one.data[HEADER:]


def test_neighbours_of_one_value_are_merged() -> None:
    made = HyperLogLog()
    for index in (10, 12, 11, 14, 13):
        made.raise_register(index, 5)
    assert made.decode() == "z:10 v:5,4 v:5,1 Z:16369"
    made.raise_register(11, 6)
    assert made.decode() == "z:10 v:5,1 v:6,1 v:5,3 Z:16369"


def test_too_large_a_register_makes_it_dense() -> None:
    made = HyperLogLog()
    made.raise_register(3, 32)
    assert made.encoding == "sparse"
    made.raise_register(3, 33)
    assert made.encoding == "dense" and made.registers()[3] == 33


def test_too_long_a_string_becomes_dense(small_limit: int) -> None:
    made = HyperLogLog()
    index = 0
    while not made.is_dense:
        assert len(made.data) <= small_limit
        made.raise_register(index, 1)
        index += 100
    assert sum(made.registers()) == index // 100


@pytest.mark.parametrize("count", [0, 1, 10, 1000, 30_000])
def test_estimates_are_near_the_truth(count: int) -> None:
    made = HyperLogLog()
    for number in range(count):
        made.add(b"element %d" % number)
    assert abs(made.cardinality() - count) <= count * 0.0081 * 4


def test_the_estimate_is_kept_until_a_register_changes() -> None:
    made = HyperLogLog()
    made.add(b"a")
    assert made.cached_cardinality is None
    assert made.cardinality() == made.cached_cardinality == 1
    assert not made.add(b"a") and made.cached_cardinality == 1
    assert made.add(b"b") and made.cached_cardinality is None


def test_registers_that_no_element_could_leave_are_counted_without_a_fault() -> None:
    assert estimate(b"\x3f" * REGISTERS) < 0


@pytest.mark.parametrize(
    "opcodes", [b"", b"\x7f\xfe", b"\x7f\xff\x00", b"\x7f", b"\x00" * REGISTERS + b"\x00", b"\x80" * 5000]
)
def test_opcodes_for_another_number_of_registers_are_refused(opcodes: bytes) -> None:
    made = HyperLogLog(SPARSE_HEADER + opcodes)
    with pytest.raises(CorruptedError):
        made.registers()
    with pytest.raises(CorruptedError):
        made.to_dense()


def test_a_register_that_no_opcode_is_for_is_not_found() -> None:
    with pytest.raises(CorruptedError):
        HyperLogLog(SPARSE_HEADER + b"\x3f").raise_register(64, 1)


@pytest.mark.parametrize(
    ("data", "valid"),
    [
        (b"", False),
        (b"HYLL", False),
        (SPARSE_HEADER, True),
        (SPARSE_HEADER[:-1], False),
        (b"HYLM" + SPARSE_HEADER[4:], False),
        (b"HYLL\2" + bytes(11), False),
        (b"HYLL" + bytes(DENSE_SIZE - 4), True),
        (b"HYLL" + bytes(DENSE_SIZE - 3), False),
        (b"HYLL" + bytes(HEADER), False),
    ],
)
def test_what_is_taken_for_one(data: bytes, valid: bool) -> None:
    assert is_valid(data[:HEADER], len(data)) == valid
