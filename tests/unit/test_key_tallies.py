"""What is made of the keys that a walk meets, and of what HOTKEYS tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.cli.output import key_text, shortened
from cluster.operations.big_keys import BigKey, Tally, Top
from cluster.operations.hot_keys import HotKey, read_report
from cluster.operations.key_walk import Source, ask
from cluster.operations.link import ErrorReply, NodeLink, Refused

HERE = Source("10.0.0.1", 7001)
THERE = Source("10.0.0.2", 7002, is_replica=True)


class Canned(NodeLink):
    """A link that knows its replies by heart."""

    def __init__(self, replies: dict[tuple[Any, ...], Any]) -> None:
        super().__init__("10.0.0.1", 7001)
        self.replies = replies

    def pipeline(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        return [self.replies[tuple(command)] for command in commands]


def big(key: bytes, memory: int, length: int = 1, source: Source = HERE) -> BigKey:
    return BigKey(key, "list", memory, length, source, 0)


@given(st.lists(st.integers(0, 50)), st.lists(st.integers(0, 50)), st.integers(1, 6))
def test_the_top_of_two_is_the_top_of_both(ones: list[int], others: list[int], most: int) -> None:
    one, other = Top[int](most), Top[int](most)
    for weight in ones:
        one.add(weight, weight)
    for weight in others:
        other.add(weight, weight)
    one.add_all(other)
    assert one.rows() == sorted(ones + others, reverse=True)[:most]


def test_of_equal_weight_the_first_stays() -> None:
    top = Top[str](2)
    for name in ("a", "b", "c"):
        top.add(1, name)
    assert top.rows() == ["a", "b"]


@pytest.mark.parametrize("by_length, first", [(False, b"heavy"), (True, b"long")])
def test_a_tally_counts_all_and_keeps_the_biggest(by_length: bool, first: bytes) -> None:
    mine, theirs = Tally(2, by_length), Tally(2, by_length)
    mine.add(big(b"heavy", 900, 1))
    mine.add(big(b"small", 10, 2))
    theirs.add(big(b"long", 800, 70, THERE))
    total = Tally(2, by_length).join([mine, theirs])
    lists = total.types["list"]
    assert (lists.keys, lists.memory, lists.length) == (3, 1710, 73)
    assert lists.biggest.rows()[0].key == total.biggest.rows()[0].key == first


def test_keys_that_went_meanwhile_are_left_out() -> None:
    link = Canned(
        {
            ("TYPE", b"a"): b"list",
            ("TYPE", b"gone"): b"none",
            ("TYPE", b"moved"): ErrorReply("MOVED 3 10.0.0.9:7001"),
            ("TYPE", b"changed"): b"hash",
            ("TYPE", b"json"): b"ReJSON-RL",
            **{
                ("MEMORY", "USAGE", key, "SAMPLES", 5): size
                for key, size in {
                    b"a": 100, b"gone": None, b"moved": ErrorReply("MOVED 3 10.0.0.9:7001"), b"changed": 60,
                    b"json": 50,
                }.items()
            },
            ("LLEN", b"a"): 4,
            ("HLEN", b"changed"): ErrorReply("WRONGTYPE Operation against a key"),
        }
    )  # fmt: skip
    tally = Tally(9, by_length=False)
    tally.examine(HERE, link, 2, [b"a", b"gone", b"moved", b"changed", b"json"])
    assert tally.biggest.rows() == [
        BigKey(b"a", "list", 100, 4, HERE, 2),
        BigKey(b"changed", "hash", 60, None, HERE, 2),
        BigKey(b"json", "ReJSON-RL", 50, None, HERE, 2),
    ]


def test_what_is_no_matter_of_a_key_is_not_passed_over() -> None:
    link = Canned({("TYPE", b"a"): ErrorReply("NOPERM User x has no permissions")})
    with pytest.raises(Refused, match="refused TYPE a: NOPERM"):
        ask(link, [("TYPE", b"a")])


def test_figures_of_a_report_are_scaled_up_from_the_sample() -> None:
    report = {
        b"sample-ratio": 10,
        b"collection-duration-ms": 2000,
        b"all-commands-all-slots-us": 40_000,
        b"by-cpu-time-us": [b"a", 2000, b"b", 1],
        b"by-net-bytes": [b"c", 500, b"a", 100],
    }
    assert read_report(HERE, report) == [
        HotKey(b"a", HERE, cpu_percent=1.0, share_percent=50.0, bytes_per_second=500.0),
        HotKey(b"b", HERE, cpu_percent=0.0005, share_percent=0.025, bytes_per_second=None),
        HotKey(b"c", HERE, cpu_percent=None, share_percent=None, bytes_per_second=2500.0),
    ]


def test_a_report_of_no_time_tells_nothing() -> None:
    assert read_report(HERE, {b"collection-duration-ms": 0, b"sample-ratio": 1}) == []
    assert read_report(HERE, {}) == []


def test_keys_are_shown_on_one_line() -> None:
    assert key_text("grün:1 2".encode()) == "grün:1 2"
    assert key_text(b"\xff\n\x01bin") == "\\xff\\x0a\\x01bin"
    assert shortened("x" * 81) == "x" * 80 + "..."
