"""Streams as a datatype: packed nodes beside a plain model, trimming, lag, and what their parts promise."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.core import listpack
from node.core.listpack import Malformed
from node.core.memory import used_bytes
from node.core.stream_node import Node
from node.datatypes import Stream, stream_id
from node.datatypes.limits import limits
from node.datatypes.radix_tree import count_nodes
from node.datatypes.sorted_ids import HALF, SortedIds
from tests.unit.settled_memory import settled_bytes

LOW = stream_id.make(5, 0)


@pytest.fixture
def small_nodes() -> Iterator[None]:
    """Nodes of three entries."""
    limits.update(stream_node_max_entries=3)
    yield
    limits.update(stream_node_max_entries=100)


def filled(count: int) -> Stream:
    """Entries 1-0 .. count-0."""
    stream = Stream()
    for number in range(1, count + 1):
        stream.append(stream_id.make(number, 0), [b"n", b"%d" % number])
    return stream


def ids(stream: Stream) -> list[int]:
    return [entry_id >> 64 for entry_id, _ in stream.entries()]


# ------------------------------------------------------------------------------------------- ids


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"1-2", (1, 2)),
        (b"7", (7, 0)),
        (b"0-0", (0, 0)),
        (b"18446744073709551615-18446744073709551615", (stream_id.HALF_MAX, stream_id.HALF_MAX)),
        (b"007-+3", (7, 3)),
    ],
)
def test_ids_are_read(raw: bytes, expected: tuple[int, int]) -> None:
    found = stream_id.parse(raw)
    assert found is not None and stream_id.split(found) == expected


@pytest.mark.parametrize("raw", [b"", b"-", b"+", b"*", b"1-", b"-1", b"1-2-3", b"1--2", b"a", b"1-*"])
def test_what_is_no_id(raw: bytes) -> None:
    assert stream_id.parse(raw) is None
    assert stream_id.parse(b"18446744073709551616-0") is None
    assert stream_id.parse(b"0" * 200) is None


def test_next_ids() -> None:
    stream = filled(5)
    assert stream.next_id(9) == stream_id.make(9, 0)
    assert stream.next_id(5) == stream.next_id(0) == stream_id.make(5, 1)
    assert stream.next_id_in(5) == stream_id.make(5, 1)
    assert stream.next_id_in(8) == stream_id.make(8, 0)
    assert stream.next_id_in(4) is None
    stream.append(stream_id.make(5, stream_id.HALF_MAX), [b"a", b"b"])
    assert stream.next_id_in(5) is None
    assert stream.next_id(0) == stream_id.make(6, 0)
    stream.append(stream_id.MAX, [b"a", b"b"])
    assert stream.next_id(0) is None


# ------------------------------------------------------------------------------------------- entries

texts = st.binary(max_size=6) | st.sampled_from([b"-7", b"70000", b"007", b"x" * 70, b"y" * 5000])
pair_lists = st.lists(texts, min_size=1, max_size=3).map(
    lambda some: [part for text in some for part in (text, text)]
)
steps = st.lists(
    st.tuples(st.just("add"), st.integers(0, 3), pair_lists)
    | st.tuples(st.just("same"), st.integers(0, 1), texts)
    | st.tuples(st.just("delete"), st.integers(0, 30), st.none())
    | st.tuples(st.just("trim"), st.integers(0, 10), st.none())
    | st.tuples(st.just("below"), st.integers(0, 30), st.none()),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(steps, st.integers(0, 40), st.integers(0, 40))
def test_as_a_plain_list_would(script: list[tuple[str, int, object]], low: int, high: int) -> None:
    stream, model = Stream(), {}
    limits.update(stream_node_max_entries=4)
    for kind, number, what in script:
        if kind in ("add", "same"):
            entry_id = stream.last_id + 1 + (number << 64)
            pairs = what if kind == "add" else [b"field", what]
            stream.append(entry_id, pairs)  # type: ignore[arg-type]
            model[entry_id] = pairs
        elif kind == "delete":
            entry_id = next((each for each in model if each >> 64 >= number), 0)
            assert stream.delete(entry_id) == (model.pop(entry_id, None) is not None)
        elif kind == "trim":
            dropped = stream.trim_to_length(number, exact=True)
            assert dropped == max(0, len(model) - number)
            model = dict(list(model.items())[dropped:])
        else:
            stream.trim_below(stream_id.make(number, 0), exact=True)
            model = {each: pairs for each, pairs in model.items() if each >> 64 >= number}
    limits.update(stream_node_max_entries=100)
    assert list(stream.entries()) == list(model.items())
    assert len(stream) == len(model)
    start, end = stream_id.make(low, 1), stream_id.make(high, 1)
    within = [each for each in model.items() if start <= each[0] <= end]
    assert list(stream.entries(start, end)) == within
    assert list(stream.entries(start, end, reverse=True)) == within[::-1]
    assert stream.first_id == min(model, default=0) and stream.last_entry_id == max(model, default=0)
    for entry_id, pairs in model.items():
        assert entry_id in stream and stream.get(entry_id) == pairs
    for count in (1, 3):
        assert list(stream.entries(start, end, count=count)) == within[:count]
        assert stream.replies(start, end, True, count) == [
            [stream_id.text(each), pairs] for each, pairs in within[::-1][:count]
        ]
    for node in stream.nodes:
        packed = node.listpack()
        assert node.size == len(packed) and node.live + node.deleted == len(node)
        twin, own, other = Node.from_listpack(node.master, packed), list[object](), list[object]()
        assert twin.last_id == node.last_id and twin.first_id == node.first_id
        assert node.read(own, 0, stream_id.MAX, False, 99, False) == node.live
        assert twin.read(other, 0, stream_id.MAX, False, 99, False) == node.live
        assert own == other


def test_differences_of_ids_wrap() -> None:
    stream = Stream()
    first, last = stream_id.make(1, stream_id.HALF_MAX), stream_id.make(stream_id.HALF_MAX, 0)
    stream.append(first, [b"a", b"b"])
    stream.append(last, [b"a", b"c"])
    assert list(stream.entries()) == [(first, [b"a", b"b"]), (last, [b"a", b"c"])]
    assert len(stream.nodes) == 1


def test_copies_go_their_own_ways() -> None:
    stream = filled(5)
    group = stream.add_group(b"g", 0, 0)
    assert group is not None
    group.assign(LOW, group.add_consumer(b"c", 1), 2, 3)
    twin = stream.copy()
    twin.delete(LOW)
    twin.groups[b"g"].acknowledge(LOW)
    twin.append(stream_id.make(9, 0), [b"a", b"b"])
    assert ids(stream) == [1, 2, 3, 4, 5] and ids(twin) == [1, 2, 3, 4, 9]
    assert list(group.pending) == [LOW] and not twin.groups[b"g"].pending
    assert list(group.consumers[b"c"].pending) == [LOW]


# ------------------------------------------------------------------------------------ nodes and trimming


def test_a_full_node_is_closed(small_nodes: None) -> None:
    assert [len(node) for node in filled(7).nodes] == [3, 3, 1]


def test_a_node_has_so_many_bytes() -> None:
    stream = Stream()
    for number in range(1, 60):
        stream.append(number, [b"a", b"x" * 100])
    assert len(stream.nodes) == 2 and stream.nodes[0].size < 4096 < stream.nodes[0].size + 110


def test_more_than_a_node_can_hold_is_refused() -> None:
    stream = filled(1)
    with pytest.raises(OverflowError):
        stream.append(stream_id.make(2, 0), [b"x" * (1 << 24)] * 66)
    assert ids(stream) == [1] and stream.last_id >> 64 == 1 and len(stream.nodes) == 1


def test_trimming_about_drops_whole_nodes(small_nodes: None) -> None:
    stream = filled(10)
    assert stream.trim_to_length(5, exact=False) == 3
    assert stream.trim_to_length(0, exact=False, limit=2) == 0
    assert stream.trim_to_length(0, exact=False, limit=4) == 3
    assert stream.trim_below(stream_id.make(9, 0), exact=False) == 0
    assert ids(stream) == [7, 8, 9, 10]
    assert stream.max_deleted == 0, "trimming leaves no gap"


def test_deleting_the_last_of_a_node_drops_it(small_nodes: None) -> None:
    stream = filled(4)
    assert [stream.delete(stream_id.make(number, 0)) for number in (3, 1, 2, 2)] == [True, True, True, False]
    assert len(stream.nodes) == 1 and ids(stream) == [4] and stream.max_deleted == stream_id.make(3, 0)


@pytest.mark.parametrize(
    "elements",
    [
        [],
        [b"1", b"0"],
        [b"1", b"0", b"1", b"f", b"1"],
        [b"1", b"0", b"1", b"f", b"0"],
        [b"1", b"0", b"1", b"f", b"0", b"2", b"0", b"0"],
        [b"1", b"0", b"1", b"f", b"0", b"2", b"0", b"0", b"v", b"9"],
        [b"2", b"0", b"1", b"f", b"0", b"2", b"0", b"0", b"v", b"4"],
        [b"1", b"0", b"1", b"f", b"0", b"x", b"0", b"0", b"v", b"4"],
        [b"2", b"0", b"1", b"f", b"0", b"2", b"0", b"0", b"v", b"4", b"2", b"0", b"0", b"v", b"4"],
        [b"0", b"0", b"0", b"0"],
        [b"1", b"0", b"-1", b"0"],
        [b"1", b"0", b"1", b"f", b"0", b"4", b"0", b"0", b"v", b"4"],
        [b"1", b"0", b"1", b"f", b"0", b"200", b"0", b"0", b"v", b"4"],
        [b"1", b"0", b"1", b"f", b"0", b"0", b"0", b"0", b"9223372036854775807", b"a", b"b", b"6"],
        [b"1", b"0", b"1", b"f", b"0", b"0", b"0", b"0", b"-1", b"2"],
    ],
)
def test_nonsense_is_no_node(elements: list[bytes]) -> None:
    with pytest.raises(Malformed):
        Node.from_listpack(0, listpack.encode(elements))


def test_all_memory_is_given_back() -> None:
    before = settled_bytes()
    stream = filled(5000)
    assert used_bytes() - before >= sum(node.allocated() for node in stream.nodes) > 5000 * 8
    assert stream.allocated(0) > used_bytes() - before - 5000
    stream.trim_to_length(77, exact=True)
    twin = stream.copy()
    twin.delete(stream.first_id)
    del stream, twin
    assert used_bytes() == before


# ------------------------------------------------------------------------------------------- lag


def test_lag_is_known_until_there_are_gaps() -> None:
    stream = filled(10)
    group = stream.add_group(b"g", 0, None)
    assert group is not None and stream.lag(group) == 10
    for number in (1, 2, 3):
        stream.deliver(group, stream_id.make(number, 0))
    assert group.entries_read == 3 and stream.lag(group) == 7
    stream.delete(stream_id.make(6, 0))
    assert stream.lag(group) is None
    for number in (4, 5, 7):
        stream.deliver(group, stream_id.make(number, 0))
    assert group.entries_read is None
    stream.deliver(group, stream_id.make(10, 0))
    assert group.entries_read == 10 and stream.lag(group) == 0
    stream.append(stream_id.make(11, 0), [b"a", b"b"])
    assert stream.lag(group) == 1


# ------------------------------------------------------------------------------------------- parts


def test_sorted_ids_stay_sorted() -> None:
    random = Random(1)
    some, model = SortedIds(), []
    for _ in range(20 * HALF):
        number = random.randrange(8 * HALF)
        at = bisect_left(model, number)
        if at < len(model) and model[at] == number:
            some.remove(number)
            del model[at]
        else:
            some.add(number)
            model.insert(at, number)
        if random.random() < 0.01:
            start = random.randrange(9 * HALF)
            assert list(some.since(start)) == model[bisect_left(model, start) :]
    assert list(some) == model and len(some) == len(model)
    assert (some.first, some.last) == (model[0], model[-1])
    assert list(SortedIds(model)) == model


@pytest.mark.parametrize(
    ("keys", "nodes"),
    [
        ([], 1),
        ([b"aaaa"], 2),  # a run, an end
        ([b"aaaa", b"aaab"], 4),  # a run, a branch, two ends
        ([b"aaaa", b"baaa"], 5),  # a branch, two runs, two ends
        ([b"aaaa", b"aabb", b"aabc"], 7),
    ],
)
def test_nodes_of_a_radix_tree(keys: list[bytes], nodes: int) -> None:
    assert count_nodes(keys) == nodes
