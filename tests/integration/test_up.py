"""`shoal up`: from nothing to a served cluster and back, and what it says when it cannot."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from cluster.operations.link import Credentials
from cluster.supervisor.login import login_from
from tests.harness.ports import BUS_OFFSET, lease_consecutive, lease_port, release_port
from tests.harness.servers import oracle_binary
from tests.harness.shoal_command import shoal
from tests.harness.shoal_up import SERVED, RunningUp
from tests.harness.wait import eventually


@pytest.fixture(scope="module")
def ports() -> Iterator[tuple[int, int]]:
    """(first of six neighbouring ports, another)"""
    first, other = lease_consecutive(6), lease_port()
    yield first, other
    for port in (*range(first, first + 6), other):
        release_port(port)


@pytest.fixture
def cluster(tmp_path: Path, ports: tuple[int, int]) -> Iterator[RunningUp]:
    """Ours, not started: six workers and a proxy."""
    running = RunningUp(tmp_path / "data", *ports)
    yield running
    running.close()


@pytest.fixture
def small(tmp_path: Path, ports: tuple[int, int]) -> Iterator[RunningUp]:
    """Valkeys instead of workers, and no proxy: for what concerns the supervisor alone."""
    running = RunningUp(
        tmp_path / "data",
        *ports,
        "--proxies",
        0,
        "--worker-program",
        oracle_binary("valkey"),
        "--port",
        ports[0],
    )
    yield running
    running.close()


@pytest.fixture
def guarded(tmp_path: Path, ports: tuple[int, int]) -> Iterator[RunningUp]:
    """Valkeys with a password, replicas among them, behind our proxy."""
    program = ["--worker-program", oracle_binary("valkey")]
    running = RunningUp(tmp_path / "data", *ports, *program, "--", "--requirepass", "secret")
    yield running
    running.close()


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_whole_cluster_with_proxy_serves_and_resumes(cluster: RunningUp) -> None:
    cluster.start(*cluster.first_port_options)
    table = cluster.log
    assert table.count(" worker ") == 6
    assert all(slots in table for slots in ("0-5460", "5461-10922", "10923-16383"))
    assert f"127.0.0.1:{cluster.proxy_port}" in table
    before = cluster.nodes()
    with redis.Redis("127.0.0.1", cluster.proxy_port) as plain, cluster.cluster_client() as aware:
        for n in range(100):
            plain.set(f"key:{n}", n)
        assert [aware.get(f"key:{n}") for n in range(100)] == [b"%d" % n for n in range(100)]
        with redis.Redis("127.0.0.1", cluster.port) as worker:
            path = worker.config_get("unixsocket")["unixsocket"]  # by which the proxy came
            assert f"laddr={path}:0" in str(worker.execute_command("CLIENT", "LIST"))
    assert shoal("check", f"127.0.0.1:{cluster.port}", "--json").json["ok"]
    assert cluster.stop() == 0

    cluster.start()  # the directory knows all the rest
    assert cluster.nodes() == before
    with redis.Redis("127.0.0.1", cluster.proxy_port) as plain:
        assert [plain.get(f"key:{n}") for n in range(100)] == [b"%d" % n for n in range(100)]
    assert cluster.stop(signal.SIGTERM) == 0


def test_by_tls_with_figures_and_lines_of_json(tmp_path: Path, ports: tuple[int, int]) -> None:
    """What else a whole cluster can be asked for, at once."""
    first, proxy = ports
    proxy_figures = first + 3 + BUS_OFFSET  # a bus port that no worker needs here
    metrics = [str(first + 3), "--proxy-metrics-port", str(proxy_figures)]
    running = RunningUp(tmp_path / "data", first, proxy, "--workers", 3, "--metrics-port", *metrics)
    try:
        running.start(*running.first_port_options, "--tls", "--json-lines")
        files = tmp_path / "data" / "tls"
        assert {path.stat().st_mode & 0o77 for path in files.glob("*.key")} == {0}
        ours = (
            "--cacert",
            files / "ca.crt",
            "--cert",
            files / "client.crt",
            "--cert-key",
            files / "client.key",
        )
        assert shoal("check", f"127.0.0.1:{first}", *ours).out.startswith("ok")
        by_tls = {
            "ssl": True,
            "ssl_ca_certs": str(files / "ca.crt"),
            "ssl_certfile": str(files / "client.crt"),
            "ssl_keyfile": str(files / "client.key"),
        }
        with redis.Redis("127.0.0.1", proxy, **by_tls) as client:
            assert client.set("a", 1) and client.get("a") == b"1"
            assert client.config_get("tls-cluster") == {"tls-cluster": "yes"}
        with redis.Redis("127.0.0.1", first) as plain, pytest.raises(redis.ConnectionError):
            plain.ping()
        assert all(map(is_listening, (first + 3, first + 4, first + 5, proxy_figures)))
        assert running.stop() == 0
        lines = [json.loads(line) for line in running.log.splitlines() if line.startswith("{")]
        assert {line["process"] for line in lines} == {"shoal", "proxy", *map(str, range(first, first + 3))}
        assert not [line for line in lines if "bug" in line["message"]]
    finally:
        running.close()


def test_killed_primaries_are_succeeded_and_come_back_as_replicas(cluster: RunningUp) -> None:
    cluster.start(*cluster.first_port_options)
    _one_is_killed(cluster)
    _all_are_killed_together(cluster)
    assert cluster.stop() == 0


def _one_is_killed(cluster: RunningUp) -> None:
    with cluster.cluster_client() as client:
        assert client.set("key", "value")
        victim = client.get_node_from_key("key").port
        client.execute_command("WAIT", 1, 5000, target_nodes=client.get_node_from_key("key"))
    cluster.worker(victim).kill()

    def is_replica() -> bool:
        with redis.Redis("127.0.0.1", victim) as client:
            return client.info("replication")["role"] == "slave"

    eventually(is_replica, lambda: f"worker {victim} back as a replica:\n{cluster.log}", timeout=30)
    with redis.Redis("127.0.0.1", cluster.proxy_port) as plain:
        eventually(lambda: plain.get("key") == b"value", "the value survived its primary")
    assert f"has taken over from worker {victim}" in cluster.log


def _all_are_killed_together(cluster: RunningUp) -> None:
    """No majority is left to elect anybody, and their snapshots know nothing of the keys."""
    told = len(cluster.log)
    with cluster.cluster_client() as client:
        for n in range(100):
            client.set(f"key:{n}", n)
        for primary in client.get_primaries():
            client.execute_command("WAIT", 1, 5000, target_nodes=primary)
        victims = [primary.port for primary in client.get_primaries()]
    for victim in [cluster.worker(port) for port in victims]:
        victim.kill()
    taken = [f"has taken over from worker {port}" for port in victims]
    eventually(lambda: all(words in cluster.log[told:] for words in taken), lambda: cluster.log, timeout=40)

    def all_there() -> bool:
        with cluster.cluster_client() as client:
            return [client.get(f"key:{n}") for n in range(100)] == [b"%d" % n for n in range(100)]

    eventually(all_there, "every key is there", timeout=30)


def test_children_are_restarted_and_never_outlive_the_supervisor(small: RunningUp) -> None:
    small.start("--workers", 3)
    first = small.worker(small.port).pid
    os.kill(first, signal.SIGKILL)
    eventually(lambda: small.worker(small.port).pid != first and is_listening(small.port), "a new worker")
    children = small.children()
    assert len(children) == 3
    assert small.process is not None
    small.process.kill()
    small.process.wait()
    eventually(lambda: not any(child.is_running() for child in children), "no worker left behind")
    small.start()  # the lock died with its holder
    assert small.stop() == 0


def test_a_directory_has_one_supervisor_and_one_shape(small: RunningUp) -> None:
    small.start("--workers", 3)
    assert small.process is not None
    second = shoal("up", "--dir", small.directory, code=2)
    assert f"is in use by another `shoal up` (pid {small.process.pid})" in second.error_line
    assert small.stop() == 0
    other = shoal("up", "--dir", small.directory, "--replicas", 1, code=2)
    assert "has --replicas 0, not 1: leave the option out" in other.error_line
    assert remembered(small)["formed"] is True


def test_a_signal_that_arrives_twice_still_saves(small: RunningUp) -> None:
    small.start("--workers", 3)
    with small.cluster_client() as client:
        assert client.set("key", "value")
    assert small.process is not None
    small.process.send_signal(signal.SIGINT)
    small.process.send_signal(signal.SIGTERM)
    assert small.process.wait(20) == 0
    small.start()
    with small.cluster_client() as client:
        assert client.get("key") == b"value"
    assert small.stop() == 0


def test_a_start_that_is_interrupted_leaves_nothing(small: RunningUp) -> None:
    small.start("--workers", 3, wait=False)
    eventually(lambda: is_listening(small.port), "the first worker")
    assert small.process is not None
    small.process.send_signal(signal.SIGINT)
    small.process.wait(20)
    if SERVED not in small.log:
        assert not small.directory.exists()


def test_a_start_that_never_ended_is_begun_again(small: RunningUp) -> None:
    """As after a power cut between the first worker and the finished cluster."""
    stale = small.directory / f"worker-{small.port}"
    stale.mkdir(parents=True)
    (stale / "nodes.conf").write_text("half a cluster")
    state = {"format": 1, "formed": False, "workers": 3, "replicas": 0, "port": small.port}
    (small.directory / "shoal.json").write_text(json.dumps(state))
    small.start("--workers", 3)
    assert len(small.nodes()) == 3
    assert small.stop() == 0


class TestRefusals:
    """One clear line, code 2, nothing left behind."""

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--workers", "2"], "needs at least 3, so that a majority is left"),
            (["--workers", "4", "--replicas", "1"], "give --workers 6 or more"),
            (["--port", "60000"], "must all be between 1 and 65535"),
            (["--port", "7001", "--proxy-port", "7002"], "--proxy-port 7002 is also a port of a worker"),
            (["--port", "7001", "--proxy-port", "17002"], "--proxy-port 17002 is also a port of a worker"),
            (["--worker-program", "no-such-program"], "no such program"),
            (["--workers", "many"], "Invalid value for '--workers'"),
        ],
    )
    def test_impossible_settings(self, tmp_path: Path, options: list[str], words: str) -> None:
        refused = shoal("up", "--dir", tmp_path / "new" / "data", *options, code=2)
        assert words in refused.error_line
        assert not (tmp_path / "new").exists()

    @pytest.mark.parametrize(("offset", "what"), [(2, "worker"), (BUS_OFFSET + 1, "cluster bus of worker")])
    def test_a_port_in_use(self, tmp_path: Path, ports: tuple[int, int], offset: int, what: str) -> None:
        first, proxy = ports
        with socket.socket() as holder:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", first + offset))
            holder.listen()
            refused = shoal("up", "--dir", tmp_path / "data", "--port", first, "--proxy-port", proxy, code=2)
        assert f"port {first + offset} ({what}" in refused.error_line
        assert "address already in use; choose another --port" in refused.error_line
        assert not (tmp_path / "data").exists()

    def test_the_proxy_port_in_use(self, tmp_path: Path, ports: tuple[int, int]) -> None:
        first, proxy = ports
        with socket.socket() as holder:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", proxy))
            holder.listen()
            refused = shoal("up", "--dir", tmp_path / "data", "--port", first, "--proxy-port", proxy, code=2)
        assert f"port {proxy} (proxy)" in refused.error_line
        assert not (tmp_path / "data").exists()

    def test_a_directory_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("not a directory")
        refused = shoal("up", "--dir", tmp_path / "file" / "data", code=2)
        assert f"cannot use {tmp_path}/file/data: not a directory" in refused.error_line

    def test_a_directory_that_may_not_be_written(self) -> None:
        """Not even root may make directories in /sys."""
        refused = shoal("up", "--dir", "/sys/shoal-data", code=2)
        assert re.search(r"permission denied|not permitted|read-only", refused.error_line)

    def test_a_directory_of_somebody_else(self, tmp_path: Path, ports: tuple[int, int]) -> None:
        first, proxy = ports
        precious = tmp_path / f"worker-{first}" / "precious"
        precious.parent.mkdir()
        precious.write_text("data")
        refused = shoal("up", "--dir", tmp_path, "--port", first, "--proxy-port", proxy, code=2)
        assert "holds no cluster of `shoal up`" in refused.err
        assert precious.read_text() == "data"
        assert sorted(path.name for path in tmp_path.iterdir()) == [f"worker-{first}"]

    def test_a_worker_that_does_not_start_says_why(self, small: RunningUp) -> None:
        outcome = shoal("up", "--dir", small.directory, *small.options, "--", "--maxmemory", "lots", code=2)
        assert f"worker {small.port} ended with code 1 while starting: argument must be" in outcome.error_line
        assert not small.directory.exists()


def remembered(up: RunningUp) -> dict[str, Any]:
    """What the next `shoal up` of the directory goes by."""
    settings: dict[str, Any] = json.loads((up.directory / "shoal.json").read_text())
    return settings


def test_more_workers_join_and_get_their_share(small: RunningUp) -> None:
    """And one that is taken out is not started again."""
    small.start("--workers", 3)
    with small.cluster_client() as client:
        for n in range(100):
            client.set(f"key:{n}", n)
    assert small.stop() == 0
    small.start("--workers", 4)
    eventually(lambda: "moved 4096 slots" in small.log, lambda: small.log, timeout=30)
    assert shoal("check", f"127.0.0.1:{small.port}", "--json", code=None).json["ok"]
    with small.cluster_client() as client:
        assert [client.get(f"key:{n}") for n in range(100)] == [b"%d" % n for n in range(100)]
        assert len(client.get_primaries()) == 4
    eventually(lambda: remembered(small)["newcomers"] == [], "the supervisor has seen that it has slots")

    leaver = small.port + 1
    shoal("del-node", leaver, f"127.0.0.1:{small.port}", "--shutdown", "--yes", "--json")
    eventually(lambda: f"worker {leaver} has left the cluster" in small.log, lambda: small.log)
    assert small.stop() == 0
    kept = remembered(small)
    assert (kept["ports"], kept["newcomers"]) == ([small.port + each for each in (0, 2, 3)], [])
    fewer = shoal("up", "--dir", small.directory, "--workers", 2, *small.options, code=2).error_line
    assert "has --workers 3, and 2 would be fewer" in fewer


def test_a_password_for_all(guarded: RunningUp) -> None:
    """Replicas, proxy and supervisor log in; who does not is let in nowhere."""
    guarded.start(*guarded.first_port_options, "--json", wait=False)
    eventually(lambda: "}\n" in guarded.log, lambda: f"the table as JSON:\n{guarded.log}", timeout=60)
    table = json.loads(next(line for line in guarded.log.splitlines() if line.startswith("{")))
    assert (table["slots_served"], len(table["endpoints"])) == (16384, 7)
    address = f"127.0.0.1:{guarded.port}"
    assert shoal("check", address, "-a", "secret", "--json").json["ok"]
    for port in (guarded.port, guarded.proxy_port):
        with redis.Redis("127.0.0.1", port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.get("a")
    with redis.Redis("127.0.0.1", guarded.proxy_port, password="secret") as plain:
        plain.set("a", "b")
        assert plain.get("a") == b"b"
    assert guarded.process is not None
    supervisor = psutil.Process(guarded.process.pid)
    shown = [word for each in (supervisor, *guarded.children()) for word in each.cmdline()]
    assert "--requirepass" in shown and not any("secret" in word for word in shown)
    _one_that_lost_what_it_knew_is_replaced(guarded)


def _one_that_lost_what_it_knew_is_replaced(up: RunningUp) -> None:
    with redis.Redis("127.0.0.1", up.port, password="secret") as client:
        lost = client.execute_command("CLUSTER MYID").decode()
    (up.directory / f"worker-{up.port}" / "nodes.conf").write_text("no such file")
    up.worker(up.port).kill()
    eventually(lambda: f"has taken over from worker {up.port}" in up.log, "a replica takes over")
    forgotten = f"member {lost} is gone for good, and forgotten"
    eventually(lambda: forgotten in up.log, lambda: up.log, timeout=40)
    assert f"worker {up.port} cannot be started: a fresh one takes its place" in up.log
    assert list(up.directory.glob(f"worker-{up.port}.lost-*/nodes.conf"))
    table = shoal("nodes", f"127.0.0.1:{up.port}", "-a", "secret", "--json").json
    assert [len([row for row in table if row["role"] == role]) for role in ("primary", "replica")] == [3, 3]


def test_workers_that_let_nobody_in_are_said_to(small: RunningUp) -> None:
    small.options += ["--", "--user", "default", "on", ">secret", "~*", "+@all"]
    small.start("--workers", 3, wait=False)
    assert small.process is not None
    assert small.process.wait(30) == 2
    assert "--masteruser and --masterauth among the workers' settings" in small.log


@pytest.mark.parametrize(
    ("settings", "credentials", "for_clients", "more"),
    [
        ([], Credentials(), "", ()),
        (["--save", ""], Credentials(), "", ()),
        (["--RequirePass", "a"], Credentials(None, "a"), "a", ("--masterauth", "a")),
        (["--requirepass", "a", "--masterauth", "b"], Credentials(None, "b"), "a", ()),
        (["--masteruser", "u", "--masterauth", "b"], Credentials("u", "b"), "b", ()),
    ],
)
def test_whom_settings_let_in(
    settings: list[str], credentials: Credentials, for_clients: str, more: tuple[str, ...]
) -> None:
    login = login_from(settings)
    assert (login.credentials, login.for_clients, login.more_settings) == (credentials, for_clients, more)
