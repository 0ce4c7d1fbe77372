"""Meeting, handshake, addresses, gossip, forgetting."""

from __future__ import annotations

import random

import pytest

from cluster.coordinator import effects as fx
from cluster.coordinator.coordinator import Coordinator, LinkInfo
from cluster.coordinator.messages import (
    EXT_DATA,
    SHOAL,
    AvailabilityZone,
    ForgottenNode,
    Gossip,
    Hostname,
    HumanNodename,
    LightPublish,
    Meet,
    Ping,
    Pong,
    Publish,
    Published,
    PublishShard,
    ShardId,
    UnknownExtension,
)
from cluster.coordinator.surroundings import Settings
from cluster.topology import flags as flag
from cluster.topology.node import Outside
from tests.unit.coordinator_rig import START, TIMEOUT, Facts, Peer, Rig

B = Peer("b", "0-5000", 1)
C = Peer("c", "5001-10000", 2)
D = Peer("d", "10001-16383", 3)
STRANGER = Peer("e")


@pytest.fixture
def rig() -> Rig:
    rig = Rig(B, [C, D])
    rig.peers["e"] = STRANGER
    return rig


def test_a_new_node_has_a_random_id_and_saves_it_first() -> None:
    settings = Settings(port=7000, bus_port=17000)
    coordinator = Coordinator(settings, Facts(), random.Random(5), START)
    save, *_ = coordinator.start(START)
    assert isinstance(save, fx.SaveConfig) and save.sync
    assert coordinator.myself.id in save.text
    other = Coordinator(settings, Facts(), random.Random(6), START)
    assert other.myself.id != coordinator.myself.id
    again = Coordinator(settings, Facts(), random.Random(7), START, save.text)
    assert again.myself.id == coordinator.myself.id


def meet(rig: Rig) -> fx.Connect:
    rig.command("meet", "127.0.0.1", 7014, 17014)
    rig.tick(100)
    (connect,) = rig.happened(fx.Connect)
    assert (connect.ip, connect.bus_port) == ("127.0.0.1", 17014)
    return connect


def test_meet_opens_a_link_and_introduces_us(rig: Rig) -> None:
    connect = meet(rig)
    rig.do(rig.coordinator.link_up(connect.link, rig.now))
    (message,) = rig.sent(Meet)
    assert message.header.sender == B.id
    assert len(rig.coordinator.topology.nodes) == 4


def test_meet_is_said_once(rig: Rig) -> None:
    connect = meet(rig)
    rig.do(rig.coordinator.link_up(connect.link, rig.now))
    rig.do(rig.coordinator.link_down(connect.link, rig.now))
    rig.tick(100)
    (again,) = rig.happened(fx.Connect)
    rig.do(rig.coordinator.link_up(again.link, rig.now))
    assert len(rig.sent(Meet)) == 1


def test_the_first_pong_gives_the_real_id(rig: Rig) -> None:
    connect = meet(rig)
    rig.do(rig.coordinator.link_up(connect.link, rig.now))
    pong = Pong(rig.header("e"))
    rig.do(rig.coordinator.step(pong, LinkInfo(connect.link, "127.0.0.1", ""), rig.now))
    node = rig.node("e")
    assert not node.in_handshake
    assert node.is_primary
    assert node.link == connect.link


def test_a_handshake_without_answer_is_dropped(rig: Rig) -> None:
    meet(rig)
    rig.pass_time(TIMEOUT + 100, answering="cd")
    assert len(rig.coordinator.topology.nodes) == 3


def test_a_handshake_with_a_known_node_only_moves_it(rig: Rig) -> None:
    rig.command("meet", "127.0.0.2", 7099, 17099)
    rig.tick(100)
    (connect,) = rig.happened(fx.Connect)
    moved = rig.header("c", port=7099, bus_port=17099)
    rig.do(rig.coordinator.step(Pong(moved), LinkInfo(connect.link, "127.0.0.2", ""), rig.now))
    assert len(rig.coordinator.topology.nodes) == 3
    assert (rig.node("c").ip, rig.node("c").tcp_port) == ("127.0.0.2", 7099)


def test_meeting_twice_at_once_is_one_handshake(rig: Rig) -> None:
    rig.command("meet", "127.0.0.1", 7014, 17014)
    rig.command("meet", "127.0.0.1", 7014, 17014)
    assert len(rig.coordinator.topology.nodes) == 4


def test_a_strangers_meet_is_answered_and_returned(rig: Rig) -> None:
    rig.says("e", Meet)
    assert rig.sent(Pong)
    rig.tick(100)
    (connect,) = rig.happened(fx.Connect)
    assert connect.bus_port == 17014


def test_a_strangers_ping_is_answered_and_otherwise_ignored(rig: Rig) -> None:
    rig.says("e", Ping, (rig.gossip("c"),), current_epoch=99)
    assert rig.sent(Pong)
    assert rig.coordinator.topology.current_epoch == 3
    assert len(rig.coordinator.topology.nodes) == 3


def test_another_node_at_a_known_address_takes_the_address_away(rig: Rig) -> None:
    link = rig.node("c").link
    assert link is not None
    rig.do(rig.coordinator.step(Pong(rig.header("d")), LinkInfo(link, "127.0.0.1", ""), rig.now))
    assert rig.node("c").flags & flag.NOADDR
    assert rig.node("c").ip == ""
    assert fx.Disconnect(link) in rig.effects


def test_a_ping_from_a_new_address_moves_the_node(rig: Rig) -> None:
    link = rig.node("c").link
    rig.says("c", Ping, port=7500, bus_port=17500)
    assert rig.node("c").tcp_port == 7500
    assert fx.Disconnect(link or 0) in rig.effects
    assert rig.logged(f"Address updated for node {C.id} (), now 127.0.0.1:7500")


def test_a_replica_follows_its_primary_to_a_new_address() -> None:
    rig = Rig(Peer("1", of="c"), [B, C, D])
    rig.says("c", Ping, port=7500)
    assert rig.happened(fx.BecomeReplicaOf) == [fx.BecomeReplicaOf(C.id, "127.0.0.1", 7500)]


def test_a_replica_follows_its_primary_to_an_address_it_has_heard_of() -> None:
    """From somebody who reaches it, when we do not."""
    rig = Rig(Peer("1", of="c"), [B, C, D])
    rig.pass_time(2 * TIMEOUT)
    assert rig.node("c").timed_out
    rig.happened(fx.BecomeReplicaOf)
    rig.says("b", Ping, (rig.gossip("c", port=7500, bus_port=17500),))
    assert rig.happened(fx.BecomeReplicaOf) == [fx.BecomeReplicaOf(C.id, "127.0.0.1", 7500)]


def test_an_address_that_is_announced_no_more_is_found_out_again(rig: Rig) -> None:
    rig.settings.announce_ip = "198.51.100.1"
    rig.command("settings_changed")
    rig.settings.announce_ip = ""
    rig.command("settings_changed")
    assert rig.me.ip == ""
    rig.says("c", Ping)
    assert rig.me.ip == "127.0.0.1"


def test_an_announced_ip_beats_the_socket(rig: Rig) -> None:
    rig.says("c", Ping, ip="192.0.2.7")
    assert rig.node("c").ip == "192.0.2.7"


def test_own_ip_is_learned_from_meet_but_not_when_announced(rig: Rig) -> None:
    meet_message, link = Meet(rig.header("c")), LinkInfo(-1, "127.0.0.1", "192.0.2.1")
    rig.do(rig.coordinator.step(meet_message, link, rig.now))
    assert rig.me.ip == "192.0.2.1"
    rig.settings.announce_ip = "198.51.100.1"
    rig.command("settings_changed")
    rig.do(rig.coordinator.step(meet_message, link, rig.now))
    assert rig.me.ip == "198.51.100.1"


# --- gossip


def test_gossip_of_a_known_node_introduces_others(rig: Rig) -> None:
    rig.says("c", Ping, (rig.gossip("e"),))
    assert rig.node("e").tcp_port == 7014
    rig.tick(100)
    assert 17014 in {connect.bus_port for connect in rig.happened(fx.Connect)}


@pytest.mark.parametrize("flags", [flag.NOADDR, flag.HANDSHAKE])
def test_gossip_without_a_real_address_does_not(rig: Rig, flags: int) -> None:
    rig.says("c", Ping, (rig.gossip("e", flags),))
    assert len(rig.coordinator.topology.nodes) == 3


def test_malformed_gossip_is_dropped_as_a_whole(rig: Rig) -> None:
    rig.says("c", Ping, (rig.gossip("e"), rig.gossip("e", id="x" * 40)))
    assert len(rig.coordinator.topology.nodes) == 3


def test_gossiped_pongs_spare_pings_unless_from_the_future(rig: Rig) -> None:
    before = rig.node("d").pong_received
    rig.now += 5000
    rig.says("c", Ping, (rig.gossip("d", pong_received=rig.now // 1000 + 2),))
    assert rig.node("d").pong_received == before
    rig.says("c", Ping, (rig.gossip("d", pong_received=rig.now // 1000),))
    assert rig.node("d").pong_received == rig.now // 1000 * 1000


def test_gossiped_pongs_of_a_suspect_count_for_nothing(rig: Rig) -> None:
    rig.says("d", Ping, (rig.gossip("c", flag.PFAIL),))
    before = rig.node("c").pong_received
    rig.now += 3000
    rig.says("d", Ping)
    rig.peers["1"] = Peer("1", of="d")
    rig.says("d", Ping, (rig.gossip("1"),))
    rig.says("1", Ping, (rig.gossip("c"),))
    assert rig.node("c").pong_received == before


def test_heartbeats_tell_each_about_three_others_at_least() -> None:
    others = [Peer(digit, str(n)) for n, digit in enumerate("123456789abcdef")]
    rig = Rig(Peer("0", "100-16383", 1), others)
    heard: set[str] = set()
    for _ in range(50):
        for peer in others:
            rig.answers(peer.name)
        rig.tick(100)
        rig.says("1", Ping)
        told = [entry.id for entry in rig.sent(Pong)[-1].gossip]
        assert len(set(told)) == len(told) == 4
        assert "0" * 40 not in told
        heard |= set(told)
    assert heard == {peer.id for peer in others}, "everybody is spoken of in time"


def test_in_the_smallest_cluster_each_hears_of_all() -> None:
    rig = Rig(Peer("0", "0-99", 1), [Peer("1", "100-199"), Peer("2", "200-16383")])
    rig.says("1", Ping)
    assert {entry.id[0] for entry in rig.sent(Pong)[-1].gossip} == {"1", "2"}


def test_heartbeats_carry_every_suspect() -> None:
    others = [Peer(digit, str(n)) for n, digit in enumerate("123456789ab")]
    rig = Rig(Peer("0", "100-16383", 1), others)
    rig.pass_time(2 * TIMEOUT, answering="123456")
    rig.sent(Pong)
    rig.says("1", Ping)
    (pong,) = rig.sent(Pong)
    assert {f"{name * 40}" for name in "789ab"} <= {e.id for e in pong.gossip if e.flags & flag.PFAIL}


def test_everybody_is_pinged_within_half_the_timeout(rig: Rig) -> None:
    pinged: set[str] = set()
    for _ in range(TIMEOUT // 2 // 100 + 1):
        rig.tick(100)
        pinged |= rig.receivers(Ping)
    assert pinged == {"c", "d"}


# --- extensions


def test_extensions_are_sent_to_those_who_read_them(rig: Rig) -> None:
    rig.settings.announce_hostname = "b.example"
    rig.settings.announce_human_nodename = "bee"
    rig.command("settings_changed")
    rig.says("c", Ping)
    (pong,) = rig.sent(Pong)
    assert pong.extensions == (Hostname("b.example"), HumanNodename("bee"), ShardId("b" + "0" * 39))
    assert pong.header.message_flags & EXT_DATA


def test_the_zone_is_told_to_those_who_know_zones(rig: Rig) -> None:
    rig.settings.availability_zone = "a"
    rig.command("settings_changed")
    zone, node = AvailabilityZone("a"), rig.node("c")
    for is_shoal, header_flags, told in ((False, 0, False), (False, flag.LIGHT, True), (True, 0, True)):
        rig.answers("c", message_flags=EXT_DATA | SHOAL * is_shoal, flags=node.flags | header_flags)
        rig.says("c", Ping, message_flags=EXT_DATA | SHOAL * is_shoal)
        assert (zone in rig.sent(Pong)[-1].extensions) is told


def test_extensions_follow_as_soon_as_an_answer_shows_that_they_are_read(rig: Rig) -> None:
    rig.node("c").flags &= ~flag.EXTENSIONS
    for times in (1, 0):
        rig.answers("c", message_flags=EXT_DATA)
        assert [pong.extensions for pong in rig.sent(Pong)] == [(ShardId(rig.me.shard_id),)] * times


def test_extensions_are_not_sent_to_old_servers() -> None:
    rig = Rig(B, [C])
    rig.node("c").flags &= ~flag.EXTENSIONS
    rig.says("c", Ping, message_flags=0)
    (pong,) = rig.sent(Pong)
    assert not pong.extensions


def test_names_are_taken_over_and_taken_back(rig: Rig) -> None:
    rig.says("c", Ping, (), (Hostname("c.example"), UnknownExtension(4, b"x" * 40)))
    assert rig.node("c").hostname == "c.example"
    rig.says("c", Ping)
    assert rig.node("c").hostname == ""


def test_where_clients_from_outside_go_is_told_to_shoal_members_only(rig: Rig) -> None:
    here, there = Outside("db.example", 7101, 0), Outside("::1", 7102, 7202)
    rig.settings.announce_outside = here
    rig.command("settings_changed")
    rig.says("c", Ping, (), (there,), message_flags=EXT_DATA | SHOAL)
    (pong,) = rig.sent(Pong)
    assert here in pong.extensions
    assert rig.node("c").outside == there
    rig.says("d", Ping, message_flags=EXT_DATA)
    (pong,) = rig.sent(Pong)
    assert here not in pong.extensions
    rig.says("c", Ping, message_flags=EXT_DATA | SHOAL)
    assert rig.node("c").outside is None, "it is taken back"


def test_a_primarys_shard_id_becomes_its_replicas() -> None:
    rig = Rig(B, [C, D, Peer("2", of="c")])
    rig.says("c", Ping, (), (ShardId("f" * 40),))
    assert rig.node("c").shard_id == "f" * 40
    rig.says("2", Ping, (), (ShardId("a" * 40),))
    assert rig.node("c").shard_id == "f" * 40, "a replica's word on it does not count"


# --- forgetting


def test_a_forgotten_node_is_banned_for_a_minute_and_others_are_told(rig: Rig) -> None:
    rig.command("forget", D.id)
    rig.says("c", Ping, (rig.gossip("d"),))
    assert len(rig.coordinator.topology.nodes) == 2
    (pong,) = rig.sent(Pong)
    assert ForgottenNode(D.id, 60) in pong.extensions
    assert rig.coordinator.topology.slots[16383] is None
    rig.command("forget", D.id)  # Said twice, it is already done.
    rig.now += 60_000
    rig.says("c", Ping, (rig.gossip("d"),))
    assert rig.node("d").ip == "127.0.0.1"


def test_the_ban_is_as_long_as_is_set(rig: Rig) -> None:
    rig.settings.blacklist_ttl = 5
    rig.command("forget", D.id)
    rig.now += 4_999
    rig.says("c", Ping, (rig.gossip("d"),))
    assert D.id not in rig.coordinator.topology.nodes
    rig.now += 1
    rig.says("c", Ping, (rig.gossip("d"),))
    assert D.id in rig.coordinator.topology.nodes


def test_others_can_tell_us_to_forget(rig: Rig) -> None:
    rig.says("c", Ping, (), (ForgottenNode(D.id, 30), ForgottenNode(B.id, 30)))
    assert set(rig.coordinator.topology.nodes) == {B.id, C.id}


def test_a_replica_does_not_forget_its_primary_on_hearsay() -> None:
    rig = Rig(Peer("1", of="c"), [B, C, D])
    rig.says("b", Ping, (), (ForgottenNode(C.id, 30),))
    assert C.id in rig.coordinator.topology.nodes


# --- published messages


def test_publish_goes_to_all_and_sharded_publish_to_the_shard() -> None:
    rig = Rig(B, [C, D, Peer("1", of="b"), Peer("2", of="c")])
    rig.do(rig.coordinator.publish(((b"news", b"x"), (b"news", b"y")), False, rig.now))
    assert rig.receivers(Published) == {"c", "d", "1", "2"}
    assert rig.coordinator.info()["cluster_stats_messages_publish_sent"] == 8
    rig.sent(Published)
    rig.do(rig.coordinator.publish(((b"news", b"x"),), True, rig.now))
    assert rig.receivers(Published) == {"1"}
    assert rig.coordinator.info()["cluster_stats_messages_publishshard_sent"] == 1


def test_published_messages_are_delivered_from_known_nodes_only(rig: Rig) -> None:
    rig.says("c", Publish, b"news", b"x")
    rig.says("c", PublishShard, b"news", b"y")
    rig.says("e", Publish, b"news", b"spam")
    delivered = rig.happened(fx.Deliver)
    assert delivered == [fx.Deliver(b"news", b"x", False), fx.Deliver(b"news", b"y", True)]


def test_light_messages_are_those_of_whom_the_link_is_known_to_come_from(rig: Rig) -> None:
    light = LightPublish(b"news", b"x", False)
    rig.do(rig.coordinator.step(light, LinkInfo(-99, "127.0.0.1", "127.0.0.1"), rig.now))
    assert not rig.happened(fx.Deliver), "nobody has said who that is"
    link = rig.node("c").link
    assert link is not None
    rig.do(rig.coordinator.step(light, LinkInfo(link, "127.0.0.1", "127.0.0.1"), rig.now))
    assert rig.happened(fx.Deliver) == [fx.Deliver(b"news", b"x", False)]


def test_light_messages_go_to_those_who_read_them(rig: Rig) -> None:
    rig.answers("c", flags=flag.PRIMARY | flag.LIGHT)
    rig.do(rig.coordinator.publish(((b"news", b"x"),), False, rig.now))
    assert {message.light for message in rig.sent(Published)} == {False, True}
    rig.answers("d", flags=flag.PRIMARY | flag.LIGHT)
    rig.do(rig.coordinator.publish(((b"news", b"x"),), False, rig.now))
    assert [message.light for message in rig.sent(Published)] == [True]


def test_who_answers_says_whether_it_knows_from_whom_the_link_comes(rig: Rig) -> None:
    rig.says("e", Ping)
    assert not rig.sent(Pong)[0].header.flags & flag.LIGHT, "it would not"
    rig.says("c", Ping)
    assert rig.sent(Pong)[0].header.flags & flag.LIGHT


def test_tls_clusters_swap_the_ports() -> None:
    rig = Rig(B, [C], tls_cluster=True, tls_port=7900)
    rig.says("c", Ping, port=7800, other_port=7801)
    assert (rig.node("c").tls_port, rig.node("c").tcp_port) == (7800, 7801)
    header = rig.sent(Pong)[-1].header
    assert (header.port, header.other_port) == (7900, rig.settings.port)
    gossip = Gossip(STRANGER.id, 0, 0, "127.0.0.1", 1, 2, flag.PRIMARY, 3)
    rig.says("c", Ping, (gossip._replace(other_port=3),), port=7800, other_port=7801)
    assert (rig.node("e").tls_port, rig.node("e").tcp_port) == (1, 3)
