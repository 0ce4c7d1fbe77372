"""Listpacks: every operation beside a Python list, and the bytes beside redis-server's.

The functions are compiled code for compiled code; a small extension module, compiled when it is needed, makes
them callable.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from node.core import listpack
from node.core.integer_text import canonical_integer
from node.core.listpack import Malformed
from tests.harness.compiled import compiled
from tests.harness.servers import ROOT, Oracle

PROBE = Path(__file__).parent / "probes" / "listpack_probe.pyx"

integers = st.integers(-(1 << 63), (1 << 63) - 1)
edges = st.sampled_from([0, 127, 128, 4095, 4096, 1 << 15, 1 << 23, 1 << 31, 1 << 63]).flatmap(
    lambda edge: st.sampled_from([-edge - 1, -edge, edge - 1])
)
lengths = st.sampled_from([62, 63, 64, 125, 126, 127, 4094, 4095, 4096, 16376, 16377, 16378, 16379])
elements = st.one_of(
    st.binary(max_size=100),
    integers.map(lambda number: b"%d" % number),
    edges.filter(lambda number: -(1 << 63) <= number < 1 << 63).map(lambda number: b"%d" % number),
    st.sampled_from([b"", b"007", b"+1", b"-0", b"-", b" 1", b"9223372036854775808", b"1\n", b"\xb2"]),
    lengths.map(lambda length: b"x" * length),
)


@pytest.fixture(scope="session")
def probe() -> Any:
    return compiled(PROBE, *(ROOT / "node" / "core").glob("*.pxd"))


class PackBesideList(RuleBasedStateMachine):
    """Whatever is done to a pack, a list says what must come out."""

    module: Any = None

    @initialize(items=st.lists(elements, max_size=8))
    def begin(self, items: list[bytes]) -> None:
        self.pack = self.module.Pack()
        self.model: list[bytes] = []
        for item in items:
            self.append(item)

    @rule(text=elements)
    def append(self, text: bytes) -> None:
        self.pack.append(text)
        self.model.append(text)

    @rule(number=integers)
    def append_number(self, number: int) -> None:
        self.pack.append_number(number)
        self.model.append(b"%d" % number)

    @rule(text=elements)
    def prepend(self, text: bytes) -> None:
        self.pack.prepend(text)
        self.model.insert(0, text)

    @rule(data=st.data(), text=elements)
    def insert(self, data: st.DataObject, text: bytes) -> None:
        index = data.draw(st.integers(0, len(self.model)))
        assert self.pack.insert(index, text) == index
        self.model.insert(index, text)

    @rule(data=st.data(), number=integers)
    def insert_number(self, data: st.DataObject, number: int) -> None:
        index = data.draw(st.integers(0, len(self.model)))
        assert self.pack.insert_number(index, number) == index
        self.model.insert(index, b"%d" % number)

    @rule(data=st.data(), text=elements)
    def replace(self, data: st.DataObject, text: bytes) -> None:
        if self.model:
            index = data.draw(st.integers(0, len(self.model) - 1))
            assert self.pack.replace(index, text) == index
            self.model[index] = text

    @rule(data=st.data(), number=edges)
    def replace_number(self, data: st.DataObject, number: int) -> None:
        if self.model and -(1 << 63) <= number < 1 << 63:
            index = data.draw(st.integers(0, len(self.model) - 1))
            assert self.pack.replace_number(index, number) == index
            self.model[index] = b"%d" % number

    @rule(data=st.data(), count=st.integers(0, 5))
    def delete(self, data: st.DataObject, count: int) -> None:
        index = data.draw(st.integers(0, len(self.model)))
        following = self.pack.delete(index, count)
        del self.model[index : index + count]
        assert following == (index if index < len(self.model) else -1)

    @rule(data=st.data(), items=st.lists(elements, max_size=4))
    def splice(self, data: st.DataObject, items: list[bytes]) -> None:
        start = data.draw(st.integers(0, len(self.model)))
        stop = data.draw(st.integers(start, len(self.model)))
        other = self.module.Pack()
        for item in items:
            other.append(item)
        self.pack.splice(start, stop - start, other)
        self.model[start:stop] = items

    @rule(data=st.data(), skip=st.integers(0, 3))
    def find(self, data: st.DataObject, skip: int) -> None:
        text = data.draw(st.one_of(elements, st.sampled_from(self.model or [b"none"])))
        start = data.draw(st.integers(0, len(self.model)))
        places = range(start, len(self.model), skip + 1)
        expected = next((place for place in places if self.model[place] == text), -1)
        assert self.pack.find(start, text, skip) == expected

    @rule()
    def copy(self) -> None:
        self.pack = self.pack.copy()

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "pack"):
            return
        pack, model = self.pack, self.model
        assert pack.forwards() == model
        assert pack.backwards() == model[::-1]
        assert len(pack) == self.module.check(pack.blob()) == len(model)
        assert pack.blob() == listpack.encode(model)
        assert len(pack.blob()) == 7 + sum(map(self.module.sizes, model))
        for index in range(-len(model) - 1, len(model) + 1):
            expected = model[index] if -len(model) <= index < len(model) else None
            assert pack.get(index) == expected


def test_operations(probe: Any) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    PackBesideList.module = probe
    run_state_machine_as_test(
        PackBesideList, settings=settings(max_examples=60, stateful_step_count=25, deadline=None)
    )


def test_numbers_are_recognised_as_such(probe: Any) -> None:
    pack = probe.Pack()
    pack.append(b"12")
    pack.append(b"012")
    assert [pack.is_number(0), pack.is_number(1)] == [True, False]
    assert [pack.equals(0, b"12"), pack.equals(0, b"012"), pack.equals(1, b"012")] == [True, False, True]


def test_a_number_that_is_stored_as_text_is_found(probe: Any) -> None:
    """Nobody writes it so, but foreign bytes may hold it."""
    blob = listpack.frame(b"\x82\x31\x32\x03", 1)
    assert listpack.decode(blob) == [b"12"]
    assert probe.check(blob) == 1


@given(st.lists(elements, max_size=20))
def test_round_trip(items: list[bytes]) -> None:
    assert listpack.decode(listpack.encode(items)) == items
    assert listpack.frame(b"".join(map(listpack.encode_element, items)), len(items)) == listpack.encode(items)


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        (b"0", "0001"),
        (b"127", "7f01"),
        (b"128", "c08002"),
        (b"-1", "dfff02"),
        (b"-4096", "d00002"),
        (b"4096", "f1001003"),
        (b"-32769", "f2ff7fff04"),
        (b"8388608", "f30000800005"),
        (b"4294967296", "f4000000000100000009"),
        (b"a", "816102"),
        (b"x" * 64, "e040" + "78" * 64 + "42"),
        (b"x" * 126, "e07e" + "78" * 126 + "0180"),
        (b"x" * 4096, "f000100000" + "78" * 4096 + "2085"),
        (b"x" * 16377, "f0f93f0000" + "78" * 16377 + "7ffe"),
        (b"x" * 16378, "f0fa3f0000" + "78" * 16378 + "00ffff"),
    ],
)
def test_elements(element: bytes, expected: str) -> None:
    assert listpack.encode_element(element).hex() == expected


@given(integers)
def test_integers(number: int) -> None:
    assert listpack.encode_integer(number) == listpack.encode_element(b"%d" % number)
    assert canonical_integer(b"%d" % number) == number


@pytest.mark.parametrize(
    "text", [b"", b"-", b"-0", b"+1", b"01", b"1 ", b"1_0", b"9223372036854775808", b"-9223372036854775809"]
)
def test_what_is_no_canonical_integer(text: bytes) -> None:
    assert canonical_integer(text) is None


def test_more_than_65535_elements_are_counted(probe: Any) -> None:
    items = [b"%d" % (number % 10) for number in range(70_000)]
    assert listpack.decode(listpack.encode(items)) == items
    pack = probe.Pack()
    for item in items:
        pack.append(item)
    assert len(pack) == 70_000
    pack.delete(10, 10_000)
    assert pack.blob()[4:6] == b"\xff\xff"
    assert len(pack) == 60_000
    assert pack.blob()[4:6] == (60_000).to_bytes(2, "little")


def test_lengths_that_wrap_around_are_refused() -> None:
    with pytest.raises(Malformed):
        listpack.decode(listpack.frame(b"\xf0\xff\xff\xff\xff\x04", 1))


LENGTHS = [0, 1, 63, 64, 125, 126, 4095, 4096, 8000, 16375, 16376, 16377, 16378, 16379, 16380, 20000]


def test_bytes_as_redis_writes_them(redis_server: Oracle) -> None:
    """A list of one node: the payload of DUMP holds the listpack as it stands."""
    items = [b"x" * length for length in LENGTHS]
    items += [
        b"%d" % (sign * (1 << bits) + step) for sign in (1, -1) for bits in range(63) for step in (-1, 0)
    ]
    with redis_server.resp() as client:
        client.command("FLUSHALL")
        for name, value in (("list-max-listpack-size", -5), ("rdbcompression", "no")):
            client.command("CONFIG", "SET", name, value)
        for item in items:
            client.command("DEL", "l")
            client.command("RPUSH", "l", "before", item, "after")
            payload = client.command("DUMP", "l")
            assert listpack.encode([b"before", item, b"after"]) in payload
        client.command("CONFIG", "SET", "list-max-listpack-size", -2)
        client.command("CONFIG", "SET", "rdbcompression", "yes")
