"""When a primary votes for a replica, and when a replica stands and wins."""

from __future__ import annotations

import pytest

from cluster.coordinator import effects as fx
from cluster.coordinator.messages import (
    FORCE_ACK,
    Fail,
    FailoverAuthAck,
    FailoverAuthRequest,
    Ping,
    Pong,
)
from cluster.slots import parse_ranges
from cluster.topology import flags as flag
from tests.unit.coordinator_rig import TIMEOUT, Peer, Rig

B = Peer("b", "0-5000", 1)
C = Peer("c", "5001-10000", 2)
D = Peer("d", "10001-16383", 3)
REPLICA_OF_C = Peer("1", of="c")
SECOND_OF_C = Peer("2", of="c")
REPLICA_OF_D = Peer("3", of="d")


@pytest.fixture
def voter() -> Rig:
    """b, for whom c and d have failed."""
    rig = Rig(B, [C, D, REPLICA_OF_C, SECOND_OF_C, REPLICA_OF_D])
    rig.says("1", Fail, C.id)
    rig.says("1", Fail, D.id)
    return rig


def asks(rig: Rig, name: str, epoch: int, **fields: object) -> bool:
    rig.says(name, FailoverAuthRequest, current_epoch=epoch, **fields)
    return bool(rig.sent(FailoverAuthAck))


def test_votes_for_the_replica_of_a_failed_primary(voter: Rig) -> None:
    voter.says("1", FailoverAuthRequest, current_epoch=4)
    assert voter.receivers(FailoverAuthAck) == {"1"}
    (ack,) = voter.sent(FailoverAuthAck)
    assert ack.header.current_epoch == 4
    assert voter.coordinator.topology.last_vote_epoch == 4


def test_the_epoch_is_saved_before_the_vote_leaves(voter: Rig) -> None:
    effects = voter.says("1", FailoverAuthRequest, current_epoch=4)
    assert isinstance(effects[0], fx.SaveConfig)
    assert effects[0].sync
    assert "vars currentEpoch 4 lastVoteEpoch 4\n" in effects[0].text


def test_votes_once_per_epoch_even_about_different_primaries(voter: Rig) -> None:
    assert asks(voter, "1", 4)
    assert not asks(voter, "3", 4)
    assert voter.logged("already voted for epoch 4")
    assert asks(voter, "3", 5)


def test_votes_about_one_primary_only_every_two_timeouts(voter: Rig) -> None:
    assert asks(voter, "1", 4)
    assert not asks(voter, "2", 5)
    assert voter.logged("can't vote about this master before 4000 milliseconds")
    voter.now += 2 * TIMEOUT
    assert asks(voter, "2", 6)


def test_votes_again_for_the_same_replica(voter: Rig) -> None:
    assert asks(voter, "1", 4)
    assert asks(voter, "1", 5)
    assert not asks(voter, "2", 6)


def test_refuses_an_old_epoch(voter: Rig) -> None:
    voter.says("d", Ping, current_epoch=9)
    assert not asks(voter, "1", 8)
    assert voter.logged("reqEpoch (8) < curEpoch(9)")


def test_refuses_while_the_primary_is_up_unless_forced() -> None:
    rig = Rig(B, [C, D, REPLICA_OF_C])
    assert not asks(rig, "1", 4)
    assert rig.logged("its master is up")
    assert asks(rig, "1", 5, message_flags=FORCE_ACK)


def test_refuses_a_primary(voter: Rig) -> None:
    assert not asks(voter, "c", 4)
    assert voter.logged("it is a master node")


def test_refuses_slots_that_have_a_newer_owner(voter: Rig) -> None:
    assert not asks(voter, "1", 4, slots=parse_ranges("5001-10001"))
    assert voter.logged("slot 10001 epoch (3) > reqEpoch (2)")


def test_a_primary_without_slots_has_no_vote() -> None:
    rig = Rig(Peer("b"), [C, D, REPLICA_OF_C])
    rig.says("1", Fail, C.id)
    assert not asks(rig, "1", 4)


def test_a_replica_has_no_vote() -> None:
    rig = Rig(REPLICA_OF_D, [C, D, REPLICA_OF_C])
    rig.says("1", Fail, C.id)
    assert not asks(rig, "1", 4)


# --- the candidate: replica 1 of c, in a cluster of five


@pytest.fixture
def candidate() -> Rig:
    others = [C, Peer("b", "0-5000", 1), D, Peer("e", "0", 4), Peer("f", "1", 5), SECOND_OF_C]
    others[1].slots, others[3].slots, others[4].slots = "2-5000", "0", "1"
    return Rig(REPLICA_OF_C, others)


def wait_for_request(rig: Rig) -> int:
    """Ticks until votes are asked for; returns the ms it took."""
    for waited in range(0, 8000, 100):
        if rig.receivers(FailoverAuthRequest):
            return waited
        rig.tick(100)
        for name in "bdef2":
            rig.answers(name)
        rig.facts.last_seen = rig.now
    raise AssertionError("no votes were asked for")


def test_asks_everybody_half_a_second_to_a_second_after_the_failure(candidate: Rig) -> None:
    candidate.says("b", Fail, C.id)
    assert 500 <= wait_for_request(candidate) <= 1200
    assert candidate.receivers(FailoverAuthRequest) == set("bcdef2")
    (request,) = candidate.sent(FailoverAuthRequest)
    assert request.header.current_epoch == 6
    assert request.header.slots == parse_ranges(C.slots)
    assert request.header.config_epoch == C.epoch


def test_its_epoch_is_saved_before_it_asks(candidate: Rig) -> None:
    candidate.says("b", Fail, C.id)
    wait_for_request(candidate)
    request = next(
        i
        for i, e in enumerate(candidate.effects)
        if isinstance(e, fx.Send) and isinstance(e.message, FailoverAuthRequest)
    )
    saves = [e for e in candidate.effects[:request] if isinstance(e, fx.SaveConfig) and e.sync]
    assert "currentEpoch 6" in saves[-1].text


def test_waits_a_second_for_each_replica_with_more_data(candidate: Rig) -> None:
    candidate.says("2", Ping, offset=100)
    candidate.says("b", Fail, C.id)
    assert 1500 <= wait_for_request(candidate) <= 2200


def test_waits_longer_when_it_learns_of_a_better_replica(candidate: Rig) -> None:
    candidate.says("b", Fail, C.id)
    candidate.tick(100)
    candidate.says("2", Pong, offset=100)
    assert 1400 <= wait_for_request(candidate) <= 2200
    assert candidate.logged("Replica rank updated to #1, added 1000 milliseconds of delay.")


def test_wins_with_a_majority_of_all_voters(candidate: Rig) -> None:
    candidate.says("b", Fail, C.id)
    wait_for_request(candidate)
    candidate.says("b", FailoverAuthAck)
    candidate.says("d", FailoverAuthAck)
    assert candidate.me.is_replica
    candidate.says("e", FailoverAuthAck)
    assert candidate.me.is_primary
    assert candidate.me.slots == parse_ranges(C.slots)
    assert candidate.me.config_epoch == 6
    assert candidate.happened(fx.BecomePrimary)
    assert candidate.receivers(Pong) == set("bcdef2")


def test_a_vote_counts_once_per_voter_and_only_for_this_epoch(candidate: Rig) -> None:
    candidate.says("b", Fail, C.id)
    wait_for_request(candidate)
    candidate.says("d", FailoverAuthAck, current_epoch=5)
    for _ in range(5):
        candidate.says("b", FailoverAuthAck)
    candidate.says("2", FailoverAuthAck)
    candidate.says("e", FailoverAuthAck)
    assert candidate.me.is_replica


def test_a_failed_election_is_repeated_after_four_timeouts(candidate: Rig) -> None:
    candidate.says("b", Fail, C.id)
    wait_for_request(candidate)
    candidate.sent(FailoverAuthRequest)
    for _ in range(4 * TIMEOUT // 100 - 5):
        candidate.tick(100)
        candidate.facts.last_seen = candidate.now
    assert not candidate.sent(FailoverAuthRequest)
    assert wait_for_request(candidate) <= 2000
    assert candidate.coordinator.topology.current_epoch == 7


def test_an_election_that_meets_another_is_repeated_soon_and_then_less_often(candidate: Rig) -> None:
    candidate.says("b", Fail, C.id)
    wait_for_request(candidate)
    candidate.effects.clear()
    waited = []
    for epoch in (6, 7, 8):
        candidate.says("2", FailoverAuthRequest, current_epoch=epoch)
        waited.append(wait_for_request(candidate))
        (request,) = candidate.sent(FailoverAuthRequest)
        assert request.header.current_epoch == epoch + 1
        candidate.effects.clear()
    assert 200 <= waited[0] <= 600 and 400 <= waited[1] <= 1100 and 800 <= waited[2] <= 2100


def test_an_election_that_meets_another_may_still_win(candidate: Rig) -> None:
    candidate.says("b", Fail, C.id)
    wait_for_request(candidate)
    candidate.says("2", FailoverAuthRequest, current_epoch=6)
    for name in "bde":
        candidate.says(name, FailoverAuthAck, current_epoch=6)
    assert candidate.me.is_primary
    assert candidate.me.config_epoch == 6


def test_a_replica_with_old_data_does_not_stand(candidate: Rig) -> None:
    candidate.facts.last_seen = candidate.now - 11 * TIMEOUT - 10_000 - 1
    candidate.says("b", Fail, C.id)
    candidate.pass_time(3000)
    assert not candidate.receivers(FailoverAuthRequest)


def test_a_replica_that_must_not_fail_over_does_not_stand(candidate: Rig) -> None:
    candidate.settings.replica_no_failover = True
    candidate.command("settings_changed")
    candidate.says("b", Fail, C.id)
    candidate.pass_time(3000)
    assert not candidate.receivers(FailoverAuthRequest)


def test_a_vote_against_who_has_won_its_slots_again_is_forgotten(voter: Rig) -> None:
    """Else its next death is felt for longer, and nobody tells a synchronous one that it may serve."""
    assert asks(voter, "1", 4)
    slots = parse_ranges(C.slots)
    voter.says("1", Pong, current_epoch=4, config_epoch=4, replica_of=None, flags=flag.PRIMARY, slots=slots)
    voter.answers("c", current_epoch=4, config_epoch=4, replica_of="1" * 40, flags=flag.REPLICA)
    voter.says("d", Fail, "1" * 40)
    assert asks(voter, "c", 5, config_epoch=4, replica_of="1" * 40, flags=flag.REPLICA)
    voter.says("c", Pong, current_epoch=5, config_epoch=5, slots=slots)
    assert voter.node("c").slots == slots
    assert not voter.node("c").voted_at
