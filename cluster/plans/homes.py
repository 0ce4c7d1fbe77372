"""Who has no home yet, and where it would be: members that serve nothing and replicate nobody.

A member that came by itself is such a spare. Each is given to the primary that has the fewest replicas, as
long as that one lacks any, and spares change places as long as that keeps replicas further from what they
share a zone or host with. All spares are placed together and in order of their ids, so that several who
look at the same time, each for itself, come to the same plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from itertools import combinations

from cluster.plans.membership import cost_of, neediest_primary
from cluster.plans.model import NodeInfo

_ABSENT = frozenset({"fail", "fail?", "noaddr", "handshake"})


def is_present(node: NodeInfo) -> bool:
    """Whether the describing member has it in sight."""
    return not node.flags & _ABSENT


def spares(nodes: Mapping[str, NodeInfo]) -> list[str]:
    """Ids of primaries without slots, in order."""
    return sorted(
        node.id for node in nodes.values() if node.is_primary and not node.slots and is_present(node)
    )


def homes(
    nodes: Mapping[str, NodeInfo], homeless: Collection[str], replicas: int, heirs: Collection[str] = ()
) -> dict[str, str]:
    """Id of a spare -> id of the primary that it shall replicate, for as many of `homeless` as there are
    replicas missing where each primary is to have `replicas`. `heirs`: spares that are to have slots, and
    replicas before: their turn comes last."""
    if not any(node.slots for node in nodes.values()):
        return {}
    living = Counter(node.primary_id for node in nodes.values() if not node.failed)
    promised: Counter[str] = Counter()
    unserved = set(spares(nodes)) - set(heirs)
    found: dict[str, str] = {}
    for spare in sorted(homeless):
        full = {each for each in nodes if living[each] + promised[each] >= replicas}
        primaries = (node.id for node in nodes.values() if node.is_primary and not node.failed)
        if not set(primaries) - full - unserved:
            break
        primary = neediest_primary(nodes, nodes[spare].place, full | unserved, promised)
        promised[primary.id] += 1
        found[spare] = primary.id
    return _further_apart(nodes, sorted(homeless), found)


def _further_apart(
    nodes: Mapping[str, NodeInfo], homeless: Collection[str], found: dict[str, str]
) -> dict[str, str]:
    """Those with a home, and those without, change as long as that lowers what the homes cost."""

    def cost(spare: str, primary: str | None) -> int:
        return cost_of(nodes, nodes[spare].place, nodes[primary]) if primary else 0

    home: dict[str, str | None] = {spare: found.get(spare) for spare in homeless}
    improved = True
    while improved:  # each time by a whole number at least
        improved = False
        for one, other in combinations(home, 2):
            first, second = home[one], home[other]
            if cost(one, second) + cost(other, first) < cost(one, first) + cost(other, second):
                home[one], home[other] = second, first
                improved = True
    return {spare: primary for spare, primary in home.items() if primary}
