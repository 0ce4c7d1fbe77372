"""From silence to FAIL, and back."""

from __future__ import annotations

import pytest

from cluster.coordinator import effects as fx
from cluster.coordinator.messages import Fail, Ping
from cluster.topology import flags as flag
from tests.unit.coordinator_rig import TIMEOUT, Peer, Rig

B = Peer("b", "0-5000", 1)
C = Peer("c", "5001-10000", 2)
D = Peer("d", "10001-16383", 3)
REPLICA = Peer("1", of="d")


@pytest.fixture
def rig() -> Rig:
    return Rig(B, [C, D, REPLICA])


def suspect(rig: Rig, name: str = "c") -> None:
    others = "".join(set("cd1") - {name})
    rig.pass_time(2 * TIMEOUT, answering=others)
    assert rig.node(name).timed_out


def test_silence_for_the_timeout_after_a_ping_is_suspect(rig: Rig) -> None:
    rig.pass_time(TIMEOUT, answering="d1")
    assert not rig.node("c").timed_out, "the ping that was not answered is younger than the timeout"
    rig.pass_time(TIMEOUT, answering="d1")
    assert rig.node("c").timed_out
    assert not rig.node("d").timed_out


def test_a_new_link_is_no_new_grace(rig: Rig) -> None:
    for _ in range(2 * TIMEOUT // 100):
        rig.pass_time(100, answering="d1")
        for connect in rig.happened(fx.Connect):
            rig.do(rig.coordinator.link_up(connect.link, rig.now))
    assert rig.node("c").timed_out


def test_a_lost_link_starts_the_clock(rig: Rig) -> None:
    rig.do(rig.coordinator.link_down(rig.node("c").link or 0, rig.now))
    rig.pass_time(TIMEOUT + 100, answering="d1")
    assert rig.node("c").timed_out, "without waiting for the next ping to fall due"


def test_any_data_is_a_sign_of_life(rig: Rig) -> None:
    link = rig.node("c").link
    for _ in range(4 * TIMEOUT // 100):
        rig.pass_time(100, answering="d1")
        rig.coordinator.bytes_received(rig.node("c").link or link or 0, rig.now)
    assert not rig.node("c").timed_out


def test_a_pong_ends_the_suspicion(rig: Rig) -> None:
    suspect(rig)
    rig.do(rig.coordinator.link_up(rig.node("c").link or 0, rig.now))
    rig.answers("c")
    assert not rig.node("c").timed_out


def test_a_majority_of_primaries_makes_it_fail_and_all_are_told(rig: Rig) -> None:
    suspect(rig)
    rig.says("1", Ping, (rig.gossip("c", flag.PFAIL),))
    assert not rig.node("c").failed, "replicas have no say"
    rig.says("d", Ping, (rig.gossip("c", flag.PFAIL),))
    assert rig.node("c").failed
    assert not rig.node("c").timed_out
    assert {"d", "1"} <= rig.receivers(Fail)
    assert rig.sent(Fail)[0].id == C.id


def test_a_majority_is_one_of_all_primaries_with_slots() -> None:
    others = [C, Peer("d", "10001-16381", 3), Peer("e", "16382", 4), Peer("f", "16383", 5), Peer("a")]
    rig = Rig(B, others)
    rig.pass_time(2 * TIMEOUT, answering="defa")
    rig.says("d", Ping, (rig.gossip("c", flag.PFAIL),))
    assert not rig.node("c").failed
    rig.says("e", Ping, (rig.gossip("c", flag.PFAIL),))
    assert rig.node("c").failed


def test_reports_are_worth_nothing_without_own_suspicion(rig: Rig) -> None:
    rig.says("d", Ping, (rig.gossip("c", flag.FAIL),))
    assert not rig.node("c").failed
    assert rig.coordinator.failure_report_count(rig.node("c"), rig.now) == 1


def test_reports_run_out_after_two_timeouts_or_when_taken_back(rig: Rig) -> None:
    count = rig.coordinator.failure_report_count
    rig.says("d", Ping, (rig.gossip("c", flag.PFAIL),))
    assert count(rig.node("c"), rig.now + 2 * TIMEOUT) == 1
    assert count(rig.node("c"), rig.now + 2 * TIMEOUT + 1) == 0
    rig.says("d", Ping, (rig.gossip("c", flag.PFAIL),))
    rig.says("d", Ping, (rig.gossip("c"),))
    assert count(rig.node("c"), rig.now) == 0


def test_a_fail_message_is_believed_at_once(rig: Rig) -> None:
    rig.says("1", Fail, C.id)
    assert rig.node("c").failed
    assert rig.logged(f"FAIL message received from {REPLICA.id} () about {C.id} ()")


def test_nobody_believes_of_itself_that_it_failed(rig: Rig) -> None:
    rig.says("d", Fail, B.id)
    assert not rig.me.failed


def test_fail_of_a_replica_ends_with_its_pong(rig: Rig) -> None:
    rig.says("d", Fail, REPLICA.id)
    rig.answers("1")
    assert not rig.node("1").failed


def test_fail_of_a_primary_with_slots_ends_only_after_two_timeouts(rig: Rig) -> None:
    rig.says("d", Fail, C.id)
    rig.now += 2 * TIMEOUT
    rig.answers("c")
    assert rig.node("c").failed
    rig.now += 1
    rig.answers("c")
    assert not rig.node("c").failed


def test_the_only_voter_decides_alone() -> None:
    rig = Rig(Peer("b", "0-16383", 1), [Peer("1", of="b")])
    rig.pass_time(2 * TIMEOUT)
    assert rig.node("1").failed


def test_the_cluster_is_ok_after_the_writable_delay_and_fails_with_a_slot(rig: Rig) -> None:
    assert not rig.coordinator.ok
    rig.pass_time(2100, answering="cd1")
    assert rig.happened(fx.ClusterStateChanged) == [fx.ClusterStateChanged(True)]
    rig.says("d", Fail, C.id)
    assert rig.happened(fx.ClusterStateChanged) == [fx.ClusterStateChanged(False)]


def test_without_full_coverage_a_failed_primary_does_not_stop_the_others(rig: Rig) -> None:
    rig.settings.require_full_coverage = False
    rig.pass_time(2100, answering="cd1")
    rig.says("d", Fail, C.id)
    assert rig.coordinator.ok


def test_who_saw_a_minority_waits_before_it_serves_again(rig: Rig) -> None:
    rig.pass_time(2100, answering="cd1")
    rig.says("1", Fail, C.id)
    rig.says("1", Fail, D.id)
    assert not rig.coordinator.ok
    rig.now += 2 * TIMEOUT + 1
    rig.tick()
    rig.answers("c")
    rig.answers("d")
    rig.pass_time(TIMEOUT - 200, answering="cd1")
    assert not rig.coordinator.ok
    rig.pass_time(400, answering="cd1")
    assert rig.coordinator.ok


def test_a_silent_link_is_replaced_after_half_the_timeout(rig: Rig) -> None:
    rig.pass_time(TIMEOUT, answering="cd1")
    first = rig.node("c").link
    rig.pass_time(TIMEOUT + TIMEOUT // 2, answering="d1")
    assert fx.Disconnect(first or 0) in rig.effects
    assert rig.node("c").link != first
