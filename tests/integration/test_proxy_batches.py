"""What the proxy sends together: requests to a near worker, and replies to what a client sent together.

A scripted worker answers when it is told to, and notes what each of its reads brought. The side of the proxy
that faces clients runs in the process of the test, with a patience that the test chooses.
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import socket
import termios
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import closing
from typing import Any

import pytest

from node.event_loop import new_event_loop, reactor_of
from proxy.core.client import Client
from proxy.core.connection import Turns
from proxy.core.limits import Limits
from proxy.core.routes import RouteTable, SlotMap
from proxy.core.upstream import Upstream
from tests.harness.fake_worker import FakeWorker
from tests.harness.proxies import ShoalProxy
from tests.harness.resp import Simple, encode
from tests.harness.wait import eventually

# --- requests --------------------------------------------------------------------------------------------


class SlowWorker(FakeWorker):
    """Commands on data are answered with OK while it is `willing`."""

    def __init__(self) -> None:
        self.willing = threading.Event()
        self.willing.set()
        self.reads: list[int] = []
        """How many commands on data each read brought."""
        self.connection: socket.socket
        """The one that brought the last."""
        super().__init__()

    def close(self) -> None:
        self.willing.set()
        super().close()

    @property
    def unread(self) -> int:
        """Bytes that have come, but were not read."""
        count = array.array("i", [0])
        fcntl.ioctl(self.connection, termios.FIONREAD, count)
        return count[0]

    def take(self, connection: socket.socket, requests: list[list[bytes]]) -> bool:
        formalities = [self.formality(argv) for argv in requests]
        if count := formalities.count(None):
            self.connection = connection
            self.reads.append(count)
            self.willing.wait()
        connection.sendall(b"".join(reply or b"+OK\r\n" for reply in formalities))
        return True


@pytest.fixture
def worker() -> Iterator[SlowWorker]:
    with closing(SlowWorker()) as running:
        yield running


@pytest.fixture
def proxy(worker: SlowWorker) -> Iterator[ShoalProxy]:
    with ShoalProxy([f"127.0.0.1:{worker.port}"], "--no-worker-sockets") as running:
        yield running


def run(steps: Coroutine[Any, Any, None]) -> None:
    """In a loop as the proxy's."""
    loop = new_event_loop()
    try:
        loop.run_until_complete(asyncio.wait_for(steps, 20))
    finally:
        loop.close()


async def hear(other: socket.socket) -> bytes:
    return await asyncio.get_running_loop().sock_recv(other, 65536)


def in_flight(proxy: ShoalProxy) -> int:
    return int(proxy.facts()["upstream0"].partition("in_flight=")[2].partition(",")[0])


def test_requests_gather_while_a_near_worker_has_some(proxy: ShoalProxy, worker: SlowWorker) -> None:
    clients = [proxy.resp() for _ in range(4)]
    assert clients[0].command("SET", "a", "0") == Simple("OK")
    worker.reads.clear()
    worker.willing.clear()
    for number, client in enumerate(clients, 1):
        client.send(encode("SET", f"key{number}", "x"))
        eventually(lambda number=number: in_flight(proxy) == number, "the proxy has the request")
    assert worker.reads == [1]
    worker.willing.set()
    assert [client.read() for client in clients] == [Simple("OK")] * 4
    assert worker.reads == [1, 3]
    for client in clients:
        client.close()


def test_many_requests_do_not_wait(proxy: ShoalProxy, worker: SlowWorker) -> None:
    with proxy.resp() as first, proxy.resp() as second:
        assert first.command("SET", "a", "0") == Simple("OK")
        worker.reads.clear()
        worker.willing.clear()
        first.send(encode("SET", "a", "x"))
        eventually(lambda: worker.reads == [1], "the worker has the first request")
        second.send(encode("SET", "a", "y" * 16384))
        eventually(lambda: worker.unread > 16384, "the second request is there before the first is answered")
        worker.willing.set()
        assert [first.read(), second.read()] == [Simple("OK")] * 2


class Pool:
    """Has the worker believed as soon as it is there."""

    keeps_requests = True

    def quiet(self, upstream: Upstream) -> None:
        upstream.go_on()

    def carried_out(self, upstream: Upstream, sink: object) -> None:
        """Asked while it is tried."""

    def lost(self, upstream: Upstream, requests: list[object]) -> None:
        """What was not answered goes with it."""


def test_a_request_that_was_torn_goes_on() -> None:
    """The socket takes all but a little of it, which does not wait for replies: there can be none before."""

    async def send(size: int) -> None:
        turns = Turns(reactor_of(asyncio.get_running_loop()))
        upstream = Upstream(turns, Pool(), "worker", 1, 2)
        ours, theirs = socket.socketpair()
        with theirs:
            ours.setblocking(False)
            theirs.setblocking(False)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
            upstream.connected(ours.detach())
            upstream.send(encode("PING"))
            assert await hear(theirs) == encode("PING")
            theirs.send(b"+PONG\r\n")
            while upstream.state_name != "up" or upstream.in_flight:
                await asyncio.sleep(0)
            request = encode("SET", "a", "x" * size)
            upstream.send(request)
            got = b""
            while len(got) < len(request):
                await asyncio.sleep(0)
                got += await hear(theirs)
            turns.close()

    async def send_many() -> None:
        for size in range(4000, 60000, 500):
            await send(size)

    run(send_many())


# --- replies ---------------------------------------------------------------------------------------------


class Service:
    """Has requests answered by the test."""

    def __init__(self) -> None:
        self.limits = Limits()
        self.hot_reads = None
        self.tags: list[int] = []

    def execute(self, client: Client, tag: int, argv: list[bytes], request: bytes | None) -> None:
        self.tags.append(tag)

    def client_closed(self, client: Client) -> None:
        """Nothing is kept of it."""


Talk = Callable[[Client, Service, socket.socket], Awaitable[None]]


def converse(talk: Talk, patience: float) -> None:
    """Run `talk` with a client of a proxy with that patience, and the other end of its connection."""

    async def with_client() -> None:
        service: Any = Service()
        turns = Turns(reactor_of(asyncio.get_running_loop()), None, patience)
        client = Client(turns, service, RouteTable([]), SlotMap(), 1)
        ours, theirs = socket.socketpair()
        with theirs:
            ours.setblocking(False)
            theirs.setblocking(False)
            client.open(ours.detach(), True)
            await talk(client, service, theirs)
            client.close()

    run(with_client())


async def ask(service: Service, other: socket.socket, count: int) -> list[int]:
    """Send so many requests at once; their tags, when the proxy has them."""
    loop = asyncio.get_running_loop()
    before = len(service.tags)
    await loop.sock_sendall(other, encode("ASK", "x") * count)
    while len(service.tags) < before + count:
        await asyncio.sleep(0)
    return service.tags[before:]


def test_replies_wait_for_the_others_of_their_read() -> None:
    async def talk(client: Client, service: Service, other: socket.socket) -> None:
        first, second, third = await ask(service, other, 3)
        (later,) = await ask(service, other, 1)
        client.complete(first, b"+1\r\n")
        client.complete(third, b"+3\r\n")
        for _ in range(3):  # turns of the loop
            await asyncio.sleep(0)
        with pytest.raises(BlockingIOError):
            other.recv(1000)
        client.complete(second, b"+2\r\n")
        assert await hear(other) == b"+1\r\n+2\r\n+3\r\n"  # and what was read later is not waited for
        client.complete(later, b"+4\r\n")
        assert await hear(other) == b"+4\r\n"

    converse(talk, patience=3600)


def test_replies_do_not_wait_for_long() -> None:
    async def talk(client: Client, service: Service, other: socket.socket) -> None:
        first, second = await ask(service, other, 2)
        client.complete(first, b"+1\r\n")
        assert await hear(other) == b"+1\r\n"
        client.complete(second, b"+2\r\n")
        assert await hear(other) == b"+2\r\n"

    converse(talk, patience=0.001)


def test_messages_and_large_replies_do_not_wait() -> None:
    async def talk(client: Client, service: Service, other: socket.socket) -> None:
        first, second, third = await ask(service, other, 3)
        client.complete(first, b"+1\r\n")
        client.tell(b">1\r\n+news\r\n")
        assert await hear(other) == b"+1\r\n>1\r\n+news\r\n"
        client.complete(second, b"$20000\r\n" + bytes(20000) + b"\r\n")
        assert (await hear(other)).startswith(b"$20000\r\n")
        client.complete(third, b"+3\r\n")

    converse(talk, patience=3600)
