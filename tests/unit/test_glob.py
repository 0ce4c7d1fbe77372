"""Globs, against a matcher that is slow and obvious. Differential tests ask real servers."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from node.core.key_slot import key_slot
from node.keyspace import glob
from node.keyspace.glob import MAX_COMPILED, MAX_STARS, Glob

CASES = [
    (b"h?llo", b"hello", True),
    (b"h?llo", b"hllo", False),
    (b"h*llo", b"heeeello", True),
    (b"h[ae]llo", b"hallo", True),
    (b"h[^e]llo", b"hello", False),
    (b"h[a-c]llo", b"hbllo", True),
    (b"h[c-a]llo", b"hbllo", True),
    (b"\\*", b"*", True),
    (b"\\*", b"a", False),
    (b"[\\]]", b"]", True),
    (b"[]", b"]", False),
    (b"[", b"[", False),
    (b"[abc", b"c", True),
    (b"[a-", b"-", True),
    (b"[^]", b"x", True),
    (b"\\", b"\\", True),
    (b"a\nb*", b"a\nb\n", True),
    (b"", b"", True),
    (b"", b"a", False),
    (b"*", b"", False),
    (b"**", b"", False),
    (b"a**", b"a", True),
    (b"*\xff*", b"\x00\xff\x00", True),
]


@pytest.mark.parametrize(("pattern", "text", "expected"), CASES)
def test_documented_and_odd_patterns(pattern: bytes, text: bytes, expected: bool) -> None:
    assert glob.matches(pattern, text) is expected


def test_case_is_ignored_on_request() -> None:
    assert glob.matches(b"MaxMem*[A-C]", b"maxmemoryB", ignore_case=True)
    assert not glob.matches(b"MaxMem*", b"maxmemory")
    assert glob.matches(b"[^A]", b"B", ignore_case=True)
    assert not glob.matches(b"[^A]", b"a", ignore_case=True)


def test_a_lone_star_is_told_apart() -> None:
    assert Glob(b"*").matches_all
    assert not Glob(b"**").matches_all


def reference(pattern: bytes, text: bytes) -> bool:
    """Only stars, question marks and literals, by trying everything."""
    if not pattern:
        return not text
    if pattern[:1] == b"*":
        return any(reference(pattern[1:], text[skip:]) for skip in range(len(text) + 1))
    return bool(text) and pattern[:1] in (b"?", text[:1]) and reference(pattern[1:], text[1:])


@given(st.text("ab*?", max_size=8), st.text("abc", min_size=1, max_size=10))
@example("*a*ab", "aab")
def test_agrees_with_trying_everything(pattern: str, text: str) -> None:
    expected = reference(pattern.encode(), text.encode())
    assert glob.matches(pattern.encode(), text.encode()) is expected


@given(st.text("abA*?[]^-\\", max_size=12), st.text("aAb-]^[", max_size=9), st.booleans())
def test_the_walk_and_the_expression_are_one_language(pattern: str, text: str, ignore_case: bool) -> None:
    expected = glob.matches(pattern.encode(), text.encode(), ignore_case)
    assert glob._walk(pattern.encode(), text.encode(), ignore_case) is expected


@pytest.mark.parametrize(
    "pattern", [b"a*" * 100 + b"c", b"*a" * 100 + b"c", b"a*" * MAX_COMPILED + b"c", b"*a?[ab]" * 60 + b"c"]
)
def test_costly_patterns_stay_cheap(pattern: bytes) -> None:
    start = time.perf_counter()
    assert not glob.matches(pattern, b"a" * 5000)
    assert time.perf_counter() - start < 2


def test_long_patterns_still_match() -> None:
    text = b"ab" * MAX_COMPILED
    assert glob.matches(text, text)
    assert glob.matches(b"*" + text[:-1] + b"?", b"x" + text)
    assert not glob.matches(text + b"?", text)


def test_too_many_stars_match_nothing() -> None:
    text = b"a" * (MAX_STARS + 5)
    assert glob.matches(b"*a" * MAX_STARS + b"*", text)
    assert not glob.matches(b"*a" * (MAX_STARS + 1), text)


@pytest.mark.parametrize(
    ("pattern", "tag"),
    [
        (b"{user}*", b"user"),
        (b"x{user}[*", b"user"),
        (b"]{user}*", b"user"),
        (b"plain", b"plain"),
        (b"{}plain", b"{}plain"),
        (b"{open", b"{open"),
        (b"*{user}", None),
        (b"?{user}", None),
        (b"{us?r}", None),
        (b"{}{user}*", None),
        (b"user*", None),
        (b"\\{user}*", None),
    ],
)
def test_patterns_that_stay_in_one_slot(pattern: bytes, tag: bytes | None) -> None:
    assert glob.fixed_slot(pattern) == (None if tag is None else key_slot(tag))
