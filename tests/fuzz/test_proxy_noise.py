"""Noise at the proxy's door: it answers or closes as Redis does, keeps its memory, and serves the others."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

import pytest

from tests.harness.clusters import cluster_of
from tests.harness.proxies import ShoalProxy, resident_bytes
from tests.harness.resp import Resp, Simple, encode
from tests.harness.servers import Oracle

ROUNDS = 150


@pytest.fixture(scope="module")
def proxy() -> Iterator[ShoalProxy]:
    with cluster_of(3, kind="valkey") as cluster, ShoalProxy(cluster.addresses) as running:
        yield running


def pieces(rng: random.Random) -> bytes:
    """One message: binary noise, a damaged request, or RESP with wild numbers."""
    kind = rng.randrange(6)
    if kind == 0:
        return rng.randbytes(rng.randrange(1, 400))
    if kind == 1:
        return b"*%d\r\n$%d\r\n" % (rng.randrange(-5, 2**40), rng.randrange(-5, 2**40))
    if kind == 2:
        return b"*1\r\n$%d\r\nabc\r\n" % rng.choice([-1, 0, 2, 4, 2**31, 2**63])
    request = bytearray(encode(*rng.choice([("GET", "a"), ("MSET", "a", "1", "b", "2"), ("ECHO", "x" * 50)])))
    if kind == 3:
        del request[rng.randrange(len(request)) :]
    elif kind == 4:
        request[rng.randrange(len(request))] = rng.randrange(256)
    return bytes(request)


def test_noise_does_not_reach_the_workers(proxy: ShoalProxy) -> None:
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    print(f"seed {seed}")
    with proxy.resp() as neighbour:
        for number in range(ROUNDS):
            with proxy.resp() as client:
                client.send(b"".join(pieces(rng) for _ in range(rng.randrange(1, 5))))
                client.socket.shutdown(socket.SHUT_WR)
                client.read_until_closed()
            assert neighbour.command("SET", "neighbour", number) == Simple("OK")
            assert neighbour.command("GET", "neighbour") == b"%d" % number
    facts = proxy.facts()
    assert "lost" not in proxy.log, "a worker closed the shared connection on what a client sent"
    assert all("state=down" not in value for value in facts.values())


def test_broken_frames_are_answered_as_redis_answers(proxy: ShoalProxy, redis_server: Oracle) -> None:
    vectors = [
        b"*3\r\n$3\r\nSET\r\n$-5\r\n",
        b"*3\r\n$3\r\nSET\r\n:1\r\n",
        b"*a\r\n",
        b"*1\r\n$a\r\n",
        b"*1000000000000\r\n",
        b"$3\r\nfoo\r\n",
        b"GET 'x\r\n",
        b"nonsense\r\n",
        b"\r\n\r\nPING\r\n",
        b"*0\r\nPING\r\n",
        b"*-3\r\n*1\r\n$4\r\nPING\r\n",
        b'ECHO "\\x41\\x0"\r\n',
        b"PING\nPING\r\n",
    ]
    for raw in vectors:
        assert answer(proxy.port, raw) == answer(redis_server.port, raw), raw


def answer(port: int, raw: bytes) -> bytes:
    with Resp(port) as client:
        client.send(raw)
        client.socket.shutdown(socket.SHUT_WR)
        return client.read_until_closed()


def test_a_big_header_allocates_nothing(proxy: ShoalProxy) -> None:
    before = resident_bytes(proxy.pid)
    clients = [proxy.resp() for _ in range(50)]
    for client in clients:
        client.send(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$500000000\r\nx")
    assert proxy.run("PING") == Simple("PONG")
    assert resident_bytes(proxy.pid) - before < 20_000_000
    for client in clients:
        client.close()


def test_idle_connections_are_cheap(proxy: ShoalProxy) -> None:
    before = resident_bytes(proxy.pid)
    clients = [proxy.resp() for _ in range(400)]
    for client in clients:
        client.send(encode("SET", "idle", "1"))
    assert [client.read() for client in clients] == [Simple("OK")] * 400
    per_client = (resident_bytes(proxy.pid) - before) / len(clients)
    assert per_client < 16_000, f"{per_client:.0f} bytes per idle client"
    for client in clients:
        client.close()
