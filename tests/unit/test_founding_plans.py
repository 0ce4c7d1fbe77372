"""Who founds a cluster, who only joins it, and whom latecomers replicate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.plans.create import divide_slots
from cluster.plans.founding import Part, all_see, part_of, plan_founding, present
from cluster.plans.homes import homes, spares
from cluster.plans.model import NodeInfo, PlanError, View
from cluster.seeds import in_sight, is_whole
from cluster.slots import from_range
from cluster.topology import flags as flag
from cluster.topology.node import Node
from cluster.topology.topology import Topology


def node(name: str, slots: int = 0, of: str | None = None, *flags: str) -> NodeInfo:
    return NodeInfo(name, f"10.0.0.{ord(name)}", 7000, slots, of, frozenset(flags))


def view_of(name: str, known: Iterable[NodeInfo]) -> View:
    nodes = {each.id: each for each in known}
    return View(nodes[name], nodes)


STRANGERS = [node(name) for name in "abcdef"]
THIRDS = [from_range(first, last) for first, last in divide_slots(3)]
SHARDS = [node(name, slots) for name, slots in zip("pqr", THIRDS, strict=True)]


class TestFounder:
    def test_is_the_lowest_once_enough_are_there(self) -> None:
        parts = {each.id: part_of(view_of(each.id, STRANGERS), 6) for each in STRANGERS}
        assert parts == {name: Part.FOUND if name == "a" else Part.WAIT for name in "abcdef"}
        assert part_of(view_of("a", STRANGERS), 7) is Part.WAIT

    @pytest.mark.parametrize("flags", ["fail?", "fail", "noaddr", "handshake"])
    def test_who_is_out_of_sight_does_not_count(self, flags: str) -> None:
        known = [replace(STRANGERS[0], flags=frozenset({flags})), *STRANGERS[1:]]
        assert part_of(view_of("b", known), 6) is Part.WAIT
        assert part_of(view_of("b", known), 5) is Part.FOUND

    def test_half_a_cluster_is_gone_on_with_and_a_whole_one_joined(self) -> None:
        assert part_of(view_of("a", [STRANGERS[0], *SHARDS[:2]]), 3) is Part.FOUND
        assert part_of(view_of("a", [STRANGERS[0], *SHARDS]), 3) is Part.JOIN

    @given(st.lists(st.sets(st.sampled_from("abcdef")), min_size=6, max_size=6), st.integers(1, 6))
    def test_there_are_never_two_for_one_member(self, known: list[set[str]], size: int) -> None:
        """Whatever each has heard of by now."""
        views = {
            name: view_of(name, [each for each in STRANGERS if each.id in others | {name}])
            for name, others in zip("abcdef", known, strict=True)
        }
        founded: list[set[str]] = []
        for view in views.values():
            there = present(view)
            if part_of(view, size) is Part.FOUND and all_see([views[name] for name in there], there):
                assert not any(there & other for other in founded)
                founded.append(there)

    def test_a_silent_member_or_another_opinion_forbids_it(self) -> None:
        views = [view_of(each.id, STRANGERS) for each in STRANGERS]
        there = present(views[0])
        assert all_see(views, there)
        assert not all_see(views[:-1], there)
        assert not all_see([*views[:-1], view_of("f", STRANGERS[1:])], there)

    def test_its_plan_is_that_of_create(self) -> None:
        plan = plan_founding(STRANGERS, 1)
        assert [(each.first, each.last) for each in plan.primaries] == divide_slots(3)
        assert {host for host, _ in plan.addresses} == {each.host for each in STRANGERS}
        with pytest.raises(PlanError, match="a cluster needs at least 3"):
            plan_founding(STRANGERS, 2)


class TestHomes:
    def test_each_spare_goes_where_one_is_missing(self) -> None:
        nodes = {each.id: each for each in (*SHARDS, node("x", 0, "q"), node("s"), node("t"), node("u"))}
        assert spares(nodes) == ["s", "t", "u"]
        found = homes(nodes, spares(nodes), 1)
        assert sorted(found) == ["s", "t"]
        assert sorted(found.values()) == ["p", "r"]
        assert homes(nodes, spares(nodes), 0) == {}

    def test_none_goes_to_a_primary_of_its_own_zone_if_another_order_helps(self) -> None:
        """Each in turn taking the best that is left would leave the last one with the primary beside it."""
        zones = dict(zip("pqrstu", "abcabc", strict=True))
        everybody = (*SHARDS, node("s"), node("t"), node("u"))
        nodes = {each.id: replace(each, zone=zones[each.id], host="h") for each in everybody}
        found = homes(nodes, spares(nodes), 1)
        assert sorted(found.values()) == ["p", "q", "r"]
        assert all(zones[spare] != zones[primary] for spare, primary in found.items())
        full = nodes | {"x": node("x", 0, "q"), "y": node("y", 0, "r")}
        assert homes(full, ["s", "t"], 1) == {"t": "p"}

    def test_a_dead_replica_is_none_and_the_dead_are_no_spares(self) -> None:
        dead = node("x", 0, "p", "fail")
        nodes = {each.id: each for each in (SHARDS[0], dead, node("s"), node("t", 0, None, "fail"))}
        assert homes(nodes, spares(nodes), 1) == {"s": "p"}

    def test_there_is_none_where_nobody_serves(self) -> None:
        assert homes({each.id: each for each in STRANGERS}, ["a"], 1) == {}


class TestSeeds:
    def topology(self, *others: int) -> Topology:
        """With others of these flags, at ports 7001 and so on."""
        found = Topology(Node("0" * 40, flag.PRIMARY, "s" * 40))
        for number, flags in enumerate(others, 1):
            each = Node(str(number) * 40, flags, "s" * 40)
            each.ip, each.tcp_port, each.inbound_link = "10.0.0.1", 7000 + number, -number
            found.add_node(each)
        found.assign_slots(found.myself, from_range(0, 16383))
        return found

    def test_only_who_answers_is_in_sight(self) -> None:
        topology = self.topology(flag.PRIMARY, flag.PRIMARY | flag.PFAIL, flag.HANDSHAKE)
        assert [in_sight(topology, "10.0.0.1", port) for port in (7001, 7002, 7003, 7004)] == [
            True,
            *[False] * 3,
        ]
        assert not in_sight(topology, "10.0.0.2", 7001)

    def test_who_answers_but_does_not_know_us_is_met_again(self) -> None:
        topology = self.topology(flag.PRIMARY)
        topology.members[1].inbound_link = None
        assert not in_sight(topology, "10.0.0.1", 7001)
        topology.myself.ip, topology.myself.tcp_port = "10.0.0.1", 7000
        assert in_sight(topology, "10.0.0.1", 7000)

    def test_when_nobody_is_missing(self) -> None:
        assert is_whole(self.topology(flag.PRIMARY, flag.HANDSHAKE))
        assert not is_whole(self.topology())
        for lost in (flag.FAIL, flag.PFAIL, flag.NOADDR):
            assert not is_whole(self.topology(flag.PRIMARY, lost))
        partly = self.topology(flag.PRIMARY)
        partly.release_slots(1)
        assert not is_whole(partly)
