"""The reactor's rules, on the event loop that waits by it and on one that watches each socket itself."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from node.core.wire import Wire
from node.event_loop import EventLoop, reactor_of

SECONDS = 10
OPEN: list[socket.socket] = []
"""The far ends, until the test is over."""


class Peer:
    """A protocol on one end of a socket pair; `far` is the other. What it is told it notes in a list."""

    def __init__(self, name: str = "", told: list[str] | None = None, room: int = 65536) -> None:
        self.name = name
        self.told = [] if told is None else told
        self.received = b""
        self.on_data: Callable[[], None] = lambda: None
        self.on_paused: Callable[[], None] = lambda: None
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self.drained: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._room = memoryview(bytearray(room))
        near, self.far = socket.socketpair()
        near.setblocking(False)
        self.far.setblocking(False)
        OPEN.append(self.far)
        self.wire = Wire(reactor_of(asyncio.get_running_loop()), near, self)
        self.wire.open()

    def connection_made(self, wire: Wire) -> None:
        self.told.append(f"{self.name} made")

    def get_buffer(self, hint: int) -> memoryview:
        return self._room

    def buffer_updated(self, count: int) -> None:
        self.told.append(f"{self.name} read")
        self.received += self._room[:count]
        self.on_data()

    def pause_writing(self) -> None:
        self.told.append(f"{self.name} waits")

    def resume_writing(self) -> None:
        self.drained.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set_result(error)

    async def heard(self, data: bytes) -> None:
        """Until so much has arrived at the other end."""
        loop = asyncio.get_running_loop()
        while data:
            part = await loop.sock_recv(self.far, 1 << 16)
            assert part
            assert data.startswith(part)
            data = data[len(part) :]


Scenario = Callable[[], Coroutine[Any, Any, None]]


def on_both(scenario: Scenario) -> Callable[..., None]:
    @pytest.mark.parametrize("new_loop", [EventLoop, asyncio.SelectorEventLoop])
    def test(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        _run(scenario, new_loop)

    test.__name__ = scenario.__name__
    return test


def on_ours(scenario: Scenario) -> Callable[[], None]:
    def test() -> None:
        _run(scenario, EventLoop)

    test.__name__ = scenario.__name__
    return test


def _run(scenario: Scenario, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_in_time(scenario()))
    for far in OPEN:
        far.close()
    OPEN.clear()


def _in_time(awaited: Awaitable[Any]) -> Coroutine[Any, Any, Any]:
    return asyncio.wait_for(awaited, SECONDS)


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@on_both
async def test_who_has_much_to_say_is_read_once_a_turn() -> None:
    told: list[str] = []
    loud, quiet = Peer("loud", told, room=1000), Peer("quiet", told)
    done = asyncio.get_running_loop().create_future()
    quiet.on_data = lambda: done.set_result(None)
    loud.far.send(b"x" * 50_000)
    quiet.far.send(b"y")
    await done
    assert told.count("loud read") <= 2
    asyncio.get_running_loop().call_soon(told.append, "callback")
    asyncio.get_running_loop().call_later(0, told.append, "timer")
    while len(loud.received) < 50_000:
        await asyncio.sleep(0)
    for other in ("callback", "timer"):
        assert "loud read" in told[told.index(other) :]


@on_ours
async def test_a_timer_comes_between_reads_that_follow_each_other() -> None:
    loop = asyncio.get_running_loop()
    peer, timer = Peer(room=1), loop.create_future()
    peer.on_data = lambda: peer.far.send(b"x") and None  # one more for each that was read: without an end
    peer.far.send(b"x")
    loop.call_later(0.02, timer.set_result, None)
    await timer
    assert len(peer.received) > 1


@on_both
async def test_a_callback_that_a_protocol_asks_for_needs_no_event() -> None:
    peer, called = Peer(), asyncio.get_running_loop().create_future()
    peer.on_data = lambda: asyncio.get_running_loop().call_soon(called.set_result, None) and None
    peer.far.send(b"x")
    await called


@on_both
async def test_descriptors_of_the_loop_are_told_of_as_ever() -> None:
    loop, peer = asyncio.get_running_loop(), Peer()
    reads, writes = os.pipe()
    heard = loop.create_future()
    loop.add_reader(reads, lambda: heard.done() or heard.set_result(os.read(reads, 10)))
    peer.on_data = lambda: os.write(writes, b"told") and None
    peer.far.send(b"x")
    assert await heard == b"told"
    assert loop.remove_reader(reads)
    os.close(reads)
    os.close(writes)


@on_both
async def test_what_the_socket_does_not_take_waits_in_order() -> None:
    peer = Peer()
    parts = [bytes([65 + number % 26]) * (1000 if number % 3 else 200_000) for number in range(30)]
    for part in parts:
        peer.wire.write(part)
    assert peer.wire.get_write_buffer_size() > 0
    assert peer.told.count(" waits") == 1
    await peer.heard(b"".join(parts))
    await peer.drained
    assert peer.wire.get_write_buffer_size() == 0


@on_both
async def test_closing_sends_what_waits_and_reads_no_more() -> None:
    peer = Peer()
    data = b"z" * 3_000_000
    peer.wire.write(data)
    peer.wire.close()
    peer.wire.write(b"too late")
    peer.far.send(b"unheard")
    assert not peer.lost.done()
    await peer.heard(data)
    assert await peer.lost is None
    assert peer.received == b""


@on_both
async def test_the_end_of_the_other_side_is_noticed() -> None:
    peer = Peer()
    peer.far.close()
    assert await peer.lost is None
    assert peer.wire.is_closing()
    assert peer.wire.get_extra_info("peername") is None


@on_ours
async def test_a_reset_is_noticed_though_nothing_is_read() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    dialled = socket.create_connection(listener.getsockname())
    accepted, _ = listener.accept()
    accepted.setblocking(False)
    peer = Peer()
    wire = Wire(reactor_of(asyncio.get_running_loop()), accepted, peer)
    wire.open()
    wire.pause_reading()
    dialled.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    dialled.close()
    await peer.lost
    listener.close()


@on_both
async def test_who_is_closed_gets_no_event_of_the_same_turn() -> None:
    first, second = Peer(), Peer()
    first.on_data = second.wire.abort
    second.on_data = first.wire.abort
    first.far.send(b"x")
    second.far.send(b"x")
    _, waiting = await asyncio.wait([first.lost, second.lost], return_when=asyncio.FIRST_COMPLETED)
    await turns()
    assert len(waiting) == 1
    assert sorted([first.received, second.received]) == [b"", b"x"]


@on_both
async def test_a_descriptor_serves_who_has_it_now() -> None:
    before = Peer()
    number = before.wire.descriptor
    before.wire.abort()
    await before.lost
    assert before.wire.descriptor == -1
    peers = [Peer() for _ in range(3)]
    assert number in [peer.wire.descriptor for peer in peers]
    heard = [asyncio.get_running_loop().create_future() for _ in peers]
    for peer, future in zip(peers, heard, strict=True):
        peer.on_data = lambda future=future: future.set_result(None)  # type: ignore[misc]
        peer.far.send(b"x")
    await asyncio.gather(*heard)


@on_both
async def test_a_socket_that_lives_on_in_a_child_is_not_watched() -> None:
    peer = Peer()
    inherited = os.dup(peer.wire.descriptor)
    far = peer.far.dup()
    peer.wire.abort()
    await peer.lost
    far.send(b"x")
    await turns()
    assert peer.received == b""
    os.close(inherited)
    far.close()


@on_both
async def test_a_bug_costs_the_connection_only() -> None:
    bad, good = Peer(), Peer()
    heard = asyncio.get_running_loop().create_future()
    bad.on_data = lambda: [][0]
    good.on_data = lambda: heard.set_result(None)
    bad.far.send(b"x")
    good.far.send(b"x")
    await heard
    await bad.lost
    assert not good.wire.is_closing()


@on_both
async def test_reading_can_wait() -> None:
    peer = Peer()
    peer.wire.pause_reading()
    peer.far.send(b"x")
    await turns()
    assert peer.received == b""
    heard = asyncio.get_running_loop().create_future()
    peer.on_data = lambda: heard.set_result(None)
    peer.wire.resume_reading()
    await heard
