"""A plan of moves as a journal: what is to be done, and what has become of it.

A plan is made of steps, each of them some slots from one node to another, small enough to be repeated; steps
between different nodes may go on side by side. Its
journal begins with the plan; then comes a line for everything that happens: a step began or was done, an
operator wishes a pause, all is over. Lines are only ever appended, so that several programs may write at once
(the one that moves, and one that asks it to pause), and one that is killed in the middle of a line spoils no
more than that line.

The journal tells what was intended. How far a step has come is never taken from it alone: who owns a slot
is asked of the cluster, so that a plan goes on where it was, whoever goes on with it and wherever.

Nothing here touches a file (cluster/operations/journals.py does), and no password is ever in a journal.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import groupby
from typing import Any

from cluster.plans.model import Move, NodeInfo
from cluster.slots import count, format_ranges, from_iterable, members, parse_ranges

FORMAT = 1
SLOTS_OF_A_STEP = 4096
"""At most. Each step costs clients a fork of its source, a change of owners and a new map, so it is not to be
small where keys are few."""
KEYS_OF_A_STEP = 250_000
"""A step is closed when its slots hold this many keys: its target keeps them apart until they are its own."""


class JournalError(ValueError):
    """It is no journal, or one of a later version. The text is one line for the operator."""


class Wish(StrEnum):
    """What an operator wants of a plan."""

    RUN = "run"
    PAUSE = "pause"
    CANCEL = "cancel"


class End(StrEnum):
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Step:
    """Slots (a bitmap) that go from one primary to another, by id. `keys`: how many they held when the plan
    was made."""

    source: str
    target: str
    slots: int
    keys: int = 0

    @property
    def ends(self) -> set[str]:
        return {self.source, self.target}

    @property
    def moves(self) -> list[Move]:
        return [Move(slot, self.source, self.target) for slot in members(self.slots)]


@dataclass(frozen=True)
class Options:
    """How the moves of a plan are made."""

    classic: bool = False
    """Key by key, also between nodes that can do better."""
    pipeline: int = 100
    timeout: float = 60.0
    replace: bool = False
    bandwidth: int = 0
    """Bytes a second, 0 for any number."""
    max_p99: float = 0.0
    """Ms that 99 of 100 requests to the two nodes may take before the move slows down, 0 for any time."""
    at_once: int = 4
    """Steps, between different nodes, that may go on at the same time."""


@dataclass
class Plan:
    """`id` names it among the journals of a directory. `title`: what was called, as `reshard`. `seeds`:
    addresses of members. `shards`: who replicates each primary that takes part, by id, so that an heir is
    known as such. Times are Unix seconds."""

    id: str
    title: str
    created: float
    seeds: list[str]
    steps: list[Step]
    options: Options = Options()
    shards: dict[str, list[str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """Addresses of the nodes by id, as they were, for people."""

    begun: set[int] = field(default_factory=set)
    done: set[int] = field(default_factory=set)
    keys: int = 0
    """That were moved."""
    wish: Wish = Wish.RUN
    end: End | None = None
    problem: str = ""
    """What it stopped at last, if nothing went on since."""
    borrowed: dict[str, dict[str, str]] = field(default_factory=dict)
    """Settings changed for the time of the move, to be put back: by node id, name and former value."""

    @property
    def slots(self) -> int:
        return sum(count(step.slots) for step in self.steps)

    @property
    def slots_done(self) -> int:
        return sum(count(self.steps[number].slots) for number in self.done)

    @property
    def pending(self) -> list[int]:
        """Numbers of the steps that are not done, in order."""
        return [number for number in range(len(self.steps)) if number not in self.done]

    @property
    def state(self) -> str:
        """In a word, not counting whether somebody is at it."""
        if self.end is not None:
            return self.end
        if self.wish is Wish.PAUSE:
            return "paused"
        return "stopped" if self.problem else "pending"


# --- making


def cut_steps(
    moves: Sequence[Move],
    keys: Mapping[int, int],
    most_slots: int = SLOTS_OF_A_STEP,
    most_keys: int = KEYS_OF_A_STEP,
) -> list[Step]:
    """The moves in steps, in their order. `keys`: how many each slot holds."""
    steps: list[Step] = []
    for (source, target), group in groupby(moves, key=lambda move: (move.source, move.target)):
        chosen: list[int] = []
        weight = 0
        for move in group:
            if chosen and (len(chosen) == most_slots or weight + keys.get(move.slot, 0) > most_keys):
                steps.append(Step(source, target, from_iterable(chosen), weight))
                chosen, weight = [], 0
            chosen.append(move.slot)
            weight += keys.get(move.slot, 0)
        steps.append(Step(source, target, from_iterable(chosen), weight))
    return steps


# --- which step is next


def startable(plan: Plan, running: Collection[int], most: int) -> list[int]:
    """Numbers of the steps that may begin beside those that are `running`, so that there are up to `most`:
    none has a node in common with another. Those that were begun before come first."""
    busy = {node for number in running for node in plan.steps[number].ends}
    chosen: list[int] = []
    for number in sorted(plan.pending, key=lambda number: number not in plan.begun):
        if len(running) + len(chosen) >= most:
            break
        ends = plan.steps[number].ends
        if number not in running and not ends & busy:
            chosen.append(number)
            busy |= ends
    return chosen


# --- what is left of a step, by what the cluster says


@dataclass(frozen=True)
class Remainder:
    """What has to be done yet for a step, now: `moves`, and `lost` (a bitmap), slots that belong to somebody
    who has no part in it, so that the plan leaves them alone."""

    moves: list[Move]
    lost: int


def heir(plan: Plan, node_id: str, nodes: Mapping[str, NodeInfo]) -> str:
    """Who stands for a node of the plan now: itself while it is a primary, else the primary of its shard; ""
    if there is none."""
    node = nodes.get(node_id)
    if node is not None and node.is_primary and not node.failed:
        promoted = [
            other
            for other in plan.shards.get(node_id, ())
            if other in nodes and nodes[other].is_primary and nodes[other].slots
        ]
        return promoted[0] if promoted and not node.slots else node_id
    if node is not None and node.primary_id in nodes:
        return str(node.primary_id)
    for other in plan.shards.get(node_id, ()):
        found = nodes.get(other)
        if found is not None and found.is_primary and not found.failed:
            return other
    return ""


def remainder(plan: Plan, step: Step, nodes: Mapping[str, NodeInfo]) -> Remainder:
    """By who owns the slots now. Raises JournalError if nobody can take them."""
    target = heir(plan, step.target, nodes)
    if not target:
        raise JournalError(f"{plan.names.get(step.target, step.target)} is gone, and has no heir")
    owners = {slot: node.id for node in nodes.values() for slot in members(node.slots & step.slots)}
    giver = {step.source, *plan.shards.get(step.source, ())}
    moves: list[Move] = []
    lost: list[int] = []
    for slot in members(step.slots):
        owner = owners.get(slot, "")
        if owner == target:
            continue
        if owner in giver or owner == heir(plan, step.source, nodes):
            moves.append(Move(slot, owner, target))
        else:
            lost.append(slot)
    return Remainder(moves, from_iterable(lost))


# --- lines


def first_line(plan: Plan) -> dict[str, Any]:
    return {
        "shoal": "moves",
        "format": FORMAT,
        "id": plan.id,
        "title": plan.title,
        "created": plan.created,
        "seeds": plan.seeds,
        "options": vars(plan.options),
        "shards": plan.shards,
        "names": plan.names,
        "steps": [
            {"from": step.source, "to": step.target, "slots": format_ranges(step.slots), "keys": step.keys}
            for step in plan.steps
        ],
    }


def read(lines: Iterable[str]) -> Plan:
    """The plan, and what has become of it. Lines that a killed program left unfinished are skipped, but for
    the first. Raises JournalError."""
    entries = iter(lines)
    try:
        plan = _plan(json.loads(next(entries, "")))
    except (ValueError, KeyError, TypeError) as error:
        raise JournalError(f"no journal of moves: {error}") from error
    for entry in whole(entries):
        apply(plan, entry)
    return plan


def _plan(entry: dict[str, Any]) -> Plan:
    if entry["shoal"] != "moves":
        raise ValueError("it is of another kind")
    if entry["format"] > FORMAT:
        raise ValueError(f"it is of format {entry['format']}, and this program knows {FORMAT}")
    steps = [
        Step(step["from"], step["to"], parse_ranges(step["slots"]), step["keys"]) for step in entry["steps"]
    ]
    known = vars(Options())
    options = replace(Options(), **{name: value for name, value in entry["options"].items() if name in known})
    return Plan(
        entry["id"], entry["title"], entry["created"], entry["seeds"], steps, options,
        entry["shards"], entry["names"],
    )  # fmt: skip


def whole(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The lines that tell of something, read."""
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("event"), str):
            yield entry


def apply(plan: Plan, entry: Mapping[str, Any]) -> None:
    """Note what one line tells. Events of later versions are skipped."""
    match entry:
        case {"event": "began", "step": int(number)}:
            plan.begun.add(number)
            plan.problem = ""
        case {"event": "done", "step": int(number)}:
            plan.done.add(number)
            plan.keys += int(entry.get("keys", 0))
        case {"event": "stopped", "text": str(text)}:
            plan.problem = text
        case {"event": "wish", "wish": str(wish)}:
            plan.wish = Wish(wish)
        case {"event": "limit", "bandwidth": int(bandwidth)}:
            plan.options = replace(plan.options, bandwidth=bandwidth)
        case {"event": "limit", "max_p99": float(limit)}:
            plan.options = replace(plan.options, max_p99=limit)
        case {"event": "limit", "at_once": int(steps)}:
            plan.options = replace(plan.options, at_once=steps)
        case {"event": "ended", "how": str(how)}:
            plan.end = End(how)
        case {"event": "borrowed", "node": str(node), "setting": str(name), "before": str(before)}:
            plan.borrowed.setdefault(node, {}).setdefault(name, before)
        case {"event": "returned", "node": str(node)}:
            plan.borrowed.pop(node, None)
