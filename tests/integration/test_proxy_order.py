"""Order while a worker refuses: a scripted one shows what the proxy sends, and what it makes of replies."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.harness.fake_worker import FakeWorker
from tests.harness.proxies import ShoalProxy
from tests.harness.resp import Error, Simple, encode
from tests.harness.wait import eventually

HANG_UP = b""
DOWN = b"-CLUSTERDOWN The cluster is down\r\n"


class ScriptedWorker(FakeWorker):
    """Answers commands on data as `script` says, in order, and with OK after that."""

    def __init__(self) -> None:
        self.script: list[bytes] = []
        self.asked: list[bytes] = []
        self.lock = threading.Lock()
        super().__init__()

    def take(self, connection: socket.socket, requests: list[list[bytes]]) -> bool:
        for argv in requests:
            reply = self.formality(argv)
            if reply is None:
                reply = self._next(argv)
            if reply == HANG_UP:
                return False
            connection.sendall(reply)
        return True

    def _next(self, argv: list[bytes]) -> bytes:
        with self.lock:
            self.asked.append(argv[-1])
            return self.script.pop(0) if self.script else b"+OK\r\n"


@pytest.fixture
def worker() -> Iterator[ScriptedWorker]:
    with closing(ScriptedWorker()) as running:
        yield running


@pytest.fixture
def proxy(worker: ScriptedWorker) -> Iterator[ShoalProxy]:
    with ShoalProxy(
        [f"127.0.0.1:{worker.port}"], "--failover-wait", "1000", "--no-worker-sockets"
    ) as running:
        yield running


def sets(*values: str) -> bytes:
    return b"".join(encode("SET", "a", value) for value in values)


def test_refused_requests_go_again_in_their_order(proxy: ShoalProxy, worker: ScriptedWorker) -> None:
    with proxy.resp() as client:
        assert client.command("SET", "a", "0") == Simple("OK")
        worker.script = [DOWN, DOWN, b"-LOADING soon\r\n", DOWN, DOWN]
        client.send(sets("1", "2", "3"))
        eventually(lambda: len(worker.asked) >= 4, "all three are refused")
        client.send(sets("4", "5"))
        assert [client.read() for _ in range(5)] == [Simple("OK")] * 5
    assert [word.decode() for word in worker.asked] == list("01231112345")


def test_what_has_been_overtaken_is_not_sent_again(proxy: ShoalProxy, worker: ScriptedWorker) -> None:
    with proxy.resp() as client, proxy.resp() as other:
        assert client.command("SET", "a", "1") == Simple("OK")
        worker.script = [DOWN, b"+OK\r\n", DOWN]
        client.send(sets("2", "3", "4"))
        assert client.read() == Error("CLUSTERDOWN The cluster is down")
        assert [client.read(), client.read()] == [Simple("OK")] * 2
        assert worker.asked == [b"1", b"2", b"3", b"4", b"4"]
        assert other.command("SET", "a", "5") == Simple("OK")


def test_a_job_of_the_same_client_counts_too(proxy: ShoalProxy, worker: ScriptedWorker) -> None:
    with proxy.resp() as client:
        assert client.command("SET", "a", "0") == Simple("OK")
        worker.script = [DOWN, b"+OK\r\n"]
        client.send(encode("MSET", "a", "1", "{a}", "2") + sets("3"))
        assert client.read() == Error("CLUSTERDOWN The cluster is down")
        assert client.read() == Simple("OK")


def test_a_worker_that_keeps_refusing_is_believed_in_the_end(
    proxy: ShoalProxy, worker: ScriptedWorker
) -> None:
    with proxy.resp(timeout=20) as client:
        worker.script = [DOWN] * 1000
        assert client.command("SET", "a", "1") == Error("CLUSTERDOWN The cluster is down")
        assert 3 < len(worker.asked) < 60
        assert client.command("SET", "a", "2") == Error("CLUSTERDOWN The cluster is down")
        worker.script = []
        assert client.command("SET", "a", "3") == Simple("OK")


def test_a_request_for_which_workers_end_is_given_up(proxy: ShoalProxy, worker: ScriptedWorker) -> None:
    with proxy.resp(timeout=20) as client:
        assert client.command("SET", "a", "0") == Simple("OK")
        worker.script = [HANG_UP, HANG_UP, HANG_UP]
        client.send(sets("1", "2"))
        assert client.read() == Error(f"ERR upstream connection lost: 127.0.0.1:{worker.port}")
        assert client.read() == Simple("OK")
    assert worker.asked.count(b"1") == 3
