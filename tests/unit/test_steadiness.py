"""When autobalance does something, and when not."""

from __future__ import annotations

import random
from datetime import time

import pytest

from cluster.plans.model import NodeInfo, PlanError
from cluster.plans.steadiness import Limits, Steadiness, Windows
from cluster.slots import SLOT_COUNT
from tests.unit.test_load_plans import after, cluster_of, zipf

LOPSIDED = zipf(0.8, shuffled=False)


def test_windows() -> None:
    windows = Windows.parse(["02:00-05:00", "23:30-00:15"])
    for hour, minute, is_open in (
        (1, 59, False), (2, 0, True), (4, 59, True), (5, 0, False),
        (23, 45, True), (0, 14, True), (0, 15, False),
    ):  # fmt: skip
        assert windows.is_open(time(hour, minute)) is is_open
    assert Windows().is_open(time(12))


@pytest.mark.parametrize("text", ["", "2-5", "02:00", "02:00-", "25:00-26:00", "02:00-02:00"])
def test_what_is_no_window(text: str) -> None:
    with pytest.raises(PlanError):
        Windows.parse([text])


def test_it_waits_for_enough_samples_in_a_row() -> None:
    nodes = cluster_of(3)
    steadiness = Steadiness(Limits(samples=3))
    even = [1.0] * SLOT_COUNT
    done = [
        bool(plan and plan.moves)
        for now, loads in enumerate([LOPSIDED, LOPSIDED, even, LOPSIDED, LOPSIDED, LOPSIDED])
        for plan in [steadiness.consider(nodes, loads, now)]
    ]
    assert done == [False] * 5 + [True]


def test_no_slot_moves_back_while_the_load_jumps_to_and_fro() -> None:
    nodes = cluster_of(3)
    limits = Limits(samples=2, rest=300, most=1000)
    steadiness = Steadiness(limits)
    last: dict[int, int] = {}
    for now in range(0, 1200, 60):
        loads = LOPSIDED if now // 300 % 2 else LOPSIDED[::-1]
        plan = steadiness.consider(nodes, loads, now)
        assert plan is not None
        for move in plan.moves:
            assert now - last.get(move.slot, -limits.rest) >= limits.rest
            last[move.slot] = now
        if plan.moves:
            assert plan.spread_after < plan.spread_before
            assert len(plan.moves) <= limits.most
            nodes = after(nodes, plan.moves)
            steadiness.moved([move.slot for move in plan.moves], now)
    assert last


def test_once_balanced_it_stays_quiet_under_noise() -> None:
    nodes, noise = cluster_of(10), random.Random(3)
    steadiness = Steadiness(Limits(samples=1, rest=0, most=SLOT_COUNT))
    rounds = 0
    for now in range(8):
        loads = [load * noise.uniform(0.9, 1.1) for load in LOPSIDED]
        plan = steadiness.consider(nodes, loads, now)
        assert plan is not None
        if plan.moves:
            rounds += 1
            nodes = after(nodes, plan.moves)
    assert rounds == 1


def test_nodes_to_be_filled_or_emptied_wait_for_nothing() -> None:
    nodes = cluster_of(3) | {"new": NodeInfo("new", "10.0.0.9", 1)}
    loads = [1.0] * SLOT_COUNT
    filling = Steadiness(Limits(most=SLOT_COUNT)).consider(nodes, loads, 0, use_empty=True)
    assert filling is not None
    assert {move.target for move in filling.moves} == {"new"}
    emptying = Steadiness(Limits(most=SLOT_COUNT)).consider(nodes, loads, 0, weights={"n0001": 0.0})
    assert emptying is not None
    assert {move.source for move in emptying.moves} == {"n0001"}


def test_without_load_there_is_nothing_to_do() -> None:
    assert Steadiness(Limits()).consider(cluster_of(3), [0.0] * SLOT_COUNT, 0) is None
