"""What happens when a worker dies under the supervisor's eyes.

The cluster is told at once (`witness.py`), and a replica of a dead primary takes its place by vote, within
milliseconds. Two things are left to do here:

- The dead must not come back too soon. It would still be primary, with no more data than its last snapshot,
  and its replicas, which have everything, would copy that. So it is started again only when another has taken
  its place, or when nobody can.
- Where most primaries died together nobody is left to vote. If all of those are ours, so that nobody but this
  supervisor could start them again, the replica with most data is told CLUSTER FAILOVER TAKEOVER, which needs
  no votes. Where writes are acknowledged by replicas (`synchronous-replicas`), all replicas of the shard must
  have told how much they have before one may be chosen: any of them could be the one with everything.

Servers of others, which know no witness, are told CLUSTER FAILOVER FORCE instead.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from cluster.plans.model import NodeInfo, View
from cluster.supervisor.witness import ANSWER_SECONDS, FAILURES, Report, Watched, Witness
from cluster.supervisor.worker_link import Refusal, WorkerLink

LONGEST_SECONDS = 20.0
"""After that the dead is started again whatever it may cost: a part of the keys is not served meanwhile."""
VOTE_SECONDS = 0.4
"""for an election that may be on its way, before a replica takes over without one"""
LOOK_AT_HEIRS_SECONDS = 0.5
_POLL = 0.05


async def hand_over(
    witness: Witness, dead: Watched, note: Callable[[str], None], cancelled: Callable[[], bool]
) -> None:
    """Tell of the death of this worker, and return when it may be started again: within LONGEST_SECONDS."""
    deadline = asyncio.get_running_loop().time() + LONGEST_SECONDS
    while (report := await witness.announce_death(dead)) is None:
        too_late = asyncio.get_running_loop().time() > deadline
        if cancelled() or too_late or not witness.has_others(dead):
            return
        await asyncio.sleep(_POLL)
    lost = report.view.nodes.get(dead.node_id)
    if lost is None or not lost.is_primary or not lost.slots:
        return
    succession = _Succession(witness, dead, report, lost, note)
    with contextlib.closing(succession):
        await succession.await_end(cancelled)


@dataclass(frozen=True)
class _Heir:
    link: WorkerLink
    name: str
    received: int | None
    """How far it has the replication stream: 0 without a whole copy, None if it does not say."""


class _Succession:
    def __init__(
        self,
        witness: Witness,
        dead: Watched,
        report: Report,
        lost: NodeInfo,
        note: Callable[[str], None],
    ) -> None:
        self._witness = witness
        self._dead = dead
        self._foreign = report.foreign
        self._lost = lost
        self._note = note
        self._began = asyncio.get_running_loop().time()
        self._links: dict[str, WorkerLink] = {}
        """To replicas on other hosts, by node id."""

    def close(self) -> None:
        for link in self._links.values():
            link.close()

    async def await_end(self, cancelled: Callable[[], bool]) -> None:
        look_at = 0.0
        while not cancelled() and self._elapsed < LONGEST_SECONDS:
            view = await self._witness.view()
            heir = self._successor(view) if view is not None else None
            if heir is not None:
                self._note(f"{self._name(heir)} has taken over from worker {self._lost.port}")
                return
            if view is not None and self._elapsed >= look_at:
                look_at = self._elapsed + LOOK_AT_HEIRS_SECONDS
                if not await self._look_after_heirs(view):
                    return
            if not self._witness.has_others(self._dead):
                return
            await asyncio.sleep(_POLL)
        if not cancelled():
            self._note(f"nobody took over from worker {self._lost.port} in {LONGEST_SECONDS:g} s")

    @property
    def _elapsed(self) -> float:
        return asyncio.get_running_loop().time() - self._began

    def _successor(self, view: View) -> NodeInfo | None:
        """Who has its slots now."""
        others = (node for node in view.nodes.values() if node.id != self._lost.id)
        return next((node for node in others if node.slots & self._lost.slots), None)

    def _name(self, node: NodeInfo) -> str:
        ours = any(worker.node_id == node.id for worker in self._witness.workers.values())
        return f"worker {node.port}" if ours else node.address

    # --- heirs

    async def _look_after_heirs(self, view: View) -> bool:
        """See to it that one takes over if none can by itself. False if nobody can."""
        replicas = [node for node in view.nodes.values() if node.primary_id == self._lost.id]
        asked = await asyncio.gather(*(self._ask(node) for node in replicas))
        heirs = [heir for heir in asked if heir is not None and heir.received != 0]
        if not heirs:
            return False
        best = max(heirs, key=lambda heir: heir.received or 0)
        complete = not any(heir is None or heir.received is None for heir in asked)
        with contextlib.suppress(*FAILURES):
            if self._foreign:
                await best.link.call("CLUSTER", "FAILOVER", "FORCE", seconds=ANSWER_SECONDS)
            elif (
                self._elapsed > VOTE_SECONDS
                and self._nobody_votes(view)
                and (complete or not await _must_have_all(best))
            ):
                self._note(f"{best.name} takes over without a vote: most primaries are gone")
                await best.link.call("CLUSTER", "FAILOVER", "TAKEOVER", seconds=ANSWER_SECONDS)
        return True

    def _nobody_votes(self, view: View) -> bool:
        """Most of those who vote are workers of ours whose processes have ended."""
        ended = {worker.node_id for worker in self._witness.workers.values() if not worker.child.running}
        voters = {node.id for node in view.nodes.values() if node.is_primary and node.slots}
        return len(voters - ended) <= len(voters) // 2

    async def _ask(self, node: NodeInfo) -> _Heir | None:
        """How much this replica has; None if there is nobody to ask."""
        ours = next((each for each in self._witness.workers.values() if each.node_id == node.id), None)
        if ours is not None and not ours.child.running:
            return None
        link = ours.link if ours is not None else self._links.get(node.id)
        if link is None:
            link = self._links[node.id] = self._witness.link_to(node.host, node.port)
        received = None
        try:
            text = (await link.call("INFO", "replication", seconds=ANSWER_SECONDS)).decode()
            received = _received(dict(line.split(":", 1) for line in text.split() if ":" in line))
        except (TimeoutError, Refusal):
            pass  # It is there, and busy.
        except OSError:
            return None
        return _Heir(link, self._name(node), received)


def _received(facts: dict[str, str]) -> int:
    """How far a worker of these facts (INFO replication) has the stream; 0 without a whole copy."""
    if facts.get("role") == "master":  # it has taken over, and the view does not show it yet
        return int(facts["master_repl_offset"])
    whole = facts.get("master_sync_in_progress") != "1"
    return max(0, int(facts.get("slave_repl_offset", 0))) if whole else 0


async def _must_have_all(heir: _Heir) -> bool:
    """Whether an acknowledged write may be with a single other replica only."""
    with contextlib.suppress(Refusal):
        found = await heir.link.call("CONFIG", "GET", "synchronous-replicas", seconds=ANSWER_SECONDS)
        return bool(found) and found[1] != b"0"
    return False
