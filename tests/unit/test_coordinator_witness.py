"""What a supervisor tells of a node: that it is dead, that it is only busy."""

from __future__ import annotations

import pytest

from cluster.coordinator import effects as fx
from cluster.coordinator.messages import (
    EXT_DATA,
    SHOAL,
    WITNESSED,
    Fail,
    FailoverAuthAck,
    FailoverAuthRequest,
    Ping,
    Pong,
    ShardId,
    Vouched,
)
from cluster.topology import flags as flag
from node.errors import ReplyError
from tests.unit.coordinator_rig import TIMEOUT, Peer, Rig

B = Peer("b", "0-5000", 1)
C = Peer("c", "5001-10000", 2)
D = Peer("d", "10001-16383", 3)
REPLICA_OF_C = Peer("1", of="c")
SECOND_OF_C = Peer("2", of="c")


@pytest.fixture
def rig() -> Rig:
    return Rig(B, [C, D, REPLICA_OF_C])


def dies(rig: Rig, name: str) -> None:
    """Another member was told that the process of this peer has ended."""
    rig.says("d", Fail, name * 40, message_flags=EXT_DATA | SHOAL | WITNESSED)


class TestDeath:
    def test_it_is_told_to_all_who_live(self, rig: Rig) -> None:
        rig.command("witness_dead", C.id)
        assert rig.node("c").failed
        assert rig.receivers(Fail) == {"d", "1"}
        (fail,) = rig.sent(Fail)
        assert fail.id == C.id
        assert fail.header.message_flags & WITNESSED

    def test_told_again_or_heard_before_it_is_no_news(self, rig: Rig) -> None:
        dies(rig, "c")
        assert rig.node("c").failed
        rig.command("witness_dead", C.id)
        assert not rig.sent(Fail)

    def test_a_silence_that_was_agreed_on_becomes_a_death(self, rig: Rig) -> None:
        rig.says("d", Fail, C.id)
        assert not rig.node("c").witnessed
        rig.command("witness_dead", C.id)
        assert rig.node("c").witnessed
        assert rig.sent(Fail)

    def test_of_who_has_no_heir_it_is_not_told(self, rig: Rig) -> None:
        rig.command("witness_dead", D.id)
        assert not rig.node("d").failed
        assert not rig.sent(Fail)
        dies(rig, "1")
        rig.command("witness_dead", C.id)
        assert not rig.node("c").failed, "its only replica has failed"

    def test_of_a_replica_it_is_told(self, rig: Rig) -> None:
        rig.command("witness_dead", REPLICA_OF_C.id)
        assert rig.node("1").failed
        assert rig.receivers(Fail) == {"c", "d"}

    def test_what_the_dead_had_sent_does_not_bring_it_back(self, rig: Rig) -> None:
        old = rig.node("c").link
        rig.command("witness_dead", C.id)
        assert fx.Disconnect(old or 0) in rig.effects
        assert rig.node("c").link is None
        assert rig.node("c").inbound_link is None

    def test_an_answer_on_a_new_link_does_at_once(self, rig: Rig) -> None:
        rig.command("witness_dead", C.id)
        rig.tick(100)
        rig.do(rig.coordinator.link_up(rig.node("c").link or 0, rig.now))
        rig.answers("c")
        assert not rig.node("c").failed
        assert not rig.node("c").witnessed
        rig.says("1", Fail, C.id)
        rig.answers("c")
        assert rig.node("c").failed, "silence that all agreed on takes longer to forgive"

    def test_other_slots_are_served_while_it_is_replaced(self, rig: Rig) -> None:
        rig.pass_time(2100, answering="cd1")
        assert rig.coordinator.ok
        rig.command("witness_dead", C.id)
        assert rig.coordinator.ok
        rig.pass_time(900, answering="d1")
        assert rig.coordinator.ok
        rig.pass_time(100, answering="d1")
        assert not rig.coordinator.ok, "it should have been replaced by now"

    def test_strangers_and_oneself_are_refused(self, rig: Rig) -> None:
        with pytest.raises(ReplyError, match="Unknown node"):
            rig.command("witness_dead", "e" * 40)
        with pytest.raises(ReplyError, match="a witness of myself"):
            rig.command("witness_dead", B.id)


class TestSuccession:
    def candidate(self, *others: Peer) -> Rig:
        rig = Rig(REPLICA_OF_C, [B, C, D, *others])
        rig.facts.last_seen = rig.now
        return rig

    def test_the_only_replica_asks_in_the_same_turn_and_passes_the_news_on_first(self) -> None:
        rig = self.candidate()
        dies(rig, "c")
        messages = [effect.message for effect in rig.effects if isinstance(effect, fx.Send)]
        kinds = [type(m) for m in messages if isinstance(m, Fail | FailoverAuthRequest)]
        assert kinds == [Fail, FailoverAuthRequest]
        assert rig.receivers(Fail) == rig.receivers(FailoverAuthRequest) == {"b", "d"}
        for voter in "bd":
            rig.says(voter, FailoverAuthAck)
        assert rig.me.is_primary
        assert rig.sent(Pong), "all are told at once"

    def test_who_has_just_started_and_wins_serves_at_once(self) -> None:
        rig = self.candidate()
        rig.says("d", Fail, C.id)
        assert not rig.coordinator.ok
        rig.command("failover", "force")
        for voter in "bd":
            rig.says(voter, FailoverAuthAck)
        assert rig.coordinator.ok

    def test_it_first_reads_what_the_dead_has_left(self) -> None:
        rig = self.candidate()
        rig.facts.link_up = True
        dies(rig, "c")
        assert not rig.sent(FailoverAuthRequest)
        rig.facts.link_up = False
        rig.do(rig.coordinator.wake(rig.now))
        assert rig.sent(FailoverAuthRequest)

    def test_but_not_for_ever(self) -> None:
        rig = self.candidate()
        rig.facts.link_up = True
        dies(rig, "c")
        rig.pass_time(400)
        assert not rig.sent(FailoverAuthRequest)
        rig.pass_time(100)
        assert rig.sent(FailoverAuthRequest)

    @pytest.mark.parametrize(("mine", "theirs", "delay"), [(5, 4, 50), (5, 5, 50), (4, 5, 150)])
    def test_of_several_the_one_with_most_data_goes_first(self, mine: int, theirs: int, delay: int) -> None:
        rig = self.candidate(SECOND_OF_C)
        rig.facts.offset = mine
        dies(rig, "c")
        assert rig.receivers(Pong) == {"2"}, "it is told how much we have"
        rig.says("2", Pong, offset=theirs)
        rig.now += delay - 1
        rig.do(rig.coordinator.wake(rig.now))
        assert not rig.sent(FailoverAuthRequest)
        assert rig.happened(fx.Wake)[-1].at == rig.now + 1
        rig.now += 1
        rig.do(rig.coordinator.wake(rig.now))
        assert rig.sent(FailoverAuthRequest)

    def test_of_equals_the_other_one_waits(self) -> None:
        rig = Rig(SECOND_OF_C, [B, C, D, REPLICA_OF_C])
        rig.facts.last_seen = rig.now
        dies(rig, "c")
        assert rig.happened(fx.Wake)[-1].at == rig.now + 150

    def test_a_lost_vote_is_made_good_soon(self) -> None:
        rig = self.candidate()
        dies(rig, "c")
        first = rig.sent(FailoverAuthRequest)[0].header.current_epoch
        rig.pass_time(2200, answering="bd")
        assert rig.sent(FailoverAuthRequest)[0].header.current_epoch == first + 1
        voter = Rig(B, [C, D, REPLICA_OF_C])
        dies(voter, "c")
        for epoch in (4, 5):
            voter.says("1", FailoverAuthRequest, current_epoch=epoch)
            assert voter.sent(FailoverAuthAck)
            voter.now += 2000

    def test_a_vote_that_was_slow_counts(self) -> None:
        rig = self.candidate()
        dies(rig, "c")
        rig.pass_time(1900, answering="bd")
        for voter in "bd":
            rig.says(voter, FailoverAuthAck)
        assert rig.me.is_primary

    def test_an_election_that_waits_for_silence_to_spread_is_hastened(self) -> None:
        rig = self.candidate()
        rig.says("d", Fail, C.id)
        rig.tick()
        assert not rig.sent(FailoverAuthRequest)
        dies(rig, "c")
        assert rig.sent(FailoverAuthRequest)

    def test_who_may_not_take_over_does_not(self) -> None:
        rig = self.candidate()
        rig.settings.replica_no_failover = True
        dies(rig, "c")
        assert not rig.sent(FailoverAuthRequest)


class TestVouching:
    def vouch(self, rig: Rig, ms: int) -> None:
        rig.says("d", Pong, (), (ShardId("d" + "0" * 39), Vouched(C.id, ms)))

    def test_silence_of_the_busy_is_no_failure(self, rig: Rig) -> None:
        for _ in range(5 * TIMEOUT // 500):
            self.vouch(rig, 1000)
            rig.pass_time(500, answering="d1")
        assert not rig.node("c").timed_out
        rig.pass_time(1100, answering="d1")
        assert rig.node("c").timed_out, "nobody vouches any more"

    def test_it_ends_a_suspicion_but_no_failure(self, rig: Rig) -> None:
        rig.pass_time(2 * TIMEOUT, answering="d1")
        assert rig.node("c").timed_out
        self.vouch(rig, 1000)
        assert not rig.node("c").timed_out
        rig.says("1", Fail, C.id)
        self.vouch(rig, 2000)
        assert rig.node("c").failed

    def test_nobody_is_vouched_for_for_longer_than_the_limit(self, rig: Rig) -> None:
        rig.settings.witness_limit = 3 * TIMEOUT
        for _ in range(5 * TIMEOUT // 500):
            self.vouch(rig, 10 * TIMEOUT)
            silent = rig.now - rig.node("c").data_received
            assert rig.node("c").timed_out == (silent >= 3 * TIMEOUT)
            rig.pass_time(500, answering="d1")
        assert rig.node("c").timed_out
        rig.do(rig.coordinator.link_up(rig.node("c").link or 0, rig.now))
        rig.answers("c")
        rig.pass_time(TIMEOUT, answering="d1")
        self.vouch(rig, TIMEOUT + 1)
        rig.pass_time(TIMEOUT, answering="d1")
        assert not rig.node("c").timed_out, "a new silence has a limit of its own"

    def test_it_is_told_to_those_who_understand(self, rig: Rig) -> None:
        rig.says("d", Ping, message_flags=EXT_DATA | SHOAL)
        rig.sent(Pong)
        rig.command("witness_busy", C.id, 1500)
        assert rig.receivers(Pong) == {"d"}
        (pong,) = rig.sent(Pong)
        assert pong.extensions[-1] == Vouched(C.id, 1500)
        assert ShardId(rig.me.shard_id) in pong.extensions, "what is left out would be taken back"
        assert rig.node("c").vouched_until == rig.now + 1500

    def test_it_can_be_switched_off(self, rig: Rig) -> None:
        rig.settings.witness_limit = 0
        rig.says("d", Ping, message_flags=EXT_DATA | SHOAL)
        rig.sent(Pong)
        rig.command("witness_busy", C.id, 1500)
        assert not rig.sent(Pong)
        self.vouch(rig, 10 * TIMEOUT)
        rig.pass_time(2 * TIMEOUT, answering="d1")
        assert rig.node("c").timed_out

    def test_a_death_ends_it(self, rig: Rig) -> None:
        self.vouch(rig, 60_000)
        rig.command("witness_dead", C.id)
        assert rig.node("c").flags & flag.FAIL
        assert rig.node("c").vouched_until == 0

    def test_negative_times_are_refused(self, rig: Rig) -> None:
        with pytest.raises(ReplyError, match="must be positive"):
            rig.command("witness_busy", C.id, -1)
