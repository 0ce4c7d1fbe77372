"""Digests: what they tell apart, and what not."""

from __future__ import annotations

import pytest

from node.datatypes import Hash, List, Set, SortedSet
from node.keyspace.digest import digest_of_dataset, digest_of_value


def test_nothing_is_zeros() -> None:
    assert digest_of_value(None, False) == digest_of_dataset([]) == "0" * 40


def test_a_known_value() -> None:
    """As redis-server 8.2.3 shows it for the string `bar`."""
    assert digest_of_value(b"bar", False) == "68467c70ae30376e7ce005bcc8827f5ba7fd67dc"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (b"a", b"b", False),
        (List([b"a", b"b"]), List([b"b", b"a"]), False),
        (List([b"ab"]), List([b"a", b"b"]), False),
        (Set([b"a", b"b"]), Set([b"b", b"a"]), True),
        (List([b"a"]), Set([b"a"]), False),
        (Hash({b"a": b"1", b"b": b"2"}), Hash({b"b": b"2", b"a": b"1"}), True),
        (Hash({b"a": b"1", b"b": b"2"}), Hash({b"a": b"2", b"b": b"1"}), False),
        (SortedSet([(b"a", 1.0), (b"b", 2.0)]), SortedSet([(b"b", 2.0), (b"a", 1.0)]), True),
        (SortedSet([(b"a", 1.0)]), SortedSet([(b"a", 1.5)]), False),
    ],
)
def test_what_makes_a_difference(one: object, other: object, same: bool) -> None:
    assert (digest_of_value(one, False) == digest_of_value(other, False)) == same
    assert digest_of_value(one, True) != digest_of_value(one, False)
