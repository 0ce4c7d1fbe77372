"""A synchronous primary that was started again gives way to a replica that has everything (abdication.py)."""

from __future__ import annotations

from cluster.coordinator import effects as fx
from cluster.coordinator.abdication import ECHO_FACTOR, PATIENCE_FACTOR
from cluster.coordinator.messages import (
    ABDICATES,
    EXT_DATA,
    INCOMPLETE,
    SHOAL,
    WITNESSED,
    Fail,
    FailoverAuthAck,
    FailoverAuthRequest,
    Ping,
)
from tests.unit.coordinator_rig import TIMEOUT, Peer, Rig

A = Peer("a", "0-5000", 1)
B = Peer("b", "5001-10000", 2)
C = Peer("c", "10001-16383", 3)
FIRST = Peer("1", of="a")
SECOND = Peer("2", of="a")
COMPLETE = EXT_DATA | SHOAL
LACKING = COMPLETE | INCOMPLETE
GIVING_WAY = COMPLETE | ABDICATES


def comes_back(*replicas: Peer, synchronous: int = 1, kept_everything: bool = False) -> Rig:
    """A primary with these replicas, started again; they have not been heard yet."""
    return Rig(
        A,
        [B, C, *replicas],
        kept_everything=kept_everything,
        silent="12",
        synchronous_replicas=synchronous,
    )


def gives_way(rig: Rig) -> bool:
    rig.sent(Ping)
    rig.pass_time(TIMEOUT, answering="bc")
    return any(ping.header.message_flags & ABDICATES for ping in rig.sent(Ping))


class TestThePrimary:
    def test_it_gives_way_to_who_has_everything(self) -> None:
        rig = comes_back(FIRST)
        rig.says("1", Ping, message_flags=COMPLETE)
        rig.tick(100)
        (fail,) = rig.sent(Fail)
        assert fail.id == A.id
        assert fail.header.message_flags & WITNESSED
        assert not rig.coordinator.may_feed_replicas
        assert gives_way(rig)
        assert not rig.coordinator.ok

    def test_it_goes_on_if_all_have_lost_something(self) -> None:
        rig = comes_back(FIRST, SECOND)
        rig.says("1", Ping, message_flags=LACKING)
        rig.tick(100)
        assert not rig.coordinator.may_feed_replicas
        rig.says("2", Ping, message_flags=LACKING)
        rig.tick(100)
        assert rig.coordinator.may_feed_replicas
        assert not rig.sent(Fail)
        assert not gives_way(rig)
        assert rig.coordinator.ok

    def test_it_waits_for_who_is_not_heard_unless_forgotten(self) -> None:
        rig = comes_back(FIRST)
        rig.pass_time(TIMEOUT * PATIENCE_FACTOR * 2, answering="bc")
        assert not rig.coordinator.may_feed_replicas
        assert rig.logged("may have data that I lack. Start or CLUSTER FORGET it.")
        rig.command("forget", FIRST.id)
        rig.tick(100)
        assert rig.coordinator.may_feed_replicas

    def test_it_gives_replicas_that_say_nothing_time_to_take_over(self) -> None:
        rig = comes_back(FIRST)
        rig.says("1", Ping)
        rig.pass_time(TIMEOUT * PATIENCE_FACTOR - 200, answering="bc")
        assert rig.sent(Fail)
        assert not rig.coordinator.may_feed_replicas
        rig.pass_time(TIMEOUT * (ECHO_FACTOR + 1), answering="bc")
        assert rig.coordinator.may_feed_replicas

    def test_it_does_not_go_on_while_others_may_still_hear_that_it_gave_way(self) -> None:
        rig = comes_back(FIRST)
        rig.says("1", Ping, message_flags=COMPLETE)
        rig.tick(100)
        rig.says("1", Ping, message_flags=LACKING)
        rig.pass_time(TIMEOUT * ECHO_FACTOR - 100, answering="bc")
        assert not rig.coordinator.may_feed_replicas
        rig.pass_time(300, answering="bc")
        assert rig.coordinator.may_feed_replicas

    def test_there_is_nothing_to_ask(self) -> None:
        assert comes_back(FIRST, kept_everything=True).coordinator.may_feed_replicas
        assert comes_back(FIRST, synchronous=0).coordinator.may_feed_replicas
        assert comes_back().coordinator.may_feed_replicas, "nobody could have more"


class TestTheOthers:
    def test_it_counts_as_dead_until_it_goes_on(self) -> None:
        rig = Rig(B, [A, C, FIRST])
        rig.answers("a", message_flags=GIVING_WAY)
        assert rig.node("a").failed
        rig.answers("a", message_flags=GIVING_WAY)
        rig.pass_time(TIMEOUT * 3, answering="c1")
        assert rig.node("a").failed
        rig.answers("a", message_flags=COMPLETE)
        assert not rig.node("a").failed

    def test_its_replica_stands_at_once_however_old_its_data(self) -> None:
        rig = Rig(FIRST, [A, B, C], synchronous_replicas=1)
        rig.says("a", Ping, message_flags=COMPLETE)
        rig.facts.last_seen = 0
        rig.answers("a", message_flags=GIVING_WAY)
        (request,) = rig.sent(FailoverAuthRequest)
        for name in "bc":
            epoch = request.header.current_epoch
            rig.says(name, FailoverAuthAck, current_epoch=epoch)
        assert rig.me.is_primary

    def test_who_lacks_something_is_not_waited_for(self) -> None:
        """... as nobody has more than the candidate, where an alive primary might have."""
        for flags, wins in ((COMPLETE, False), (GIVING_WAY, True)):
            rig = Rig(FIRST, [A, B, C, SECOND], synchronous_replicas=1)
            rig.says("a", Ping, message_flags=COMPLETE)
            rig.says("b", Fail, A.id, message_flags=COMPLETE | WITNESSED)
            if flags & ABDICATES:
                rig.says("a", Ping, message_flags=flags)
            rig.pass_time(500)
            (request,) = rig.sent(FailoverAuthRequest)
            epoch = request.header.current_epoch
            for name, said in (("b", COMPLETE), ("c", COMPLETE), ("2", LACKING)):
                rig.says(name, FailoverAuthAck, current_epoch=epoch, message_flags=said)
            assert rig.me.is_primary is wins

    def test_a_replica_that_lacks_something_says_so(self) -> None:
        rig = Rig(SECOND, [A, B, C, FIRST], synchronous_replicas=1)
        rig.facts.whole_copy = False
        request = {"current_epoch": 9, "message_flags": COMPLETE}
        rig.says("1", FailoverAuthRequest, **request)
        assert not rig.sent(FailoverAuthAck), "the primary may have what it lost"
        rig.answers("a", message_flags=GIVING_WAY)
        rig.says("1", FailoverAuthRequest, **request)
        (answer,) = rig.sent(FailoverAuthAck)
        assert answer.header.message_flags & INCOMPLETE
        assert rig.happened(fx.LeavePrimary), "and gets no more of it meanwhile"
