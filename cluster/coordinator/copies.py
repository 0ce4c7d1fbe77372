"""What a synchronous replica knows of its own copy of the data: is everything there that it acknowledged?

What a replica has acknowledged it may have lost: by a restart, or because its data is being replaced. Until
it has caught up with what its primary had after that, its copy is not complete: it does not stand for
election (elections.py), answers no other candidate (fences.py), and says so with every message (INCOMPLETE).
"""

from __future__ import annotations

from cluster.coordinator.messages import Header
from cluster.coordinator.state import Copy, State


def note_primary_heard(state: State, header: Header) -> None:
    """Our primary told how far its stream goes: everything we ever acknowledged lies before that."""
    copy = _copy(state)
    if copy is not None and copy.target is None:
        copy.target = header.offset


def is_complete(state: State) -> bool:
    """Whether we have at least everything that we acknowledged. Nobody asks where nobody relies on it."""
    if not state.settings.synchronous_replicas:
        return True
    copy = _copy(state)
    if copy is None:
        return False
    if copy.target is not None and state.facts.replication_offset() >= copy.target:
        copy.is_complete = True
    return copy.is_complete


def _copy(state: State) -> Copy | None:
    """What we know of our copy; None while it is not a whole one, and nothing said of it holds."""
    if state.facts.has_whole_copy():
        return state.copy
    state.copy = Copy()
    return None
