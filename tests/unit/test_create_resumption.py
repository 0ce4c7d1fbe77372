"""Forming a cluster that was half formed: interrupted after any step, what remains leads to the same end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cluster.plans.create import CreatePlan, plan_create
from cluster.plans.model import NodeInfo, PlanError, View
from cluster.plans.remaining import Remaining, what_remains
from cluster.slots import from_range

ADDRESSES = [("10.0.0.1", port) for port in range(7001, 7007)]
PLAN = plan_create(ADDRESSES, 1)


def name(address: tuple[str, int]) -> str:
    return f"node-{address[1]}"


class Nodes:
    """Six nodes to which a plan is done in single steps."""

    def __init__(self) -> None:
        self.info = {address: NodeInfo(name(address), *address) for address in ADDRESSES}
        self.knows = {address: {address} for address in ADDRESSES}

    def views(self) -> dict[tuple[str, int], View]:
        return {
            address: View(
                self.info[address], {name(other): self.info[other] for other in self.knows[address]}
            )
            for address in ADDRESSES
        }

    def remaining(self, plan: CreatePlan = PLAN, **keys: int) -> Remaining:
        return what_remains(plan, self.views(), {a: keys.get(f"p{a[1]}", 0) for a in ADDRESSES})

    def steps(self, left: Remaining) -> list:
        """What `form` does, as one callable for each step."""

        def change(address: tuple[str, int], **what: object) -> object:
            return lambda: self.info.update({address: replace(self.info[address], **what)})  # type: ignore[arg-type]

        def meet(address: tuple[str, int]) -> object:
            return lambda: [
                self.knows[each].update(self.knows[address] | self.knows[ADDRESSES[0]])
                for each in self.knows[address] | self.knows[ADDRESSES[0]]
            ]

        return [
            *(change(address, epoch=epoch) for address, epoch in left.epochs),
            *(change(each.address, slots=from_range(each.first, each.last)) for each in left.slots),
            *(meet(address) for address in left.introductions),
            *(change(replica, primary_id=name(primary)) for replica, primary in left.replicas),
        ]


def test_from_the_beginning_it_is_everything() -> None:
    left = Nodes().remaining()
    assert not left.begun
    assert [address for address, _ in left.epochs] == PLAN.addresses
    assert (left.slots, set(left.introductions)) == (PLAN.primaries, set(ADDRESSES))
    assert left.replicas == [(each.replicas[0], each.address) for each in PLAN.primaries]


def test_interrupted_after_any_step_it_comes_to_the_same_end() -> None:
    straight = Nodes()
    number = len(straight.steps(straight.remaining()))
    for step in straight.steps(straight.remaining()):
        step()
    assert straight.remaining().is_nothing
    for interrupted_after in range(number):
        nodes = Nodes()
        for step in nodes.steps(nodes.remaining())[:interrupted_after]:
            step()
        for step in nodes.steps(nodes.remaining()):
            step()
        assert nodes.remaining().is_nothing
        assert {a: replace(n, epoch=0) for a, n in nodes.info.items()} == {
            a: replace(n, epoch=0) for a, n in straight.info.items()
        }


def test_what_is_no_part_of_the_plan_is_refused() -> None:
    nodes = Nodes()
    nodes.info[ADDRESSES[0]] = replace(nodes.info[ADDRESSES[0]], slots=from_range(0, 99))
    with pytest.raises(PlanError, match=r"10.0.0.1:7001 already serves slots, others"):
        nodes.remaining()

    nodes = Nodes()
    nodes.info[ADDRESSES[5]] = replace(nodes.info[ADDRESSES[5]], slots=from_range(0, 99))
    with pytest.raises(PlanError, match=r"10.0.0.1:7006 already serves slots"):
        nodes.remaining()

    nodes = Nodes()
    nodes.info[ADDRESSES[0]] = replace(nodes.info[ADDRESSES[0]], primary_id="else")
    with pytest.raises(PlanError, match="is a replica, and would be a primary now"):
        nodes.remaining()

    nodes = Nodes()
    nodes.info[PLAN.primaries[0].replicas[0]] = replace(
        nodes.info[PLAN.primaries[0].replicas[0]], primary_id=name(PLAN.primaries[1].address)
    )
    with pytest.raises(PlanError, match="replicates another primary"):
        nodes.remaining()


def test_keys_are_refused_but_of_primaries_that_serve() -> None:
    nodes = Nodes()
    with pytest.raises(PlanError, match=r"10.0.0.1:7001 holds 3 keys"):
        nodes.remaining(p7001=3)
    first = PLAN.primaries[0]
    nodes.info[first.address] = replace(nodes.info[first.address], slots=from_range(first.first, first.last))
    assert nodes.remaining(**{f"p{first.address[1]}": 3}).begun


def test_strangers_are_refused() -> None:
    views = Nodes().views()
    stranger = NodeInfo("stranger", "10.0.0.9", 7001)
    one = views[ADDRESSES[1]]
    views[ADDRESSES[1]] = View(one.observer, {**one.nodes, "stranger": stranger})
    with pytest.raises(PlanError, match=r"10.0.0.1:7002 already knows 1 other nodes"):
        what_remains(PLAN, views, dict.fromkeys(ADDRESSES, 0))
