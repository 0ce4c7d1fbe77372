"""Bad input: the worker answers or closes as Redis does, holds little memory for it, and serves the others.

Most tests send raw bytes to ours and to redis-server, and compare all that comes back until the connection
closes or an ECHO behind them is answered.
"""

from __future__ import annotations

import contextlib
import random
import resource
import socket
from collections.abc import Iterator

import psutil
import pytest

from tests.harness.resp import Resp, Simple, encode
from tests.harness.servers import Oracle, Server, ShoalNode
from tests.harness.wait import eventually

MB = 1 << 20
TAIL = encode("ECHO", "still here")


def outcome(server: Server, raw: bytes, tail: bytes = TAIL, until: bytes = b"still here") -> bytes:
    """All that the server sends for `raw` and `tail` up to `until`, and `<closed>` if it closed first."""
    with Resp(server.port, timeout=3) as connection:
        # The server may close before it has read everything.
        with contextlib.suppress(ConnectionError):
            connection.send(raw + tail)
        received = b""
        while until not in received:
            try:
                chunk = connection.socket.recv(1 << 16)
            except ConnectionError:
                chunk = b""
            except TimeoutError:
                return received + b"<silent>"
            if not chunk:
                return received + b"<closed>"
            received += chunk
    return received


BROKEN = {
    "count is no number": b"*x\r\n",
    "count with sign": b"*+1\r\n$4\r\nPING\r\n",
    "count with space": b"* 1\r\n$4\r\nPING\r\n",
    "count empty": b"*\r\n",
    "count zero": b"*0\r\n",
    "count negative": b"*-1\r\n",
    "count very negative": b"*-99999999999999999999\r\n",
    "count over the limit": b"*2147483648\r\n",
    "count beyond 64 bits": b"*99999999999999999999\r\n",
    "bulk length is no number": b"*1\r\n$x\r\n",
    "bulk length negative": b"*1\r\n$-1\r\n",
    "bulk length empty": b"*1\r\n$\r\n",
    "bulk length over the limit": b"*1\r\n$536870913\r\n",
    "bulk length beyond 64 bits": b"*1\r\n$99999999999999999999\r\n",
    "bulk length with sign": b"*1\r\n$+4\r\nPING\r\n",
    "no bulk": b"*1\r\n:4\r\nPING\r\n",
    "no bulk but a byte that is no text": b"*1\r\n\xff4\r\nPING\r\n",
    "nested array": b"*1\r\n*1\r\n$4\r\nPING\r\n",
    "null bulk in the middle": b"*3\r\n$3\r\nSET\r\n$-1\r\n$1\r\nx\r\n",
    "empty command": b"*1\r\n$0\r\n\r\n",
    "inline unbalanced": b'ECHO "abc\r\n',
    "inline quotes": b'ECHO "a\\x41b"\r\n',
    "inline blank lines": b"\r\n\r\n  \r\n",
    "only line feed": b"PING\n",
    "resp3 map as a command": b"%1\r\n$4\r\nPING\r\n$1\r\nx\r\n",
    "a reply as a command": b"+OK\r\n",
    "HTTP without a host": b"GET / HTTP/1.0\r\n\r\n",
    "unknown with binary": encode(b"\x00\xff\r\n", b"\r\n-ERR x"),
    "long unknown": encode("n" * 1000, "a" * 1000, "b"),
    "wrong arity": encode("GET"),
    "bulk without its end": b"*1\r\n$4\r\nPINGxx",
}


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN.keys())
def test_broken_frames_end_as_with_the_oracle(
    redis_oracle: Oracle, shoal_node: ShoalNode, raw: bytes
) -> None:
    assert outcome(shoal_node, raw) == outcome(redis_oracle, raw)


# A line without end. Whether the server meets an end in the same read would be chance, so nothing follows.
ENDLESS = [b"a" * 66_000, b"*" + b"1" * 66_000, b"*1\r\n$" + b"1" * 66_000]


@pytest.mark.parametrize("raw", ENDLESS, ids=["inline", "count", "bulk length"])
def test_endless_lines_end_as_with_the_oracle(
    redis_oracle: Oracle, shoal_node: ShoalNode, raw: bytes
) -> None:
    answer = outcome(shoal_node, raw, tail=b"")
    assert answer == outcome(redis_oracle, raw, tail=b"")
    assert answer.endswith(b"<closed>")


@pytest.mark.parametrize("raw", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST / HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_a_browser_is_sent_away(redis_oracle: Oracle, shoal_node: ShoalNode, raw: bytes) -> None:
    assert outcome(redis_oracle, raw).endswith(b"<closed>")
    assert outcome(shoal_node, raw).endswith(b"<closed>")


@pytest.mark.parametrize(
    "raw",
    [
        b"*11\r\n",
        b"*10\r\n$16385\r\n",
        b"*2\r\n$4\r\nAUTH\r\n$16384\r\n" + b"x" * 16384 + b"\r\n",
        b"*1\r\n$16385\r\n",
        b"GET a\r\n",
    ],
)
def test_limits_before_authentication(raw: bytes) -> None:
    with ShoalNode(requirepass="secret") as ours, Oracle("redis", requirepass="secret") as oracle:
        assert outcome(ours, raw, until=b"NOAUTH") == outcome(oracle, raw, until=b"NOAUTH")


@pytest.mark.parametrize("seed", range(20))
def test_noise_gets_an_answer_or_the_door(shoal_node: ShoalNode, seed: int) -> None:
    """Random bytes, and random damage to good frames: whatever comes back, the worker lives on."""
    random_bytes = random.Random(seed)
    good = b"".join(encode("SET", f"k{i}", "v" * i) for i in range(20))
    damaged = bytearray(good)
    for _ in range(random_bytes.randrange(1, 8)):
        damaged[random_bytes.randrange(len(damaged))] = random_bytes.randrange(256)
    for raw in (random_bytes.randbytes(2000), bytes(damaged)):
        with Resp(shoal_node.port) as connection:
            with contextlib.suppress(ConnectionError):
                connection.send(raw)
            connection.socket.settimeout(0.05)
            with contextlib.suppress(TimeoutError, ConnectionError):
                connection.socket.recv(1 << 16)
        assert shoal_node.run("PING") == Simple("PONG")


@pytest.mark.parametrize("seed", range(5))
def test_any_cut_of_the_stream_gives_the_same_replies(shoal_node: ShoalNode, seed: int) -> None:
    cuts = random.Random(seed)
    script = b"".join(encode("ECHO", "x" * cuts.randrange(200)) for _ in range(30)) + b"PING\r\n\r\nPING\r\n"
    with Resp(shoal_node.port) as whole, Resp(shoal_node.port) as pieces:
        whole.send(script)
        at = 0
        while at < len(script):
            step = cuts.choice((1, 1, 2, 7, 100))
            pieces.send(script[at : at + step])
            at += step
        for _ in range(32):
            assert pieces.read_raw() == whole.read_raw()


# memory stays bounded


def resident(server: Server) -> int:
    return int(psutil.Process(server.pid).memory_info().rss)


@pytest.fixture
def node() -> Iterator[ShoalNode]:
    with ShoalNode() as server:
        server.run("PING")
        yield server


def test_announced_sizes_cost_nothing_until_the_bytes_come(node: ShoalNode) -> None:
    before = resident(node)
    openers = (
        b"*2\r\n$4\r\nECHO\r\n$536870912\r\nabc",
        b"*1000000\r\n$4\r\nMGET\r\n$1\r\nx\r\n",
        b"*2\r\n$4\r\nEC",
    )
    with contextlib.ExitStack() as stack:
        for opener in openers * 20:
            stack.enter_context(Resp(node.port)).send(opener)
        assert node.run("PING") == Simple("PONG")
        assert resident(node) - before < 32 * MB


def test_a_frame_larger_than_the_query_limit_is_cut_off(redis_oracle: Oracle) -> None:
    with ShoalNode(client_query_buffer_limit="1mb") as small:
        before = resident(small)
        with Resp(small.port) as connection:
            connection.send(b"*2\r\n$4\r\nECHO\r\n$104857600\r\n")
            with pytest.raises((ConnectionError, EOFError)):
                for _ in range(100):
                    connection.send(b"x" * MB)
                connection.read()
        assert small.run("PING") == Simple("PONG")
        assert resident(small) - before < 16 * MB


def test_a_client_that_never_reads_is_cut_off() -> None:
    with ShoalNode(client_output_buffer_limit=["normal", "4mb", "0", "0"]) as node:
        node.run("SET", "big", b"x" * MB)
        before = resident(node)
        with Resp(node.port, timeout=10) as deaf:
            deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            # The worker may cut the connection while we still send.
            with contextlib.suppress(ConnectionError, TimeoutError):
                deaf.send(encode("GET", "big") * 200)
            eventually(lambda: node.info("clients")["connected_clients"] == 1, "the deaf client is gone")
        assert resident(node) - before < 48 * MB


def test_a_client_that_never_reads_hinders_nobody(node: ShoalNode) -> None:
    node.run("SET", "big", b"x" * MB)
    with Resp(node.port) as deaf:
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.send(encode("GET", "big") * 20)
        with Resp(node.port) as other:
            for number in range(200):
                assert other.command("ECHO", number) == b"%d" % number


def test_half_a_frame_and_silence_is_ended_by_timeout() -> None:
    with ShoalNode(timeout="1") as node, Resp(node.port, timeout=10) as half:
        half.send(b"*2\r\n$4\r\nECHO\r\n$5\r\nhel")
        assert half.read_until_closed() == b""
        assert node.run("PING") == Simple("PONG")


# many connections

IDLE = 10_000


def test_thousands_of_idle_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = IDLE + 200
    assert hard == resource.RLIM_INFINITY or hard >= needed, f"needs {needed} open files; see ulimit -Hn"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    try:
        with ShoalNode(maxclients=str(IDLE + 50)) as node, contextlib.ExitStack() as stack:
            before = resident(node)
            for _ in range(IDLE):
                stack.enter_context(socket.create_connection(("127.0.0.1", node.port)))
            eventually(
                lambda: node.info("clients")["connected_clients"] > IDLE, "all are accepted", timeout=30
            )
            assert node.run("PING") == Simple("PONG")
            per_connection = (resident(node) - before) / IDLE
            assert per_connection < 8192, f"{per_connection:.0f} bytes for an idle connection"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_one_client_too_many_is_told_so() -> None:
    with ShoalNode(maxclients="3") as ours, Oracle("redis", maxclients="3") as oracle:
        for server in (ours, oracle):
            with contextlib.ExitStack() as stack:
                for _ in range(3):
                    assert stack.enter_context(server.resp()).command("PING") == Simple("PONG")
                with Resp(server.port) as refused:
                    assert refused.read_until_closed() == b"-ERR max number of clients reached\r\n"
            eventually(lambda s=server: s.run("PING") == Simple("PONG"), "there is room again")  # type: ignore[misc]
