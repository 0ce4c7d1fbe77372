"""Who has no home yet, and where it would be: members that serve nothing and replicate nobody.

A member that came by itself is such a spare. Each is given to the primary that has the fewest replicas, as
long as that one lacks any. All spares are placed together and in order of their ids, so that several who look
at the same time, each for itself, come to the same plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from cluster.plans.membership import neediest_primary
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


def homes(nodes: Mapping[str, NodeInfo], homeless: Collection[str], replicas: int) -> dict[str, str]:
    """Id of a spare -> id of the primary that it shall replicate, for as many of `homeless` as there are
    replicas missing where each primary is to have `replicas`."""
    living = Counter(node.primary_id for node in nodes.values() if not node.failed)
    promised: Counter[str] = Counter()
    found: dict[str, str] = {}
    if not any(node.slots for node in nodes.values()):
        return found
    without = spares(nodes)
    for spare in sorted(homeless):
        primary = neediest_primary(nodes, nodes[spare].host, without, promised)
        if primary.slots and living[primary.id] + promised[primary.id] < replicas:
            promised[primary.id] += 1
            found[spare] = primary.id
    return found
