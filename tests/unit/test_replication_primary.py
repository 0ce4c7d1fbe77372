"""What a primary does with its replicas, without sockets and without time passing."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from node.errors import ReplyError
from node.replication.backlog import Backlog
from node.replication.history import History
from node.replication.peers import Peer
from node.replication.primary import Primary


class FakeLink:
    def __init__(self) -> None:
        self.sent = b""
        self.pending_output = 0
        self.aborted = False
        self.closed = False

    def send(self, data: bytes) -> None:
        self.sent += data

    deliver_soon = send

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.closed = True


class FakeLog:
    def notice(self, text: str) -> None: ...
    def warning(self, text: str) -> None: ...


CONFIG = SimpleNamespace(
    client_output_buffer_limit={"slave": SimpleNamespace(hard=1000, soft=100, seconds=10)},
    repl_timeout=60,
    min_replicas_max_lag=10,
)


@pytest.fixture
def primary() -> Primary:
    made = Primary(CONFIG, FakeLog(), History())
    made.backlog = Backlog(100, 0)
    return made


def join(primary: Primary, number: int = 1, **options: bytes) -> tuple[Peer, FakeLink]:
    link = FakeLink()
    peer = primary.peer(number, link, "10.0.0.9", 0)
    for option, value in {"capa": b"psync2", **options}.items():
        assert primary.configure(peer, option.replace("_", "-"), value)
    return peer, link


def sync(primary: Primary, peer: Peer, wanted: str = "?", offset: int = -1) -> bool:
    return primary.synchronize(peer, wanted, offset, now=0)


def test_a_full_synchronization_from_asking_to_following(primary: Primary) -> None:
    peer, link = join(primary)
    primary.configure(peer, "capa", b"eof")
    primary.pass_on(b"before")
    assert not sync(primary, peer)
    assert primary.waiting() == [peer]
    primary.tick(now=1000)
    assert link.sent == b"\n"

    primary.snapshot_begins([peer], 6)
    assert link.sent == b"\n+FULLRESYNC %b 6\r\n" % primary._history.id.encode()
    peer.snapshot_started = True
    link.sent = b""
    primary.pass_on(b"during")
    primary.snapshot_ended(peer, "", now=2000)
    primary.pass_on(b" parked")
    assert link.sent == b""
    assert primary.online() == []

    primary.acknowledge(1, 6, 0, now=3000)
    assert link.sent == b"during parked"
    primary.pass_on(b" after")
    assert link.sent == b"during parked after"
    assert primary.online() == [peer]


def test_without_the_mark_it_follows_as_soon_as_all_was_sent(primary: Primary) -> None:
    peer, link = join(primary)
    sync(primary, peer)
    primary.snapshot_begins([peer], 0)
    primary.pass_on(b"during")
    link.sent = b""
    primary.snapshot_ended(peer, "", now=1)
    assert link.sent == b"during"


def test_nothing_comes_between_the_bytes_of_a_snapshot(primary: Primary) -> None:
    peer, link = join(primary)
    sync(primary, peer)
    primary.snapshot_begins([peer], 0)
    link.sent = b""
    primary.tick(now=1000)
    assert link.sent == b"\n"
    peer.snapshot_started = True
    primary.tick(now=2000)
    assert link.sent == b"\n"


def test_going_on_from_the_backlog(primary: Primary) -> None:
    primary.pass_on(b"0123456789")
    peer, link = join(primary)
    assert sync(primary, peer, primary._history.id, 6)
    assert link.sent == b"+CONTINUE %b\r\n56789" % primary._history.id.encode()
    assert primary.online() == [peer]
    assert primary.partial_ok == 1


def test_an_older_replica_is_not_told_the_id(primary: Primary) -> None:
    link = FakeLink()
    peer = primary.peer(1, link, "10.0.0.9", 0)
    assert sync(primary, peer, primary._history.id, 1)
    assert link.sent == b"+CONTINUE\r\n"


@pytest.mark.parametrize("offset", [0, 12, 10**15])
def test_offsets_the_backlog_does_not_have(primary: Primary, offset: int) -> None:
    primary.pass_on(b"0123456789")
    peer, _ = join(primary)
    assert not sync(primary, peer, primary._history.id, offset)
    assert primary.partial_refused == 1


def test_a_promoted_replica_serves_its_former_fellows(primary: Primary) -> None:
    primary.pass_on(b"0123456789")
    old = primary._history.id
    primary._history.shift(10)
    primary.pass_on(b"new")
    fellow, link = join(primary, 1)
    assert sync(primary, fellow, old, 11)
    assert link.sent.endswith(b"\r\nnew")
    ahead, _ = join(primary, 2)
    assert not sync(primary, ahead, old, 12)
    stranger, _ = join(primary, 3)
    assert not sync(primary, stranger, "f" * 40, 5)


def test_a_snapshot_that_failed_cuts_the_replica_off(primary: Primary) -> None:
    peer, link = join(primary)
    sync(primary, peer)
    primary.snapshot_begins([peer], 0)
    primary.snapshot_ended(peer, "no space", now=1)
    assert link.aborted


def test_who_wants_the_snapshot_alone_gets_no_stream(primary: Primary) -> None:
    peer, link = join(primary, rdb_only=b"1")
    sync(primary, peer)
    primary.snapshot_begins([peer], 0)
    primary.pass_on(b"x" * 5000)
    assert peer.unsent == 0
    primary.snapshot_ended(peer, "", now=1)
    assert link.closed


def test_a_replica_that_takes_nothing_is_cut_off_at_the_hard_limit(primary: Primary) -> None:
    peer, link = join(primary)
    sync(primary, peer)
    primary.snapshot_begins([peer], 0)
    peer.snapshot_started = True
    primary.pass_on(b"x" * 600)
    link.pending_output = 400
    primary.tick(now=1)
    assert not link.aborted
    link.pending_output = 401
    primary.tick(now=2)
    assert link.aborted
    assert primary.replicas() == []


def test_the_hard_limit_does_not_wait_for_the_next_tick(primary: Primary) -> None:
    peer, link = join(primary)
    sync(primary, peer)
    primary.snapshot_begins([peer], 0)
    for _ in range(10):
        primary.pass_on(b"x" * 100)
        assert not link.aborted
    primary.pass_on(b"x")
    assert link.aborted
    primary.pass_on(b"x" * 5000)
    assert peer.unsent == 0


def test_at_the_soft_limit_only_after_a_while(primary: Primary) -> None:
    primary.pass_on(b"0")
    peer, link = join(primary)
    sync(primary, peer, primary._history.id, 2)
    link.pending_output = 101
    for now in (0, 10_000):
        primary.tick(now)
        assert not link.aborted
    link.pending_output = 99
    primary.tick(10_500)
    link.pending_output = 101
    for now in (11_000, 21_000):
        primary.tick(now)
        assert not link.aborted
    primary.tick(21_001)
    assert link.aborted


def test_silence_ends_the_link_after_repl_timeout(primary: Primary) -> None:
    peer, link = join(primary)
    sync(primary, peer, primary._history.id, 1)
    primary.tick(60_000)
    assert not link.aborted
    primary.acknowledge(1, 0, 0, 60_000)
    primary.tick(120_000)
    assert not link.aborted
    primary.tick(120_001)
    assert link.aborted


def test_who_has_acknowledged_what(primary: Primary) -> None:
    for number in (1, 2, 3):
        peer, _ = join(primary, number)
        sync(primary, peer, primary._history.id, 1)
        primary.acknowledge(number, number * 10, number, now=number * 1000)
    primary.acknowledge(99, 1000, 0, now=0)
    assert [primary.acknowledged_by(offset) for offset in (10, 11, 30, 31)] == [3, 2, 1, 0]
    assert [primary.synced_by(offset) for offset in (1, 2, 3, 4)] == [3, 2, 1, 0]
    assert [primary.good_replicas(now) for now in (11_999, 12_000, 13_999, 14_000)] == [3, 2, 1, 0]


def test_acknowledgements_never_go_back(primary: Primary) -> None:
    peer, _ = join(primary)
    sync(primary, peer, primary._history.id, 1)
    primary.acknowledge(1, 10, 0, now=0)
    primary.acknowledge(1, 5, 0, now=0)
    assert peer.ack_offset == 10


def test_a_client_that_only_introduced_itself_is_no_replica(primary: Primary) -> None:
    join(primary)
    assert primary.replicas() == []
    assert primary.remove(1, now=5) is None
    assert primary.last_seen_any is None


def test_the_last_one_to_leave(primary: Primary) -> None:
    peer, _ = join(primary)
    sync(primary, peer)
    assert primary.remove(1, now=5) is peer
    assert primary.last_seen_any == 5


def test_options_of_replconf(primary: Primary) -> None:
    peer, _ = join(primary, listening_port=b"7002", ip_address=b"example.org", version=b"9.1.2")
    assert peer.name == "example.org:7002"
    assert not primary.configure(peer, "nonsense", b"1")
    with pytest.raises(ReplyError):
        primary.configure(peer, "listening-port", b"x")
