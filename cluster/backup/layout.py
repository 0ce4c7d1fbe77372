"""Who holds which slots. A server that runs alone holds all of them.

A cluster's layout is only good for something while its members agree and no slot is in motion: the keys of
one that is lie in two places. `await_layout` gives gossip and failovers some time to come to that.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass

from cluster.operations.link import Credentials, NodeLink, OperationError, Refused, Unreachable
from cluster.operations.server_info import read_info
from cluster.operations.survey import Survey
from cluster.plans.backup import Holder, Layout
from cluster.plans.check import check
from cluster.slots import ALL_SLOTS, format_ranges

_OBSTACLES = ("disagreement", "contested", "open-slot")
PATIENCE_SECONDS = 30.0
"""For what a failover or the end of a reshard may take."""
_PAUSE = 0.5


@dataclass(frozen=True)
class Access:
    """How to get in: any of `addresses` answers for all; who asks; seconds for one reply."""

    addresses: tuple[tuple[str, int], ...]
    credentials: Credentials
    timeout: float

    def widened(self, layout: Layout) -> Access:
        """With the members of `layout` as further addresses, for when the first is gone."""
        known = [(holder.host, holder.port) for holder in layout.holders]
        return Access(tuple(dict.fromkeys([*self.addresses, *known])), self.credentials, self.timeout)

    def link(self, holder: Holder) -> NodeLink:
        return NodeLink(holder.host, holder.port, self.credentials, self.timeout)


def read_layout(access: Access, settled: bool = True) -> Layout:
    """The layout as it is now. Raises OperationError when nobody answers; if it is to be `settled`, also when
    members disagree, or slots are in motion or have no owner.
    """
    for host, port in access.addresses[:-1]:
        try:
            return _layout_of(host, port, access, settled)
        except Unreachable:
            continue
    return _layout_of(*access.addresses[-1], access, settled)


def await_layout(access: Access) -> Layout:
    """`read_layout`, again and again while it fails, for up to PATIENCE_SECONDS."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return read_layout(access)
        except OperationError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(_PAUSE)


def _layout_of(host: str, port: int, access: Access, settled: bool) -> Layout:
    try:
        with Survey.of(host, port, access.credentials, access.timeout) as survey:
            layout = _of_cluster(survey)
            if settled:
                _require_settled(survey, layout)
            return layout
    except Refused as error:
        if "cluster support disabled" not in error.reply:
            raise
    with closing(NodeLink(host, port, access.credentials, access.timeout)) as link:
        return Layout(False, (Holder(read_info(link)["run_id"], host, port, ALL_SLOTS, 0),))


def _of_cluster(survey: Survey) -> Layout:
    holders = [
        Holder(node.id, node.host, node.port, node.slots, node.epoch)
        for node in survey.primaries
        if node.slots and not node.failed
    ]
    return Layout(True, tuple(holders))


def _require_settled(survey: Survey, layout: Layout) -> None:
    for problem in check(survey.views):
        if problem.kind in _OBSTACLES:
            raise OperationError(problem.text, problem.next_step)
    missing = ALL_SLOTS
    for holder in layout.holders:
        missing &= ~holder.slots
    if missing:
        raise OperationError(
            f"no primary that answers serves {format_ranges(missing)}",
            f"`shoal check {survey.seed.address}` tells what is wrong",
        )
