"""How many nodes Redis' radix tree would have: XINFO STREAM tells it, and we keep no such tree.

A tree over keys of one length has a node for every place where keys part, one for the run of bytes up to the
next such place or to the end of a key, if that run is not empty, and one for the end of every key. Source:
rax.c of Redis.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def count_nodes(keys: Sequence[bytes]) -> int:
    """Nodes of the tree over `keys`, which ascend and are of one length."""
    if not keys:
        return 1
    return len(keys) + _inner_nodes(keys)


def _inner_nodes(keys: Sequence[bytes]) -> int:
    """Branches and runs. `open_branches` are the depths at which the current key's path branches."""
    length = len(keys[0])
    shared = [_common(one, other) for one, other in pairwise(keys)]
    nodes = 0
    edges: list[tuple[int, int]] = []  # (depth of the branch above or -1, depth of what is below)
    open_branches: list[int] = []
    for depth in [*shared, -1]:
        below = length
        while open_branches and open_branches[-1] > depth:
            branch = open_branches.pop()
            edges.append((branch, below))
            nodes += 1
            below = branch
        if depth >= 0:
            edges.append((depth, below))
            if not open_branches or open_branches[-1] < depth:
                open_branches.append(depth)
        else:
            edges.append((-1, below))
    runs = sum(1 for above, below in edges if below - above - 1 > 0)
    return nodes + runs


def _common(one: bytes, other: bytes) -> int:
    """Length of the common beginning of two different keys of one length."""
    return next(i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)
