"""Who comes and who goes, planned: what holds for every cluster, and the cases that are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import slots as slot_sets
from cluster.plans.membership import (
    Replacement,
    choose_heir,
    neediest_primary,
    plan_departure,
    plan_drain,
    plan_replacement,
    require_forgettable,
)
from cluster.plans.model import NodeInfo, PlanError
from cluster.plans.places import Place

FAIL = frozenset({"fail"})


def cluster(*slot_counts: int, replicas: dict[str, str] | None = None) -> dict[str, NodeInfo]:
    """Primaries a, b, c ... with so many slots each, and replicas name -> primary; each on its own host."""
    nodes: dict[str, NodeInfo] = {}
    first = 0
    for name, number in zip("abcdefgh", slot_counts, strict=False):
        slots = slot_sets.from_range(first, first + number - 1) if number else 0
        nodes[name] = NodeInfo(name, f"host-{name}", 7000, slots)
        first += number
    for name, primary in (replicas or {}).items():
        nodes[name] = NodeInfo(name, f"host-{name}", 7000, primary_id=primary)
    return nodes


def failed(nodes: dict[str, NodeInfo], name: str) -> dict[str, NodeInfo]:
    return nodes | {name: replace(nodes[name], flags=FAIL)}


class TestDraining:
    @given(st.lists(st.integers(0, 300), min_size=2, max_size=7))
    def test_all_slots_go_and_the_others_are_as_even_as_can_be(self, counts: list[int]) -> None:
        nodes = cluster(*counts)
        moves = plan_drain(nodes, "a")
        assert {move.slot for move in moves} == set(slot_sets.members(nodes["a"].slots))
        assert {move.source for move in moves} <= {"a"}
        held = {name: node.slot_count for name, node in nodes.items() if name != "a"}
        got = dict.fromkeys(held, 0)
        for move in moves:
            got[move.target] += 1
        serving = any(held.values())
        after = {name: held[name] + got[name] for name in held}
        for giver in (name for name in held if got[name]):
            eligible = [after[name] for name in held if not serving or held[name]]
            assert after[giver] <= min(eligible) + 1  # it got nothing that somebody with less could have had

    def test_who_has_none_stays_empty_while_others_have_some(self) -> None:
        assert {move.target for move in plan_drain(cluster(10, 10, 0), "a")} == {"b"}

    def test_each_gets_one_row(self) -> None:
        moves = plan_drain(cluster(9, 3, 3, 3), "a")
        assert [move.target for move in moves] == ["b"] * 3 + ["c"] * 3 + ["d"] * 3

    def test_somebody_must_be_there(self) -> None:
        with pytest.raises(PlanError, match="nobody could take the 5 slots of host-a:7000"):
            plan_drain(cluster(5, replicas={"r": "a"}), "a")
        with pytest.raises(PlanError, match="nobody"):
            plan_drain(failed(cluster(5, 5), "b"), "a")


class TestDeparture:
    def test_replicas_are_spread_over_the_others(self) -> None:
        nodes = cluster(4, 4, 4, replicas={"r": "a", "s": "a", "t": "b"})
        plan = plan_departure(nodes, "a")
        assert dict(plan.rehomed) == {"r": "c", "s": "b"}  # c has none, then both have one
        assert "2 primaries are left" in plan.notes[0]

    def test_a_replica_just_goes(self) -> None:
        plan = plan_departure(cluster(4, 4, 4, replicas={"r": "a"}), "r")
        assert (plan.moves, plan.rehomed) == ([], [])
        assert plan.notes == ["host-a:7000 is left without a replica"]

    def test_slots_of_the_dead_cannot_be_moved(self) -> None:
        with pytest.raises(PlanError, match="is down: start it, or `shoal failover`"):
            plan_departure(failed(cluster(4, 4, 4), "a"), "a")
        plan = plan_departure(failed(cluster(0, 4, 4, 4), "a"), "a")
        assert (plan.moves, plan.rehomed) == ([], [])


class TestNeediest:
    def test_fewest_replicas_then_another_host(self) -> None:
        nodes = cluster(4, 4, 4, replicas={"r": "a"})
        assert neediest_primary(nodes, Place("host-b")).id == "c"
        assert neediest_primary(nodes, Place("host-x"), extra={"b": 1}).id == "c"
        assert neediest_primary(nodes, Place("host-x"), without={"b", "c"}).id == "a"

    def test_another_zone_counts_as_another_host_does(self) -> None:
        zones = {"a": "west", "b": "east", "c": "west"}
        nodes = {name: replace(node, zone=zones[name]) for name, node in cluster(4, 4, 4).items()}
        assert neediest_primary(nodes, Place("host-x", "west")).id == "b"
        assert neediest_primary(nodes, Place("host-b", "east")).id == "a"
        assert neediest_primary(nodes, Place("host-a", "west"), without={"b"}).id == "c"

    def test_slots_matter_most_and_the_failed_do_not_count(self) -> None:
        nodes = failed(cluster(4, 0, 4, replicas={"r": "a"}), "c")
        assert neediest_primary(nodes, Place("x")).id == "a"
        with pytest.raises(PlanError, match="no primary"):
            neediest_primary(failed(cluster(4), "a"), Place("x"))


class TestReplacing:
    nodes = cluster(4, 4, 4, 0, replicas={"r": "a", "s": "b"})

    def test_a_primary_that_runs_is_followed_and_then_succeeded(self) -> None:
        assert plan_replacement(self.nodes, "a", Place("x"), {"a"}) == Replacement("a", True)

    def test_a_replica_is_replaced_by_another_replica_also_when_it_is_down(self) -> None:
        assert plan_replacement(self.nodes, "r", Place("x"), set()) == Replacement("a", False)

    def test_a_dead_one_that_has_been_succeeded_leaves_a_place_where_it_is_needed(self) -> None:
        assert plan_replacement(failed(self.nodes, "d"), "d", Place("x"), set()) == Replacement("c", False)

    @pytest.mark.parametrize(("down", "old"), [("a", "a"), ("a", "r")])
    def test_what_is_lost_cannot_be_copied(self, down: str, old: str) -> None:
        with pytest.raises(PlanError, match="`shoal failover"):
            plan_replacement(failed(self.nodes, down), old, Place("x"), {"r"})


class TestHeirs:
    nodes = cluster(4, 4, 4, replicas={"r": "a", "s": "a"})

    def test_who_has_received_most(self) -> None:
        assert choose_heir(self.nodes, self.nodes["a"], {"r": 5, "s": 7}).id == "s"
        assert choose_heir(self.nodes, self.nodes["r"], {"r": 5, "s": 7}).id == "r"

    def test_nobody(self) -> None:
        with pytest.raises(PlanError, match="no replica that answers"):
            choose_heir(self.nodes, self.nodes["b"], {"r": 5})
        with pytest.raises(PlanError, match="does not answer"):
            choose_heir(self.nodes, self.nodes["s"], {"r": 5})


def test_only_who_is_gone_and_of_no_use_is_forgotten() -> None:
    nodes = cluster(4, 4, 4, 0, replicas={"r": "d"})
    with pytest.raises(PlanError, match="`shoal del-node`"):
        require_forgettable(nodes, "d", {"d"})
    with pytest.raises(PlanError, match="serves 4 slots"):
        require_forgettable(nodes, "a", {"b"})
    with pytest.raises(PlanError, match="host-r:7000 replicates host-d:7000"):
        require_forgettable(nodes, "d", {"b", "r"})
    require_forgettable(nodes, "d", {"b"})
