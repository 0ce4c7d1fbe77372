"""The loop of autobalance, with a cluster that is told and not asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from cluster.operations import balancer as under_test
from cluster.operations.balancer import Balancer, Policy
from cluster.operations.link import OperationError
from cluster.operations.slot_loads import Measure
from cluster.operations.survey import Survey
from cluster.plans.model import NodeInfo
from cluster.plans.steadiness import Limits
from tests.unit.test_load_plans import cluster_of, zipf

POLICY = Policy(Measure.OPS, Path("unused"), interval=0.0, limits=Limits(samples=2), dry_run=True)


class Cluster:
    """`states`: what each refresh finds, nodes or why it fails; asked once more, it stops the balancer."""

    def __init__(self, *states: dict[str, NodeInfo] | OperationError) -> None:
        self._states = list(states)
        self.nodes: dict[str, NodeInfo] = {}
        self.stop: Callable[[], None] = lambda: None

    def refresh_from_any(self) -> None:
        state = self._states.pop(0)
        if not self._states:
            self.stop()
        if isinstance(state, OperationError):
            raise state
        self.nodes = state


class Meter:
    """Always the same load: the first node has all the hot slots."""

    def look(self, survey: Survey) -> list[float]:
        return zipf(0.8, shuffled=False)


@pytest.fixture(autouse=True)
def sound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "require_sound", lambda survey: None)
    monkeypatch.setattr(under_test, "LoadMeter", lambda measure: Meter())


def run(cluster: Cluster, policy: Policy = POLICY, looks: int | None = None) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    balancer = Balancer(cast(Survey, cluster), policy, told.append)
    cluster.stop = balancer.request_stop
    balancer.run(looks)
    return told


def test_a_problem_is_told_and_sampling_begins_anew() -> None:
    nodes, gone = cluster_of(3), OperationError("7001 does not answer", "start it")
    told = run(Cluster(nodes, gone, nodes, nodes))
    assert [event.get("decision", event["event"]) for event in told] == [
        "watch", "problem", "watch", "would move",
    ]  # fmt: skip
    assert (told[1]["text"], told[1]["next_step"]) == ("7001 does not answer", "start it")


def test_with_numbered_looks_a_problem_ends_it() -> None:
    with pytest.raises(OperationError):
        run(Cluster(cluster_of(3), OperationError("gone"), cluster_of(3)), looks=2)
    assert len(run(Cluster(*[cluster_of(3)] * 9), looks=2)) == 2


def test_a_weight_goes_with_the_place_of_its_node() -> None:
    """The node to be emptied has failed over to its replica, which is to be emptied then."""
    before = cluster_of(3)
    old = before["n0001"]
    heir = NodeInfo("heir", "10.0.0.7", 7, old.slots)
    after = before | {"n0001": replace(old, slots=0, primary_id="heir"), "heir": heir}
    policy = replace(POLICY, weights={"n0001": 0.0}, limits=Limits(samples=1, most=20_000))
    told = run(Cluster(after, after), policy, looks=1)
    assert told[0]["decision"] == "would move"
    assert told[0]["moves"] >= heir.slot_count
