"""The planners: what they promise for every cluster, not just for examples."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster import slots as slot_sets
from cluster.plans.backup import Holder, Layout, plan_backup
from cluster.plans.check import check, stray_problems, uncovered_slots
from cluster.plans.create import divide_slots, plan_create
from cluster.plans.fix import plan_fix
from cluster.plans.model import Move, NodeInfo, PlanError, View, apportion
from cluster.plans.rebalance import plan_rebalance, target_shares
from cluster.plans.reshard import plan_reshard

few = settings(max_examples=25)
"""for properties that walk through thousands of moves per example"""


def nodes_serving(*slot_counts: int) -> dict[str, NodeInfo]:
    """Primaries a, b, c ... serving so many slots each, from 0 upwards."""
    nodes, first = {}, 0
    for i, served in enumerate(slot_counts):
        name = chr(ord("a") + i)
        slots = slot_sets.from_range(first, first + served - 1)
        nodes[name] = NodeInfo(name, "127.0.0.1", 7001 + i, slots, epoch=i + 1)
        first += served
    return nodes


def after(nodes: dict[str, NodeInfo], moves: list[Move]) -> dict[str, int]:
    """How many slots each node serves once `moves` are done; fails if a move is not the source's to make."""
    held = {name: node.slots for name, node in nodes.items()}
    for move in moves:
        assert slot_sets.contains(held[move.source], move.slot)
        held[move.source] ^= 1 << move.slot
        held[move.target] |= 1 << move.slot
    return {name: slot_sets.count(slots) for name, slots in held.items()}


@st.composite
def served_counts(draw: st.DrawFn, smallest: int = 2) -> list[int]:
    """All 16384 slots in any division over 2 to 9 nodes, empty ones included."""
    cuts = sorted(draw(st.lists(st.integers(0, slot_sets.SLOT_COUNT), min_size=smallest - 1, max_size=8)))
    return [b - a for a, b in zip([0, *cuts], [*cuts, slot_sets.SLOT_COUNT], strict=True)]


class TestCreate:
    def test_three_primaries_get_the_slots_redis_cli_gives(self) -> None:
        assert divide_slots(3) == [(0, 5460), (5461, 10922), (10923, 16383)]
        assert divide_slots(5)[:3] == [(0, 3276), (3277, 6553), (6554, 9829)]

    @given(st.integers(1, 1000))
    def test_division_is_complete_and_even(self, parts: int) -> None:
        ranges = divide_slots(parts)
        assert [slot for first, last in ranges for slot in range(first, last + 1)] == list(range(16384))
        sizes = {last - first + 1 for first, last in ranges}
        assert max(sizes) - min(sizes) <= 1

    @given(hosts=st.integers(2, 5), families=st.integers(1, 4), replicas=st.integers(1, 3))
    def test_no_replica_beside_its_primary_when_hosts_are_equally_filled(
        self, hosts: int, families: int, replicas: int
    ) -> None:
        addresses = [
            (f"host{host}", 7000 + i) for host in range(hosts) for i in range(families * (replicas + 1))
        ]
        if hosts * families < 3:
            with pytest.raises(PlanError):
                plan_create(addresses, replicas)
            return
        plan = plan_create(addresses, replicas)
        assert sorted(plan.addresses) == sorted(addresses)
        assert len(plan.primaries) == hosts * families
        assert plan.shared_hosts == 0
        assert all(len(primary.replicas) == replicas for primary in plan.primaries)

    @given(zones=st.integers(2, 4), families=st.integers(1, 3), order=st.randoms(use_true_random=False))
    def test_no_replica_in_the_zone_of_its_primary_when_zones_are_equally_filled(
        self, zones: int, families: int, order: random.Random
    ) -> None:
        """On whatever hosts: two of each zone, all on one, or each on its own."""
        hosts = order.choice([1, 2, 99])
        nodes = [(f"z{zone}", i) for zone in range(zones) for i in range(2 * families)]
        order.shuffle(nodes)
        places = {
            (f"h-{zone}-{i % hosts}" if hosts > 1 else "h", int(zone[1:]) * 100 + i): zone
            for zone, i in nodes
        }
        if zones * families < 3:
            return
        plan = plan_create(list(places), 1, places)
        assert plan.shared_zones == 0
        held = Counter(places[primary.address] for primary in plan.primaries)
        assert set(held.values()) == {families}
        assert plan_create(list(places), 1, dict.fromkeys(places, "z")).shared_zones == 0

    @given(st.lists(st.tuples(st.sampled_from("xyz"), st.integers(1, 99)), unique=True, min_size=3))
    def test_every_node_has_one_place(self, addresses: list[tuple[str, int]]) -> None:
        plan = plan_create(addresses, replicas=0)
        assert sorted(plan.addresses) == sorted(addresses)

    def test_nodes_left_over_become_replicas(self) -> None:
        plan = plan_create([("h", port) for port in range(8)], replicas=1)
        assert sorted(len(primary.replicas) for primary in plan.primaries) == [1, 1, 1, 1]
        plan = plan_create([("h", port) for port in range(7)], replicas=1)
        assert sorted(len(primary.replicas) for primary in plan.primaries) == [1, 1, 2]

    def test_too_few_nodes_are_refused_with_the_reason(self) -> None:
        with pytest.raises(PlanError, match="at least 3, so that a majority is left"):
            plan_create([("h", 1), ("h", 2), ("h", 3), ("h", 4)], replicas=1)
        with pytest.raises(PlanError, match="more than once: h:1"):
            plan_create([("h", 1), ("h", 1), ("h", 2)], replicas=0)


class TestReshard:
    @few
    @given(served_counts(), st.data())
    def test_the_target_gains_exactly_what_was_asked(self, served: list[int], data: st.DataObject) -> None:
        nodes = nodes_serving(*served)
        target = data.draw(st.sampled_from(sorted(nodes)))
        available = sum(node.slot_count for name, node in nodes.items() if name != target)
        if not available:
            return
        wanted = data.draw(st.integers(1, available))
        moves = plan_reshard(nodes, [], target, wanted)
        held = after(nodes, moves)
        assert held[target] == nodes[target].slot_count + wanted
        for name, node in nodes.items():
            if name != target:
                fair = wanted * node.slot_count / available
                assert abs(node.slot_count - held[name] - fair) < 1

    def test_only_the_named_sources_give(self) -> None:
        nodes = nodes_serving(6000, 6000, 4384)
        moves = plan_reshard(nodes, ["b"], "c", 10)
        assert moves == [Move(slot, "b", "c") for slot in range(6000, 6010)]

    @pytest.mark.parametrize(
        ("sources", "target", "number", "message"),
        [
            (["a"], "a", 1, "both source and target"),
            (["a"], "b", 16385, "serve only"),
            (["a"], "b", 0, "at least 1"),
            (["x"], "b", 1, "no node with id x"),
            (["r"], "b", 1, "is a replica"),
        ],
    )
    def test_impossible_requests(self, sources: list[str], target: str, number: int, message: str) -> None:
        nodes = nodes_serving(8192, 8192) | {"r": NodeInfo("r", "h", 1, primary_id="a")}
        with pytest.raises(PlanError, match=message):
            plan_reshard(nodes, sources, target, number)


class TestRebalance:
    @few
    @given(served_counts(), st.booleans())
    def test_shares_are_reached_with_the_fewest_moves(self, served: list[int], use_empty: bool) -> None:
        nodes = nodes_serving(*served)
        moves = plan_rebalance(nodes, threshold=0, use_empty=use_empty)
        held = after(nodes, moves)
        active = [name for name, node in nodes.items() if node.slots or use_empty]
        exact = 16384 / len(active)
        assert all(abs(held[name] - exact) < 1 for name in active)
        assert all(held[name] == 0 for name in nodes if name not in active)
        # Nobody both gives and takes, so no move could be saved...
        assert not {move.source for move in moves} & {move.target for move in moves}
        # ...and rounding never makes one: an even division of the same sizes costs at least as much.
        floor, extra = divmod(16384, len(active))
        best = sorted((nodes[name].slot_count for name in active), reverse=True)
        wanted = [floor + (i < extra) for i in range(len(active))]
        assert len(moves) == sum(max(0, have - want) for have, want in zip(best, wanted, strict=True))

    @few
    @given(served_counts(smallest=3), st.data())
    def test_weights(self, served: list[int], data: st.DataObject) -> None:
        nodes = nodes_serving(*served)
        weights = {name: float(data.draw(st.integers(0, 5))) for name in nodes}
        if not any(weights.values()):
            with pytest.raises(PlanError, match="all weights are 0"):
                plan_rebalance(nodes, weights)
            return
        held = after(nodes, plan_rebalance(nodes, weights, threshold=0))
        assert held == target_shares(nodes, weights)
        total = sum(weights.values())
        for name, weight in weights.items():
            assert abs(held[name] - 16384 * weight / total) < 1

    def test_within_the_threshold_nothing_moves(self) -> None:
        nodes = nodes_serving(5461, 5562, 5361)
        assert plan_rebalance(nodes, threshold=2) == []
        assert plan_rebalance(nodes, threshold=1) != []

    def test_an_emptied_node_is_past_any_threshold(self) -> None:
        nodes = nodes_serving(8000, 8384, 0)
        moves = plan_rebalance(nodes, {"b": 0}, threshold=100)
        assert after(nodes, moves) == {"a": 16384, "b": 0, "c": 0}

    @given(st.integers(0, 16384), st.dictionaries(st.text(max_size=3), st.floats(0, 1e6), max_size=8))
    def test_apportion_is_exact_and_within_one(self, total: int, weights: dict[str, float]) -> None:
        if sum(weights.values()) <= 0:
            return
        shares = apportion(total, weights, {})
        assert sum(shares.values()) == total
        for name, weight in weights.items():
            assert abs(shares[name] - total * weight / sum(weights.values())) <= 1.0001


def views_of(
    nodes: dict[str, NodeInfo],
    migrating: dict[str, dict[int, str]] | None = None,
    importing: dict[str, dict[int, str]] | None = None,
) -> list[View]:
    return [
        View(node, nodes, (migrating or {}).get(name, {}), (importing or {}).get(name, {}))
        for name, node in nodes.items()
    ]


class TestCheck:
    def test_a_sound_cluster_has_no_problem(self) -> None:
        assert check(views_of(nodes_serving(5461, 5462, 5461))) == []

    def test_each_fault_is_named(self) -> None:
        nodes = nodes_serving(5461, 5462, 5400)
        replica = NodeInfo("r", "127.0.0.1", 7009, primary_id="a", flags=frozenset({"slave"}))
        nodes |= {"r": replica, "f": NodeInfo("f", "127.0.0.1", 7010, flags=frozenset({"fail"}))}
        views = views_of(nodes, migrating={"a": {5: "b", 6: "b"}}, importing={"b": {5: "a"}})[:4]
        stray = dict(nodes) | {"a": NodeInfo("a", "127.0.0.1", 7001, nodes["a"].slots & ~1, epoch=1)}
        views[2] = View(stray["c"], stray)
        found = check(views, {"127.0.0.1:7011": "connection refused"})
        texts = {problem.kind: problem.text for problem in found}
        assert texts["unreachable"].startswith("127.0.0.1:7011 does not answer")
        assert texts["uncovered"] == "61 slots are not served: 16323-16383"
        assert texts["disagreement"].endswith("name different owners of 0")
        assert "127.0.0.1:7010 is marked FAIL by 4 of 4" in texts["failed"]
        assert texts["orphan"].startswith("127.0.0.1:7003")
        opened = [problem.text for problem in found if problem.kind == "open-slot"]
        assert opened == [
            "127.0.0.1:7001 has 5-6 open, migrating to 127.0.0.1:7002",
            "127.0.0.1:7002 has 5 open, importing from 127.0.0.1:7001",
        ]

    def test_a_shard_with_all_its_copies_in_one_zone_is_named(self) -> None:
        nodes = {name: replace(node, zone="east") for name, node in nodes_serving(8192, 8192).items()}
        nodes["b"] = replace(nodes["b"], zone="west")
        nodes["r"] = NodeInfo("r", "127.0.0.1", 7009, primary_id="a", zone="east")
        nodes["s"] = NodeInfo("s", "127.0.0.1", 7010, primary_id="b", zone="east")
        [problem] = check(views_of(nodes))
        assert problem.kind == "same-zone"
        assert problem.text.startswith(
            "127.0.0.1:7001 and all its replicas (127.0.0.1:7009) are in one zone, east"
        )
        nodes["b"] = replace(nodes["b"], zone="east")  # there is no other: nothing could be done
        assert check(views_of(nodes)) == []

    def test_contested_slots_and_equal_epochs(self) -> None:
        nodes = nodes_serving(8192, 8192)
        nodes["b"] = NodeInfo("b", "h", 7002, nodes["b"].slots | 1, epoch=1)
        kinds = {problem.kind for problem in check(views_of(nodes))}
        assert kinds == {"contested", "epoch"}

    def test_slots_of_a_failed_primary_are_not_served(self) -> None:
        nodes = nodes_serving(8192, 8192)
        nodes["b"] = NodeInfo("b", "h", 7002, nodes["b"].slots, flags=frozenset({"master", "fail"}))
        view = View(nodes["a"], nodes)
        assert slot_sets.count(uncovered_slots([view])) == 8192


class TestFix:
    """A move of slot 0 from a to b, interrupted anywhere (the table of cluster/plans/fix.py)."""

    @pytest.mark.parametrize(
        ("migrating", "importing", "moved", "finish", "close"),
        [
            ({}, {"b": {0: "a"}}, False, [Move(0, "a", "b")], []),
            ({"a": {0: "b"}}, {"b": {0: "a"}}, False, [Move(0, "a", "b")], []),
            ({"a": {0: "b"}}, {}, True, [], [(0, "a")]),
            ({}, {}, True, [], []),
            ({"a": {0: "b"}}, {}, False, [Move(0, "a", "b")], []),
        ],
    )
    def test_every_interruption_has_its_remedy(
        self,
        migrating: dict[str, dict[int, str]],
        importing: dict[str, dict[int, str]],
        moved: bool,
        finish: list[Move],
        close: list[tuple[int, str]],
    ) -> None:
        nodes = nodes_serving(5461, 5462, 5461)
        if moved:
            nodes["b"] = NodeInfo("b", "h", 7002, nodes["b"].slots | 1, epoch=9)
        plan = plan_fix(views_of(nodes, migrating, importing), {})
        assert plan.finish == finish
        assert plan.close == close
        assert not plan.adopt
        assert not plan.bring_home

    def test_keys_stranded_on_a_third_node_go_home(self) -> None:
        nodes = nodes_serving(5461, 5462, 5461)
        views = views_of(nodes, importing={"b": {0: "a"}, "c": {0: "a"}})
        plan = plan_fix(views, {0: {"c": 3}})
        assert plan.finish == []
        assert plan.bring_home == [Move(0, "c", "a")]
        assert plan.close == [(0, "b"), (0, "c")]

    def test_unserved_slots_are_given_away_only_when_asked(self) -> None:
        nodes = nodes_serving(5461, 5462, 5459)
        views = views_of(nodes)
        assert plan_fix(views, {}).is_empty
        plan = plan_fix(views, {16383: {"a": 1, "c": 4}}, adopt_uncovered=True)
        assert dict(plan.adopt)[16383] == "c"
        assert {slot for slot, _ in plan.adopt} == {16382, 16383}

    def test_what_lost_primaries_served_is_given_to_the_others(self) -> None:
        nodes = nodes_serving(8192, 8192)
        plan = plan_fix(views_of(nodes), {}, adopt_uncovered=True, lost=["b"])
        assert len(plan.adopt) == 8192
        assert {node_id for _, node_id in plan.adopt} == {"a"}

    def test_stray_keys_go_to_the_owner(self) -> None:
        views = views_of(nodes_serving(8192, 8192))
        assert plan_fix(views, {}, stray={5: {"b": 2}}).gather == [Move(5, "b", "a")]
        assert "127.0.0.1:7002 has 3 keys" in stray_problems(views, {5: {"b": 2}, 6: {"b": 1}})[0].text


class TestBackup:
    def layout(self, *claims: tuple[str, int, int, int]) -> Layout:
        """Of (name, first slot, last slot, epoch)."""
        holders = [
            Holder(name, "127.0.0.1", 7001, slot_sets.from_range(first, last), epoch)
            for name, first, last, epoch in claims
        ]
        return Layout(True, tuple(holders))

    def test_all_are_taken_once(self) -> None:
        layout = self.layout(("a", 0, 8191, 1), ("b", 8192, 16383, 2))
        assert plan_backup([], layout).take == layout.holders
        assert plan_backup(layout.holders, layout).is_done

    def test_what_has_changed_is_taken_again(self) -> None:
        before = self.layout(("a", 0, 99, 1), ("b", 100, 199, 2), ("c", 200, 16383, 3))
        after = self.layout(("a", 0, 99, 1), ("b", 100, 150, 2), ("c", 151, 16383, 4))
        plan = plan_backup(before.holders, after)
        assert [holder.id for holder in plan.take] == [holder.id for holder in plan.discard] == ["b", "c"]
        assert plan.take[0].slots == after.holders[1].slots

    def test_a_slot_that_left_and_came_back_is_seen_by_its_epoch(self) -> None:
        before, after = self.layout(("a", 0, 16383, 1)), self.layout(("a", 0, 16383, 3))
        assert plan_backup(before.holders, after).take == after.holders

    def test_another_address_alone_changes_nothing(self) -> None:
        layout = self.layout(("a", 0, 16383, 1))
        moved = Layout(True, (Holder("a", "10.0.0.1", 1, layout.holders[0].slots, 1),))
        assert plan_backup(layout.holders, moved).is_done
