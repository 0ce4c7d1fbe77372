"""The layer between a socket and a protocol, both ends in one process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from node.config import Config
from node.tls import transport as layer
from node.tls.connecting import connect
from node.tls.contexts import Contexts, build
from node.tls.transport import TlsTransport
from tests.harness.certificates import Authority
from tests.harness.wait import eventually_async


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> Contexts:
    authority = Authority(tmp_path_factory.mktemp("tls"))
    us = authority.issue("us")
    flags = ["--tls-cert-file", us.certificate, "--tls-key-file", us.key]
    return build(Config.from_args([*map(str, flags), "--tls-ca-cert-file", str(authority.own.certificate)]))


class Peer(asyncio.Protocol):
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.received = bytearray()
        self.waits = False
        self.ended = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data

    def pause_writing(self) -> None:
        self.waits = True

    def resume_writing(self) -> None:
        self.waits = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True


class Server:
    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts
        self.peer = Peer()
        self.reasons: list[str | None] = []
        self.port = 0
        self._server: Any = None

    def _make(self) -> TlsTransport:
        return TlsTransport(
            self.peer, self._contexts.clients, lambda _, reason: self.reasons.append(reason), serves=True
        )

    async def __aenter__(self) -> Server:
        self._server = await asyncio.get_running_loop().create_server(self._make, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def until(self, condition: Callable[[], Any]) -> None:
        async def holds() -> Any:
            return condition()

        await eventually_async(holds)


async def test_text_goes_both_ways_and_the_end_is_told(contexts: Contexts) -> None:
    async with Server(contexts) as server:
        client = Peer()
        await connect(lambda: client, "127.0.0.1", server.port, contexts.outgoing)
        client.transport.write(b"question")
        await server.until(lambda: server.peer.received == b"question")
        server.peer.transport.write(b"answer")
        server.peer.transport.write(b" and end")
        server.peer.transport.close()
        await server.until(lambda: client.ended and server.peer.ended)
        assert client.received == b"answer and end"
        assert server.reasons == [None]


async def test_who_does_not_read_is_waited_for_without_a_second_copy(contexts: Contexts) -> None:
    async with Server(contexts) as server:
        client = Peer()
        await connect(lambda: client, "127.0.0.1", server.port, contexts.outgoing)
        await server.until(lambda: server.peer.transport)
        client.transport.pause_reading()
        text = bytes(range(256)) * 100_000
        server.peer.transport.set_write_buffer_limits(high=0)
        server.peer.transport.write(text)
        assert server.peer.waits
        waiting = server.peer.transport.get_write_buffer_size()
        assert 0 < waiting < len(text) + layer.PIECE
        assert waiting > len(text) / 2
        server.peer.transport.close()  # once it has been sent
        client.transport.resume_reading()
        await server.until(lambda: client.ended)
        assert client.received == text


async def test_what_is_decrypted_already_waits_for_a_protocol_that_pauses(contexts: Contexts) -> None:
    async with Server(contexts) as server:
        client = Peer()
        await connect(lambda: client, "127.0.0.1", server.port, contexts.outgoing)
        await server.until(lambda: server.peer.transport)
        first: list[bytes] = []

        def take_and_pause(data: bytes) -> None:
            first.append(data)
            server.peer.transport.pause_reading()

        server.peer.data_received = take_and_pause  # type: ignore[method-assign]
        client.transport.write(b"x" * 3 * layer.RECEIVE_SIZE)
        await server.until(lambda: first)
        del server.peer.data_received  # type: ignore[method-assign]
        server.peer.transport.resume_reading()
        rest = 3 * layer.RECEIVE_SIZE - len(first[0])
        await server.until(lambda: len(server.peer.received) == rest)
        client.transport.abort()
        await server.until(lambda: server.peer.ended)


async def test_a_handshake_has_only_so_long(contexts: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer, "HANDSHAKE_SECONDS", 0.05)
    async with Server(contexts) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as silent:
            silent.setblocking(False)
            assert await asyncio.get_running_loop().sock_recv(silent, 1) == b""
        await server.until(lambda: server.reasons == ["no handshake in time"])
        assert server.peer.transport is None


async def test_who_connects_is_told_why_it_failed(contexts: Contexts) -> None:
    loop = asyncio.get_running_loop()
    plain = await loop.create_server(Greeter, "127.0.0.1", 0)
    port = plain.sockets[0].getsockname()[1]
    with pytest.raises(ConnectionError, match="TLS: wrong version number"):
        await connect(Peer, "127.0.0.1", port, contexts.outgoing)
    plain.close()
    with pytest.raises(OSError, match="Connect call failed"):
        await connect(Peer, "127.0.0.1", port, contexts.outgoing)


class Greeter(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        transport.write(b"-ERR I speak no TLS\r\n")
