"""A proxy of several processes: one to its clients, and replaced under their hands without a request lost."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from proxy.processes.directory import Directory
from proxy.processes.place import ID_BITS
from tests.harness.busy import busy
from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.proxies import ShoalProxy, resident_bytes
from tests.harness.resp import Error, Push, Resp, Simple, encode
from tests.harness.servers import Server
from tests.harness.wait import eventually

IDLE_BYTES = 5000
"""The most that an idle client may cost. Without giving back what a pipeline of 300 took it is 20,000."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with cluster_of(3, kind=["valkey", "shoal"], prepare=with_socket) as running:
        yield running


def with_socket(node: Server) -> Server:
    node.config["unixsocket"] = str(node.directory / "s")
    return node


@pytest.fixture(scope="module")
def proxy(cluster: RunningCluster) -> Iterator[ShoalProxy]:
    with ShoalProxy(cluster.addresses[:1], "--processes", "2", "--drain-timeout", "10000") as running:
        yield running


def processes(proxy: ShoalProxy) -> dict[int, int]:
    """Process id → how many clients it has, of those that serve."""
    with proxy.resp() as client:
        lines = client.command("INFO", "proxy").decode().splitlines()
    rows = [line.partition(":")[2].split(",") for line in lines if line.startswith("process")]
    return {int(pid.partition("=")[2]): int(clients.partition("=")[2]) for pid, clients in rows}


def reload(proxy: ShoalProxy) -> None:
    """Returns when the new processes serve and the former have ended."""
    former = set(processes(proxy))
    os.kill(proxy.pid, signal.SIGHUP)
    eventually(lambda: not any(map(is_there, former)), "the former processes end", timeout=30)
    eventually(lambda: len(processes(proxy)) == 2, "the new processes serve")


def is_there(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


@contextlib.contextmanager
def clients_of_both(proxy: ShoalProxy) -> Iterator[list[Resp]]:
    """The kernel decides who gets a connection: so many that each process has some."""
    with contextlib.ExitStack() as stack:
        found: list[Resp] = []

        def one_more() -> bool:
            found.append(stack.enter_context(proxy.resp(timeout=20)))
            return len({number_of(each) for each in found}) == 2

        eventually(one_more, "clients of both processes")
        yield found


def number_of(client: Resp) -> int:
    """Of the process that has accepted this connection."""
    return int(client.command("CLIENT", "ID")) >> ID_BITS


def listed(client: Resp) -> list[int]:
    lines = client.command("CLIENT", "LIST").decode().splitlines()
    return [int(line.split()[0].removeprefix("id=")) for line in lines]


def test_clients_of_all_processes_are_known_to_each(proxy: ShoalProxy) -> None:
    with clients_of_both(proxy) as clients:
        ids = [client.command("CLIENT", "ID") for client in clients]
        (killer, *_, victim) = clients
        assert number_of(killer) != number_of(victim)
        assert listed(killer) == listed(victim) == sorted(ids)
        assert f"connected_clients:{len(ids)}\r" in killer.command("INFO", "clients").decode()
        victim.send_command("BLPOP", "nothing", 0)
        eventually(lambda: killer.command("CLIENT", "UNBLOCK", ids[-1]) == 1, "it blocks, and is unblocked")
        victim.read()
        assert killer.command("CLIENT", "UNBLOCK", ids[-1]) == 0
        assert killer.command("CLIENT", "KILL", "ID", ids[-1]) == 1
        assert victim.read_until_closed() == b""
        assert listed(killer) == sorted(ids[:-1])
        assert killer.command("CLIENT", "KILL", "1.2.3.4:5") == Error("ERR No such client")
        with proxy.resp() as other:
            other.command("PING")
            host, port = other.socket.getsockname()
            assert killer.command("CLIENT", "KILL", f"{host}:{port}") == Simple("OK")


def test_a_process_that_dies_is_replaced_and_others_go_on(proxy: ShoalProxy) -> None:
    with clients_of_both(proxy) as clients:
        before = processes(proxy)
        numbers = [number_of(client) for client in clients]
        os.kill(next(iter(before)), signal.SIGKILL)
        eventually(
            lambda: len(processes(proxy)) == 2 and processes(proxy).keys() != before.keys(), "replaced"
        )
        alive = []
        for client in clients:
            with contextlib.suppress(EOFError, ConnectionError):
                alive.append(client.command("CLIENT", "ID") >> ID_BITS)
        assert len(set(alive)) == 1
        assert alive == [number for number in numbers if number in alive]


def test_reloads_lose_no_request_and_no_connection(proxy: ShoalProxy) -> None:
    """Three kinds of clients work meanwhile, none of which repeats anything: one stays connected and always
    has requests in flight, before it has read the replies to the former; one has pauses; one reconnects."""
    sent = answered = 0
    steady = proxy.resp(timeout=20)
    steady.command("CLIENT", "SETNAME", "steady")
    batch = b"".join(encode("INCR", f"count:{number}") for number in range(20))
    before = steady.command("CLIENT", "ID")

    def keep_in_flight() -> None:
        nonlocal sent, answered
        steady.send(batch)
        sent += 1
        if sent > answered + 1:
            answered += 1
            assert [steady.read() for _ in range(20)] == [answered] * 20

    with redis.Redis(proxy.host, proxy.port, retry=None, protocol=3) as plain:
        with busy(keep_in_flight), busy(lambda: plain.incr("plain")), busy(lambda: reconnecting(proxy)):
            for _ in range(3):
                reload(proxy)
        while answered < sent:
            answered += 1
            assert [steady.read() for _ in range(20)] == [answered] * 20
        assert int(plain.get("plain")) > 10
    assert steady.command("CLIENT", "ID") == before
    assert steady.command("CLIENT", "GETNAME") == b"steady"
    steady.close()


def reconnecting(proxy: ShoalProxy) -> None:
    with proxy.resp(timeout=20) as client:
        for number in range(5):
            assert client.command("ECHO", number) == b"%d" % number
            client.command("INCR", "reconnecting")


def test_subscribers_stay(proxy: ShoalProxy, cluster: RunningCluster) -> None:
    with proxy.resp(timeout=20) as old, proxy.resp(timeout=20) as new, proxy.resp(timeout=20) as many:
        assert old.command("SUBSCRIBE", "news") == [b"subscribe", b"news", 1]
        assert old.command("PSUBSCRIBE", "n*") == [b"psubscribe", b"n*", 2]
        new.command("HELLO", "3")
        new.command("SSUBSCRIBE", "shard")
        names = [f"{'long' * 200}{number}" for number in range(50)]
        many.send(encode("SUBSCRIBE", *names))
        assert [many.read()[2] for _ in names] == list(range(1, 51))
        reload(proxy)
        assert old.silent()
        proxy.run("PUBLISH", "news", "one")
        assert old.read() == [b"message", b"news", b"one"]
        assert old.read() == [b"pmessage", b"n*", b"news", b"one"]
        cluster.owner_of("shard").run("SPUBLISH", "shard", "two")
        assert new.read() == Push([b"smessage", b"shard", b"two"])
        for name in names:
            proxy.run("PUBLISH", name, "three")
            assert many.read() == [b"message", name.encode(), b"three"]
        assert old.command("GET", "a").prefix == "ERR", "it is still confined to what subscribers may say"
        assert old.command("UNSUBSCRIBE", "news") == [b"unsubscribe", b"news", 1]
        assert new.command("SUNSUBSCRIBE", "shard") == Push([b"sunsubscribe", b"shard", 0])


def test_what_a_killed_keeper_has_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    old = time.time() - 3600
    for name in ("shoal-proxy-left", "shoal-proxy-held", "shoal-proxy-fresh"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0").touch()
        if not name.endswith("fresh"):
            os.utime(tmp_path / name, (old, old))
    held = os.open(tmp_path / "shoal-proxy-held", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    own = Directory()
    try:
        assert {path.name for path in tmp_path.iterdir()} == {
            "shoal-proxy-held", "shoal-proxy-fresh", Path(own.path).name,
        }  # fmt: skip
    finally:
        own.remove()
        os.close(held)
    assert not Path(own.path).exists()


def test_who_is_in_the_middle_of_something_ends_it_first(proxy: ShoalProxy) -> None:
    with proxy.resp(timeout=20) as buyer, proxy.resp(timeout=20) as waiter, proxy.resp() as half:
        buyer.command("WATCH", "{a}price")
        buyer.command("MULTI")
        buyer.command("INCR", "{a}sold")
        waiter.send_command("BLPOP", "queue", 0)
        half.send(b"*2\r\n$4\r\nECHO\r\n$5\r\nhel")
        former = processes(proxy)
        reloads = proxy.log.count("new processes serve")
        os.kill(proxy.pid, signal.SIGHUP)
        eventually(lambda: proxy.log.count("new processes serve") > reloads, "the new processes serve")
        half.send(b"lo\r\n")
        assert half.read() == b"hello"
        assert half.command("PING") == Simple("PONG")
        assert buyer.command("EXEC") == [1]
        proxy.run("RPUSH", "queue", "job")
        assert waiter.read() == [b"queue", b"job"]
        assert waiter.command("PING") == Simple("PONG")
        eventually(lambda: not any(map(is_there, former)), "the former processes end")


def test_configuration_from_a_file_is_read_again(cluster: RunningCluster, tmp_path: Path) -> None:
    file = tmp_path / "proxy.conf"
    path = tmp_path / "socket"
    file.write_text(f"# before\nprocesses 1\nmaxclients 100\nunixsocket {path}\n")
    with FileProxy(cluster.addresses[:1], str(file)) as proxy:
        with proxy.resp() as client, Resp(0, path=str(path)) as local:
            assert client.command("CONFIG", "GET", "maxclients") == [b"maxclients", b"100"]
            file.write_text("processes none\n")
            os.kill(proxy.pid, signal.SIGHUP)
            eventually(lambda: "makes no sense" in proxy.log, "it is refused")
            file.write_text(f"processes 2\nmaxclients 200\nunixsocket {path}2\n")
            os.kill(proxy.pid, signal.SIGHUP)
            eventually(
                lambda: client.command("CONFIG", "GET", "maxclients") == [b"maxclients", b"200"], "new"
            )
            assert local.command("PING") == Simple("PONG")  # although nobody else is let in there any more
            eventually(lambda: not path.exists(), "the former socket is gone")
            with Resp(0, path=f"{path}2") as local:
                assert local.command("PING") == Simple("PONG")
            assert len(processes(proxy)) == 2
        pids = processes(proxy)
        assert proxy.stop() == 0
        assert not any(map(is_there, pids))
        assert not Path(f"{path}2").exists()


class FileProxy(ShoalProxy):
    """Its settings are in a file."""

    def command(self) -> list[str]:
        argv = super().command()
        argv.insert(3, argv.pop(argv.index(self.options[0])))
        return argv


def test_workers_of_this_machine_are_reached_by_sockets(cluster: RunningCluster, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with ShoalProxy(cluster.addresses[:1], "--unixsocket", str(path), "--unixsocketperm", "700") as proxy:
        assert path.stat().st_mode & 0o777 == 0o700
        with proxy.resp(timeout=20) as client:
            for number in range(50):
                assert client.command("SET", f"k{number}", number) == Simple("OK")
            assert {by_socket(node) for node in cluster.nodes} == {True}
            for node in cluster.nodes:  # then it has to come another way
                (node.directory / "s").rename(node.directory / "elsewhere")
                node.run("CLIENT", "KILL", "TYPE", "normal")
            for number in range(50):
                assert client.command("GET", f"k{number}") == b"%d" % number
            eventually(lambda: not any(map(by_socket, cluster.nodes)), "those that were killed are gone")
            for node in cluster.nodes:
                (node.directory / "elsewhere").rename(node.directory / "s")
    eventually(lambda: not any(map(by_socket, cluster.nodes)), "the workers have seen the proxy leave")
    with ShoalProxy(cluster.addresses[:1], "--no-worker-sockets") as proxy:
        for number in range(50):
            proxy.run("GET", f"k{number}")
        assert {by_socket(node) for node in cluster.nodes} == {False}


def by_socket(node: Server) -> bool:
    """Does anybody talk to this worker through its unix socket?"""
    return " flags=U " in node.run("CLIENT", "LIST").decode()


def test_a_port_that_is_taken_is_said(cluster: RunningCluster, proxy: ShoalProxy) -> None:
    second = ShoalProxy(cluster.addresses[:1], "--processes", "2", port=proxy.port)
    try:
        second.start(wait=False)
        assert second.process is not None
        assert second.process.wait(20) == 1
        assert f"cannot listen on 127.0.0.1:{proxy.port}: Address already in use" in second.log
    finally:
        second.close()


def test_idle_clients_cost_next_to_nothing(cluster: RunningCluster, report: Callable[[str], None]) -> None:
    """Whatever they did before: what the whole process has grown by, for each of them."""
    count = 5000 if os.environ.get("SHOAL_FULL") else 500
    enough = max(resource.getrlimit(resource.RLIMIT_NOFILE)[0], count + 1000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (enough, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    deep = b"".join(encode("GET", f"key:{number}") for number in range(300))
    proxy = ShoalProxy(cluster.addresses[:1])
    proxy.forked = False
    with proxy, contextlib.ExitStack() as stack:
        with proxy.resp() as first:
            first.send(deep)
            assert all(first.read_raw() == b"$-1\r\n" for _ in range(300))
        before = resident_bytes(proxy.pid)

        def each() -> float:
            return (resident_bytes(proxy.pid) - before) / count

        for client in [stack.enter_context(proxy.resp()) for _ in range(count)]:
            client.send(deep)
            assert client.socket.makefile("rb").read(300 * 5) == b"$-1\r\n" * 300
        eventually(lambda: each() < IDLE_BYTES, lambda: f"{each():.0f} bytes for each client")
        report(f"proxy: {each():.0f} bytes for each of {count} idle clients")


@pytest.mark.parametrize("options", [["--processes", "2"], []], ids=["several", "alone"])
def test_the_end_leaves_no_request_unanswered(cluster: RunningCluster, options: list[str]) -> None:
    """Not even of a client that always has requests in flight: all that was carried out is answered."""
    sent = answered = 0
    with ShoalProxy(cluster.addresses[:1], "--drain-timeout", "600", *options) as proxy:
        assert proxy.process is not None
        proxy.run("DEL", "ended")
        with (
            proxy.resp() as idle,
            proxy.resp(timeout=20) as eager,
            contextlib.suppress(ConnectionError, EOFError),
        ):
            while True:
                sent += 1
                with contextlib.suppress(ConnectionError):  # there are replies to be read, all the same
                    eager.send(encode("INCR", "ended"))
                if sent == 500:
                    proxy.process.terminate()
                    assert idle.read_until_closed() == b""
                if sent > answered + 20:
                    assert eager.read() == answered + 1
                    answered += 1
        assert proxy.process.wait(10) == 0
    assert answered >= 400
    assert int(redis.RedisCluster(*cluster.nodes[0].address.split(":")).get("ended")) == answered
