"""What happens when a primary dies under the supervisor's eyes.

Two things follow from knowing of the death at once, rather than from silence after cluster-node-timeout:

- A replica can take over at once. It is told CLUSTER FAILOVER FORCE, and asks the other primaries for their
  votes as in any failover. When they give none, because most of them died as well, it is told TAKEOVER, which
  needs no votes: the primary is certainly dead, and nobody but this supervisor would start it again.
- The dead must not come back too soon. Restarted within the timeout it would still be primary, with no more
data than
  its last snapshot, and its replicas, which have everything, would copy that. So it is started again
  only when another has taken its place, or when nobody can.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from cluster.operations.link import NodeLink, OperationError, Refused
from cluster.operations.survey import read_view
from cluster.plans.model import NodeInfo, View

LONGEST_SECONDS = 20.0
"""After that the dead is started again whatever it may cost: a part of the keys is not served meanwhile."""
ELECTION_SECONDS = 5.0
"""for an election to succeed, before a replica takes over without one"""
_ASK_AGAIN_SECONDS = 2.0
_POLL = 0.05
_ANSWER_SECONDS = 2.0


def hand_over(
    host: str,
    dead_port: int,
    other_ports: Sequence[int],
    note: Callable[[str], None],
    cancelled: Callable[[], bool],
) -> None:
    """Return when the worker that died on `dead_port` may be started again. Blocks; bounded by
    LONGEST_SECONDS."""
    with ExitStack() as stack:
        links = {port: NodeLink(host, port, timeout=_ANSWER_SECONDS) for port in other_ports}
        for link in links.values():
            stack.callback(link.close)
        heir = _choose_heir(dead_port, links)
        if heir is None:
            return
        note(f"worker {heir.port} is to take over from worker {dead_port}")
        _install(heir, dead_port, note, cancelled)


def _choose_heir(dead_port: int, links: dict[int, NodeLink]) -> NodeLink | None:
    """The replica that received most of what the dead primary wrote; None where there was none, or no
    primary."""
    view = _any_view(links)
    if view is None:
        return None
    dead = next((node for node in view.nodes.values() if node.port == dead_port), None)
    if dead is None or not dead.is_primary or not dead.slots:
        return None
    candidates = [
        (_received(links, node), node.port) for node in view.nodes.values() if node.primary_id == dead.id
    ]
    received, port = max(candidates, default=(0, 0))
    return links[port] if received > 0 else None


def _any_view(links: dict[int, NodeLink]) -> View | None:
    for link in links.values():
        try:
            return read_view(link)
        except OperationError:
            continue
    return None


def _received(links: dict[int, NodeLink], replica: NodeInfo) -> int:
    """Its replication offset; 0 for one that does not answer or never had a whole copy."""
    if replica.port not in links:
        return 0
    try:
        text = links[replica.port].call_text("INFO", "replication")
    except OperationError:
        return 0
    fields = dict(line.split(":", 1) for line in text.split() if ":" in line)
    if fields.get("role") != "slave" or fields.get("master_sync_in_progress") == "1":
        return 0
    return int(fields.get("slave_repl_offset", 0))


def _install(
    heir: NodeLink, dead_port: int, note: Callable[[str], None], cancelled: Callable[[], bool]
) -> None:
    started = time.monotonic()
    deadline = started + LONGEST_SECONDS
    ask_at = 0.0
    while not cancelled() and time.monotonic() < deadline:
        try:
            if time.monotonic() >= ask_at:
                # An election can fail, as any vote; the next one takes place in a later epoch.
                ask_at = time.monotonic() + _ASK_AGAIN_SECONDS
                _ask(heir, "FORCE" if time.monotonic() < started + ELECTION_SECONDS else "TAKEOVER")
            if read_view(heir).observer.is_primary:
                note(f"worker {heir.port} has taken over from worker {dead_port}")
                return
        except OperationError as error:
            note(f"worker {heir.port} cannot take over: {error}")
            return
        time.sleep(_POLL)
    if not cancelled():
        note(f"worker {heir.port} did not take over in {LONGEST_SECONDS:g} s")


def _ask(heir: NodeLink, how: str) -> None:
    try:
        heir.call("CLUSTER", "FAILOVER", how)
    except Refused as error:
        if "should send" not in error.reply.lower():  # it has become primary already
            raise
