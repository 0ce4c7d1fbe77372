"""With `synchronous-replicas` only a replica that has every acknowledged write takes over (fences.py)."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.coordinator import effects as fx
from cluster.coordinator.messages import Fail, FailoverAuthAck, FailoverAuthRequest, Ping
from tests.unit.coordinator_rig import TIMEOUT, Peer, Rig


def replica(siblings: str, wanted: int = 1, whole: bool = True, former: str = "") -> Rig:
    """`d` is me, a replica of `a` with offset 1000; `siblings` are other replicas of `a`, and `former` those
    that `a` has succeeded."""
    me = Peer("d", of="a")
    others = [
        Peer("a", slots="0-5460", epoch=1),
        Peer("b", slots="5461-10922", epoch=2),
        Peer("c", slots="10923-16383", epoch=3),
        *(Peer(name, of="a") for name in siblings),
        *(Peer(name, was="a") for name in former),
    ]
    rig = Rig(me, others, synchronous_replicas=wanted)
    rig.facts.offset, rig.facts.whole_copy = 1000, whole
    rig.says("a", Ping, offset=1000)
    rig.tick(100)
    rig.facts.last_seen = rig.now
    return rig


def stand(rig: Rig) -> None:
    """The primary fails, and this replica asks for votes."""
    rig.says("b", Fail, "a" * 40)
    rig.pass_time(1200, answering="bc")


def votes(rig: Rig) -> None:
    for name in "bc":
        rig.says(name, FailoverAuthAck, outbound=True)


def fence(rig: Rig, name: str, offset: int) -> None:
    rig.says(name, FailoverAuthAck, offset=offset)


class TestACandidate:
    def test_the_only_replica_needs_nobody(self) -> None:
        rig = replica("")
        stand(rig)
        votes(rig)
        assert rig.happened(fx.BecomePrimary)

    @pytest.mark.parametrize("offset", [999, 1000])
    def test_it_must_know_that_the_other_has_no_more(self, offset: int) -> None:
        rig = replica("e")
        stand(rig)
        votes(rig)
        assert not rig.happened(fx.BecomePrimary)
        fence(rig, "e", offset)
        assert rig.happened(fx.BecomePrimary)

    def test_a_dead_predecessor_of_its_primary_may_have_come_back_and_have_more(self) -> None:
        rig = replica("", former="e")
        rig.says("b", Fail, "e" * 40)
        stand(rig)
        votes(rig)
        assert not rig.happened(fx.BecomePrimary)
        rig.command("forget", "e" * 40)
        rig.pass_time(100, answering="bc")
        assert rig.happened(fx.BecomePrimary)

    def test_who_has_less_gives_up(self) -> None:
        rig = replica("e")
        stand(rig)
        votes(rig)
        fence(rig, "e", 1001)
        rig.pass_time(1000, answering="bce")
        assert not rig.happened(fx.BecomePrimary)

    def test_of_three_two_must_be_known(self) -> None:
        rig = replica("ef", wanted=2)
        stand(rig)
        votes(rig)
        assert not rig.happened(fx.BecomePrimary)
        fence(rig, "f", 10)
        assert rig.happened(fx.BecomePrimary)

    def test_an_answer_for_another_election_is_none(self) -> None:
        rig = replica("e")
        stand(rig)
        votes(rig)
        rig.says("e", FailoverAuthAck, offset=1000, current_epoch=2)
        assert not rig.happened(fx.BecomePrimary)

    def test_one_that_lost_its_copy_does_not_stand(self) -> None:
        rig = replica("", whole=False)
        stand(rig)
        assert not rig.sent(FailoverAuthRequest)

    def test_nor_does_one_that_has_not_caught_up_since_its_start(self) -> None:
        rig = replica("", whole=False)
        rig.facts.whole_copy, rig.facts.offset = True, 500
        rig.says("a", Ping, offset=1000)
        rig.tick(100)
        stand(rig)
        assert not rig.sent(FailoverAuthRequest)
        rig.facts.offset = 1000  # what was on its way has arrived
        rig.pass_time(1500, answering="bc")
        assert rig.sent(FailoverAuthRequest)

    def test_takeover_asks_nobody(self) -> None:
        rig = replica("e", whole=False)
        rig.command("failover", "takeover")
        assert rig.happened(fx.BecomePrimary)


class TestAnotherReplica:
    """`d` is me; `e` stands for election."""

    def asked(self, rig: Rig, **fields: Any) -> list[FailoverAuthAck]:
        rig.effects.clear()
        rig.says("e", FailoverAuthRequest, current_epoch=9, **fields)
        return rig.sent(FailoverAuthAck)

    def test_it_leaves_the_primary_and_says_how_far_it_is(self) -> None:
        rig = replica("e")
        (answer,) = self.asked(rig)
        assert answer.header.offset == 1000
        assert answer.header.current_epoch == 9
        (left,) = rig.happened(fx.LeavePrimary)
        assert left.ms >= 2 * 2 * TIMEOUT

    def test_without_a_whole_copy_it_has_nothing_to_say(self) -> None:
        assert not self.asked(replica("e", whole=False))

    def test_a_candidate_of_another_shard_is_no_concern(self) -> None:
        rig = replica("")
        rig.peers["e"] = Peer("e", of="b")
        assert not self.asked(rig)

    def test_without_the_mode_it_stays(self) -> None:
        rig = replica("e", wanted=0)
        assert not self.asked(rig)
        assert not rig.happened(fx.LeavePrimary)
