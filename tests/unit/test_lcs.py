"""The longest common subsequence, against the table that Redis fills and the way it walks back through it."""

import time

from hypothesis import given
from hypothesis import strategies as st

from node.handlers import lcs

text = st.text("abcd", max_size=14).map(str.encode)


def by_table(a: bytes, b: bytes) -> list[tuple[int, int]]:
    lengths = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            if a[i - 1] == b[j - 1]:
                lengths[i][j] = lengths[i - 1][j - 1] + 1
            else:
                lengths[i][j] = max(lengths[i - 1][j], lengths[i][j - 1])
    i, j = len(a), len(b)
    matches = []
    while i and j:
        if a[i - 1] == b[j - 1]:
            i, j = i - 1, j - 1
            matches.append((i, j))
        elif lengths[i - 1][j] > lengths[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return matches


@given(text, text)
def test_both_walks_take_the_way_of_redis(a: bytes, b: bytes) -> None:
    expected = by_table(a, b)
    assert list(lcs._walk_back_along_a(a, b)) == expected
    assert list(lcs._walk_back_along_b(a, b)) == expected


def test_a_long_and_a_short_string_are_quick_either_way() -> None:
    long, short = bytes(range(256)) * 12_000, bytes(range(40, 0, -1))
    start = time.process_time()
    for a, b in ((long, short), (short, long)):
        assert len(list(lcs.common_subsequence(a, b))) == len(short)
    assert time.process_time() - start < 10
