"""Whether a primary may have been replaced without knowing (lease.py), and what others owe it (voting.py)."""

from __future__ import annotations

from typing import Any

from cluster.coordinator import effects as fx
from cluster.coordinator.cluster_state import WRITABLE_DELAY
from cluster.coordinator.messages import (
    FORCE_ACK,
    OUSTED,
    Fail,
    FailoverAuthAck,
    FailoverAuthRequest,
    MFStart,
    Ping,
    Pong,
)
from tests.unit.coordinator_rig import TIMEOUT, Peer, Rig

STANDSTILL = TIMEOUT // 4


def primary(**settings: Any) -> Rig:
    """`a` is me, a primary of three, with the replica `d`."""
    me = Peer("a", slots="0-5460", epoch=1)
    others = [
        Peer("b", slots="5461-10922", epoch=2),
        Peer("c", slots="10923-16383", epoch=3),
        Peer("d", of="a"),
    ]
    rig = Rig(me, others, **settings)
    rig.pass_time(3000, answering="bcd")
    assert rig.coordinator.ok
    rig.effects.clear()
    return rig


def started_without_replicas() -> Rig:
    me = Peer("a", slots="0-5460", epoch=1)
    return Rig(me, [Peer("b", slots="5461-10922", epoch=2), Peer("c", slots="10923-16383", epoch=3)])


def lapsed(**settings: Any) -> Rig:
    rig = primary(**settings)
    rig.now += 10 * TIMEOUT
    rig.command("lapsed")
    assert rig.happened(fx.Lapse)
    return rig


def renewed(rig: Rig) -> bool:
    return any(lease.renewed for lease in rig.happened(fx.Lease))


def test_asking_again_and_again_hides_no_death() -> None:
    """`c` has died and refuses connections: each new link is used to ask it, and lost."""
    rig = primary(synchronous_replicas=1)
    for _ in range(2 * TIMEOUT // 100):
        rig.tick(100)
        rig.answers("b")
        link = rig.node("c").link
        if link is not None:
            rig.command("link_down", link)
    assert rig.node("c").timed_out


def test_what_was_asked_over_a_link_that_was_not_up_yet_is_not_waited_for() -> None:
    rig = primary()
    for name in "bc":
        rig.command("link_down", rig.node(name).link)
    rig.tick(100)
    rig.now += 10 * TIMEOUT
    rig.command("lapsed")
    for name in "bc":
        rig.command("link_up", rig.node(name).link)
        rig.answers(name)
    assert renewed(rig)
    rig.effects.clear()
    rig.now += 10 * TIMEOUT
    rig.command("lapsed")
    assert rig.receivers(Ping) >= {"b", "c"}, "they are asked again"
    rig.answers("b")
    assert renewed(rig)


class TestAPrimaryThatStoodStill:
    def test_it_may_go_on_for_a_part_of_the_node_timeout(self) -> None:
        rig = primary()
        rig.tick(100)
        assert rig.happened(fx.Lease) == [fx.Lease(rig.now + STANDSTILL)]

    def test_it_asks_the_other_primaries_at_once(self) -> None:
        rig = lapsed()
        assert rig.receivers(Ping) >= {"b", "c"}
        assert not rig.happened(fx.Lease)

    def test_the_answer_of_a_majority_lets_it_go_on(self) -> None:
        rig = lapsed()
        rig.answers("d")
        assert not renewed(rig), "a replica has no say"
        rig.answers("b")
        assert renewed(rig)

    def test_an_answer_to_an_earlier_ping_does_not(self) -> None:
        rig = primary()
        rig.pass_time(TIMEOUT // 2 + 200)  # b and c were pinged and have not answered
        assert rig.receivers(Ping) >= {"b", "c"}
        rig.effects.clear()
        rig.now += STANDSTILL + 100
        rig.command("lapsed")
        rig.answers("b")
        rig.answers("c")
        assert not renewed(rig)
        rig.tick(100)
        assert rig.receivers(Ping) >= {"b", "c"}
        rig.answers("b")
        assert renewed(rig)

    def test_who_voted_against_it_does_not(self) -> None:
        rig = lapsed()
        rig.answers("b", message_flags=OUSTED)
        rig.answers("c", message_flags=OUSTED)
        assert not renewed(rig)
        rig.tick(100)
        rig.answers("b")
        assert renewed(rig), "the other's vote came to nothing"

    def test_an_answer_with_a_greater_epoch_needs_a_second(self) -> None:
        rig = lapsed()
        rig.effects.clear()
        rig.answers("b", current_epoch=9)
        assert not renewed(rig)
        assert rig.receivers(Ping) == {"b"}
        rig.answers("b")
        assert renewed(rig)

    def test_once_replaced_it_has_nothing_more_to_tell(self) -> None:
        rig = lapsed()
        slots = rig.me.slots
        rig.says("d", Pong, current_epoch=9, config_epoch=9, slots=slots, replica_of=None, flags=2)
        assert rig.me.is_replica
        order = [type(effect) for effect in rig.effects]
        assert order.index(fx.BecomeReplicaOf) < order.index(fx.Lease)
        assert rig.happened(fx.Lease) == [fx.Lease(None)]

    def test_what_a_link_that_was_not_up_has_dropped_is_not_waited_for(self) -> None:
        rig = primary()
        old = rig.node("b").link
        assert old is not None
        rig.do(rig.coordinator.link_down(old, rig.now))
        rig.tick(100)  # opens another
        new = rig.node("b").link
        assert new is not None
        rig.command("lapsed")  # asks over it, in vain
        rig.answers("c")
        assert renewed(rig)
        rig.do(rig.coordinator.link_up(new, rig.now))
        rig.answers("b")
        rig.now += TIMEOUT // 2
        rig.effects.clear()
        rig.command("lapsed")
        assert "b" in rig.receivers(Ping)
        rig.answers("b")
        assert renewed(rig)

    def test_without_replicas_nobody_can_have_replaced_it(self) -> None:
        rig = started_without_replicas()
        rig.pass_time(3000, answering="bc")
        rig.effects.clear()
        rig.pass_time(2000, answering="bc")
        assert rig.happened(fx.Lease) == []

    def test_a_cluster_that_is_down_lets_nothing_wait(self) -> None:
        """Then requests are refused, and allowed reads are allowed."""
        rig = lapsed()
        rig.pass_time(3 * TIMEOUT)
        assert not rig.coordinator.ok
        assert rig.happened(fx.Lease)[-1] == fx.Lease(None)


class TestAPrimaryThatWasStartedAgain:
    """... may remember slots that have moved, or a place that is another's, replicas or not."""

    def test_it_hears_from_a_majority_before_it_tells_anything(self) -> None:
        rig = started_without_replicas()
        rig.pass_time(WRITABLE_DELAY - 100, answering="bc")
        assert not rig.coordinator.ok
        rig.effects.clear()
        rig.pass_time(200)
        assert rig.coordinator.ok
        assert rig.happened(fx.Lapse)
        assert not rig.happened(fx.Lease)
        rig.answers("b")
        assert renewed(rig)
        rig.tick(100)
        assert rig.happened(fx.Lease)[-1] == fx.Lease(None)

    def test_who_knows_of_its_successor_does_not_count(self) -> None:
        rig = started_without_replicas()
        rig.pass_time(WRITABLE_DELAY - 100, answering="bc")
        rig.effects.clear()
        rig.pass_time(200)
        rig.answers("b", message_flags=OUSTED)
        rig.answers("c", message_flags=OUSTED)
        assert not rig.happened(fx.Lease)


class TestASynchronousPrimary:
    def test_it_goes_by_the_last_answers(self) -> None:
        rig = primary(synchronous_replicas=1)
        rig.pass_time(TIMEOUT // 2)  # in which b and c are asked again and again, and do not answer
        assert rig.receivers(Ping) >= {"b", "c"}
        assert not rig.happened(fx.Lapse)
        rig.pass_time(TIMEOUT // 2)
        assert rig.happened(fx.Lapse)
        rig.answers("b")
        rig.tick(100)
        rig.answers("b")
        assert renewed(rig)

    def test_without_the_mode_silence_is_judged_as_ever(self) -> None:
        rig = primary()
        rig.pass_time(TIMEOUT * 12 // 10)
        assert not rig.happened(fx.Lapse)

    def test_while_it_hands_over_it_tells_nothing(self) -> None:
        rig = primary(synchronous_replicas=1)
        rig.says("d", MFStart)
        rig.command("writes_paused")
        rig.tick(100)
        assert rig.happened(fx.Lapse)
        rig.answers("b")
        rig.answers("c")
        assert not renewed(rig)
        rig.pass_time(4800, answering="bcd")
        assert not renewed(rig)
        rig.pass_time(400, answering="bcd")  # given up
        assert renewed(rig)


class TestAVoter:
    """`b` is me; `a` fails, and its replica `d` wants its place."""

    def voter(self, **settings: Any) -> Rig:
        me = Peer("b", slots="5461-10922", epoch=2)
        others = [
            Peer("a", slots="0-5460", epoch=1),
            Peer("c", slots="10923-16383", epoch=3),
            Peer("d", of="a"),
        ]
        rig = Rig(me, others, **settings)
        rig.pass_time(TIMEOUT + 1000, answering="acd")
        return rig

    def request(self, rig: Rig, message_flags: int = 0) -> None:
        rig.says("d", FailoverAuthRequest, current_epoch=9, message_flags=message_flags)

    def test_who_was_answered_lately_is_not_voted_against(self) -> None:
        rig = self.voter(synchronous_replicas=1)
        rig.says("a", Ping)
        rig.says("c", Fail, "a" * 40)
        self.request(rig)
        assert not rig.sent(FailoverAuthAck)
        rig.pass_time(TIMEOUT, answering="cd")
        assert not rig.sent(FailoverAuthAck)
        rig.pass_time(200, answering="cd")
        assert rig.sent(FailoverAuthAck), "the request was kept until its time"

    def test_an_answer_that_said_that_it_failed_does_not_count(self) -> None:
        """Who stood still for long and is back cannot stop its successor, nor go on itself."""
        rig = self.voter(synchronous_replicas=1)
        rig.says("c", Fail, "a" * 40)
        rig.says("a", Ping)
        self.request(rig)
        assert rig.sent(FailoverAuthAck)

    def test_without_the_mode_a_vote_is_given_at_once(self) -> None:
        rig = self.voter()
        rig.says("c", Fail, "a" * 40)
        self.request(rig)
        assert rig.sent(FailoverAuthAck)

    def test_so_is_one_that_was_ordered(self) -> None:
        rig = self.voter(synchronous_replicas=1)
        self.request(rig, FORCE_ACK)
        assert rig.sent(FailoverAuthAck)

    def test_after_its_vote_it_says_so_with_every_answer(self) -> None:
        rig = self.voter()
        rig.effects.clear()
        rig.says("a", Ping)
        assert [pong.header.message_flags & OUSTED for pong in rig.sent(Pong)] == [0]
        self.request(rig, FORCE_ACK)
        rig.says("a", Ping)
        assert [pong.header.message_flags & OUSTED for pong in rig.sent(Pong)] == [OUSTED]
        rig.says("c", Ping)
        assert [pong.header.message_flags & OUSTED for pong in rig.sent(Pong)] == [0]
        rig.pass_time(2 * TIMEOUT + 100, answering="acd")
        rig.effects.clear()
        rig.says("a", Ping)
        assert [pong.header.message_flags & OUSTED for pong in rig.sent(Pong)] == [0], "the vote is void"

    def test_who_is_failed_is_told(self) -> None:
        rig = self.voter()
        rig.says("c", Fail, "a" * 40)
        rig.effects.clear()
        rig.says("a", Ping)
        assert [pong.header.message_flags & OUSTED for pong in rig.sent(Pong)] == [OUSTED]


def test_from_the_pause_for_a_manual_failover_on_nobody_is_answered() -> None:
    rig = primary(synchronous_replicas=1)
    rig.says("d", MFStart)
    rig.effects.clear()
    rig.command("writes_paused")
    kinds = [type(effect) for effect in rig.effects]
    assert kinds.index(fx.Lapse) < kinds.index(fx.Send), "before the replica may go on"
