"""What is due in a cluster that is looked after: roles for those who came, heirs for those who are lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cluster.plans.create import divide_slots
from cluster.plans.model import NodeInfo
from cluster.plans.tending import (
    FORGET_SECONDS,
    WITHOUT_KNOWN_REPLICA_SECONDS,
    WITHOUT_REPLICA_SECONDS,
    Add,
    Fill,
    Follow,
    Forget,
    Host,
    Introduce,
    Policy,
    Replace,
    Step,
    Tending,
)
from cluster.slots import from_range
from cluster.supervisor.settings import SetupError, settle, to_remember
from cluster.supervisor.workspace import Workspace

PRIMARIES = "pqr"
HOST = Host(starts_workers=True)


def node(name: str, of: str | None = None, *flags: str, slots: int = 0) -> NodeInfo:
    return NodeInfo(name, f"10.0.0.{ord(name)}", 7000, slots, of, frozenset(flags))


def cluster(*others: NodeInfo, replicas: bool = True) -> dict[str, NodeInfo]:
    """Three primaries p, q, r with replicas x, y, z, if wanted; and others, or other views of these."""
    spans = zip(PRIMARIES, divide_slots(3), strict=True)
    nodes = {name: node(name, slots=from_range(*span)) for name, span in spans}
    if replicas:
        nodes |= {name: node(name, of) for name, of in zip("xyz", PRIMARIES, strict=True)}
    return nodes | {each.id: each for each in others}


def steps(
    nodes: dict[str, NodeInfo], policy: Policy, host: Host = HOST, seconds: float = 0.0
) -> list[Step | None]:
    """At once, and after some time in which nothing has changed."""
    tending = Tending(policy)
    return [tending.next_step(nodes, host, now) for now in (100.0, 100.0 + seconds)]


def step(nodes: dict[str, NodeInfo], policy: Policy, host: Host = HOST) -> Step | None:
    return steps(nodes, policy, host)[0]


class TestRoles:
    def test_where_all_is_well_nothing_is_due(self) -> None:
        assert steps(cluster(), Policy(replicas=1), seconds=1e6) == [None, None]

    def test_a_stranger_is_introduced_before_all_else(self) -> None:
        host = replace(HOST, strangers=("10.0.0.9:7000",))
        assert step(cluster(node("s")), Policy(replicas=1), host) == Introduce("10.0.0.9:7000")

    def test_without_replicas_every_newcomer_gets_slots(self) -> None:
        nodes = cluster(node("s"), node("t"), replicas=False)
        assert step(nodes, Policy()) == Fill(("s", "t"))
        assert step(nodes, Policy(rebalance=False)) is None

    def test_two_newcomers_are_a_shard_and_one_is_a_further_replica(self) -> None:
        one = step(cluster(node("s")), Policy(replicas=1))
        assert isinstance(one, Follow) and one.spare == "s" and one.primary in PRIMARIES
        nodes = cluster(node("s"), node("t"))
        assert step(nodes, Policy(replicas=1)) == Follow("s", "t")
        nodes["s"] = node("s", "t")
        assert step(nodes, Policy(replicas=1)) == Fill(("t",))

    def test_slots_go_to_the_zone_that_has_fewest(self) -> None:
        nodes = cluster(node("s"), node("t"))
        zones = dict(zip("pqrxyzst", "aabbbaba", strict=True)) | {"s": "c"}
        nodes = {name: replace(each, zone=zones[name]) for name, each in nodes.items()}
        assert step(nodes, Policy(replicas=1)) == Follow("t", "s")

    def test_who_is_being_introduced_is_not_counted_twice(self) -> None:
        arriving = (node("h", None, "handshake"), node("i", None, "handshake"))
        assert isinstance(step(cluster(node("s"), *arriving), Policy(replicas=1)), Follow)

    def test_a_missing_replica_is_filled_first(self) -> None:
        nodes = cluster(node("y", "q", "fail"), node("s"))
        assert step(nodes, Policy(replicas=1)) == Follow("s", "q")

    def test_only_the_hosts_own_get_roles(self) -> None:
        nodes = cluster(node("s"), replicas=False)
        assert step(nodes, Policy(), replace(HOST, own=frozenset())) is None
        assert step(nodes, Policy(), replace(HOST, own=frozenset("s"))) == Fill(("s",))

    def test_who_had_a_role_is_no_newcomer(self) -> None:
        tending = Tending(Policy())
        nodes = cluster(replicas=False)
        assert tending.next_step(nodes, HOST, 0.0) is None
        nodes["p"], nodes["q"] = node("p"), replace(nodes["q"], slots=nodes["p"].slots | nodes["q"].slots)
        assert tending.next_step(nodes, HOST, 1.0) is None
        assert Tending(Policy()).next_step(nodes, HOST, 1.0) == Fill(("p",))

    @pytest.mark.parametrize("host", [Host(is_moving=True), Host(declined=frozenset("s"))])
    def test_slots_do_not_move_twice_at_once_nor_against_a_wish(self, host: Host) -> None:
        assert step(cluster(node("s"), replicas=False), Policy(), host) is None

    def test_nor_while_a_primary_is_down(self) -> None:
        nodes = cluster(node("s"), replicas=False)
        nodes["p"] = replace(nodes["p"], flags=frozenset({"fail"}))
        assert step(nodes, Policy()) is None


class TestTheLost:
    LOST = replace(HOST, lost=frozenset("z"))

    def test_who_cannot_be_started_is_replaced_if_others_have_its_slots(self) -> None:
        nodes = cluster(node("z", "r", "fail"))
        assert step(nodes, Policy(replicas=1), self.LOST) == Replace("z")
        assert step(nodes, Policy(replicas=1, replace_lost=False), self.LOST) is None
        nodes["p"] = replace(nodes["p"], flags=frozenset({"fail"}))
        assert step(nodes, Policy(replicas=1), replace(HOST, lost=frozenset("p"))) is None

    def test_who_was_replaced_is_forgotten_once_nobody_follows_it(self) -> None:
        host = replace(HOST, gone=frozenset("z"))
        assert step(cluster(node("z", None, "fail", "noaddr")), Policy(replicas=1), host) == Forget("z")
        nodes = cluster(node("z", None, "fail"), node("s", "z"))
        assert step(nodes, Policy(replicas=1), host) is None

    def test_a_dead_member_is_forgotten_when_there_are_enough_without_it(self) -> None:
        nodes = cluster(node("z", "r", "fail"), node("s", "r"))
        policy = Policy(replicas=1, size=6)
        assert steps(nodes, policy, seconds=FORGET_SECONDS) == [None, Forget("z")]
        assert steps(nodes, replace(policy, size=7), seconds=FORGET_SECONDS) == [None, None]
        assert steps(nodes, Policy(replicas=1), seconds=FORGET_SECONDS) == [None, None]

    def test_so_is_one_at_whose_address_another_answers(self) -> None:
        nodes = cluster(node("z", "r", "fail", "noaddr"), node("s", "r"))
        assert steps(nodes, Policy(replicas=1), seconds=FORGET_SECONDS) == [None, Forget("z")]

    def test_what_another_does_not_know_is_not_over(self) -> None:
        """Looks go to one member each, and not all know the same."""
        tending = Tending(Policy(replicas=1))
        nodes = cluster(node("z", "r", "fail", "noaddr"), node("s", "r"))
        assert tending.next_step(nodes, HOST, 0.0) is None
        tending.next_step({name: each for name, each in nodes.items() if name != "z"}, HOST, 1.0)
        assert tending.next_step(nodes, HOST, FORGET_SECONDS) == Forget("z")
        tending.next_step(cluster(), HOST, FORGET_SECONDS + 1)  # it is back
        assert tending.next_step(nodes, HOST, FORGET_SECONDS + 2) is None


class TestMissingReplicas:
    ALONE = {name: each for name, each in cluster().items() if name != "y"}

    def test_a_worker_is_started_when_none_comes_by_itself(self) -> None:
        policy = Policy(replicas=1)
        assert steps(self.ALONE, policy, seconds=WITHOUT_REPLICA_SECONDS) == [None, Add("q")]

    def test_a_replica_that_is_down_is_given_more_time(self) -> None:
        nodes = cluster(node("y", "q", "fail"))
        policy = Policy(replicas=1)
        assert steps(nodes, policy, seconds=WITHOUT_REPLICA_SECONDS) == [None, None]
        assert steps(nodes, policy, seconds=WITHOUT_KNOWN_REPLICA_SECONDS) == [None, Add("q")]

    @pytest.mark.parametrize(
        ("policy", "host"),
        [
            (Policy(replicas=1, add_replicas=False), HOST),
            (Policy(replicas=0), HOST),
            (Policy(replicas=1), Host(starts_workers=False)),
            (Policy(replicas=1), replace(HOST, is_settling=True)),
        ],
        ids=["switched off", "none wanted", "nowhere to start", "one is on its way"],
    )
    def test_when_none_is_started(self, policy: Policy, host: Host) -> None:
        assert steps(self.ALONE, policy, host, seconds=1e6) == [None, None]


class TestShapes:
    BEFORE = settle({"workers": 6, "port": 8001}, None)

    def test_more_workers_are_newcomers_at_the_next_ports(self) -> None:
        after = settle({"workers": 8}, to_remember(self.BEFORE))
        assert (after.worker_ports, after.newcomers) == (list(range(8001, 8009)), (8007, 8008))
        assert settle({}, to_remember(after)) == after
        assert settle({}, to_remember(after.without_newcomers({8007}))).newcomers == (8008,)

    def test_gaps_stay(self) -> None:
        less = self.BEFORE.with_worker().without_worker(8002)
        assert (less.workers, less.worker_ports) == (6, [8001, 8003, 8004, 8005, 8006, 8007])
        more = settle({"workers": 7}, to_remember(less))
        assert more.worker_ports[-1] == 8008

    def test_fewer_are_refused_with_the_way_to_it(self) -> None:
        with pytest.raises(SetupError, match="shoal del-node PORT --shutdown"):
            settle({"workers": 5}, to_remember(self.BEFORE))

    def test_a_directory_is_set_aside_and_not_lost(self, tmp_path: Path) -> None:
        workspace = Workspace(tmp_path)
        assert workspace.set_aside(7001, "lost") == ""
        (tmp_path / "worker-7001").mkdir()
        (tmp_path / "worker-7001" / "dump.rdb").write_text("data")
        kept = workspace.set_aside(7001, "lost")
        assert kept.startswith("worker-7001.lost-")
        assert (tmp_path / kept / "dump.rdb").read_text() == "data"
        assert not (tmp_path / "worker-7001").exists()
