"""One worker as a process: how it starts, refuses to start, listens, waits, forgets and stops."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.bench.measure import resident_bytes
from tests.harness.environment import own_address
from tests.harness.resp import Error, Resp, Simple, encode
from tests.harness.servers import Oracle, Server, ShoalNode, source_environment
from tests.harness.wait import eventually


def run_worker(*arguments: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """A worker that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "cluster.node_process", *arguments],
        cwd=directory,
        env=source_environment(),
        capture_output=True,
        text=True,
        timeout=30,
    )


class TestStartAndStop:
    def test_tells_its_life_in_redis_words(self) -> None:
        with ShoalNode() as node:
            assert node.stop() == 0
            lines = [line.split(" ", 6)[-1] for line in node.log.splitlines()]
            wanted = [
                f"Running mode=standalone, port={node.port}.",
                "Server initialized",
                "Ready to accept connections tcp",
                "Received SIGTERM scheduling shutdown...",
                "User requested shutdown...",
                "Redis is now ready to exit, bye bye...",
            ]
            assert [line for line in lines if line in wanted] == wanted
            assert all(line.startswith(f"{node.pid}:") for line in node.log.splitlines())

    def test_a_bad_directive_is_told_on_stderr(self, tmp_path: Path) -> None:
        (tmp_path / "redis.conf").write_text("port 0\nmaxclients many\n")
        done = run_worker("redis.conf", directory=tmp_path)
        assert done.returncode == 1
        assert "FATAL CONFIG FILE ERROR" in done.stderr
        assert "at line 2" in done.stderr
        assert "'maxclients many'" in done.stderr

    def test_a_port_in_use_is_one_error(self, tmp_path: Path, shoal_server: ShoalNode) -> None:
        done = run_worker("--port", str(shoal_server.port), directory=tmp_path)
        assert done.returncode == 1
        assert "bind: Address already in use" in done.stdout
        assert f"Failed listening on port {shoal_server.port} (tcp), aborting." in done.stdout
        assert "Traceback" not in done.stdout + done.stderr

    def test_serves_a_unix_socket_and_removes_it(self) -> None:
        with ShoalNode(unixsocket="worker.sock", unixsocketperm="700") as node:
            path = node.directory / "worker.sock"
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(5)
                sock.connect(str(path))
                sock.sendall(b"PING\r\n")
                assert sock.recv(100) == b"+PONG\r\n"
            assert path.stat().st_mode & 0o777 == 0o700
            node.stop()
            assert not path.exists()


def test_keys_nobody_asks_for_expire(shoal_node: ShoalNode) -> None:
    with shoal_node.resp() as connection:
        connection.send(b"".join(encode("SET", f"k{n}", "v", "PX", "20") for n in range(5000)))
        for _ in range(5000):
            assert connection.read_raw() == b"+OK\r\n"
        connection.command("SET", "stays", "v")
        eventually(lambda: connection.command("DBSIZE") == 1, "5,000 keys expired by themselves")


class TestPause:
    def test_writes_wait_and_reads_do_not(self, shoal_node: ShoalNode) -> None:
        with shoal_node.resp() as paused, shoal_node.resp() as other:
            other.command("CLIENT", "PAUSE", "10000", "WRITE")
            paused.send(encode("SET", "k", "1") + encode("INCR", "k") + encode("GET", "k"))
            assert other.command("GET", "k").__class__.__name__ == "Null"
            eventually(lambda: b"blocked_clients:1" in other.command("INFO", "clients"), "the writer waits")
            other.command("CLIENT", "UNPAUSE")
            assert [paused.read_raw() for _ in range(3)] == [b"+OK\r\n", b":2\r\n", b"$1\r\n2\r\n"]

    def test_a_pause_ends_by_itself(self, shoal_node: ShoalNode) -> None:
        with shoal_node.resp() as other, shoal_node.resp() as connection:
            other.command("CLIENT", "PAUSE", "100", "ALL")
            started = time.monotonic()
            assert connection.command("PING") == Simple("PONG")
            assert 0.09 <= time.monotonic() - started < 5

    def test_a_waiting_client_may_leave(self, shoal_node: ShoalNode) -> None:
        with shoal_node.resp() as other:
            other.command("CLIENT", "PAUSE", "10000", "WRITE")
            with shoal_node.resp() as leaving:
                leaving.send(encode("SET", "k", "1"))
                eventually(lambda: b"blocked_clients:1" in other.command("INFO", "clients"), "it waits")
            other.command("CLIENT", "UNPAUSE")
            eventually(lambda: b"blocked_clients:0" in other.command("INFO", "clients"), "nobody waits")


def test_idle_clients_are_closed() -> None:
    with ShoalNode(timeout="1") as node, node.resp() as idle:
        assert idle.command("PING") == Simple("PONG")
        started = time.monotonic()
        with pytest.raises((ConnectionError, EOFError, AssertionError)):
            idle.read_raw()
        assert time.monotonic() - started >= 0.9


def test_too_many_clients_are_told_so() -> None:
    with ShoalNode(maxclients="2") as node, node.resp() as first, node.resp() as second:
        assert first.command("PING") == second.command("PING") == Simple("PONG")
        with socket.create_connection((node.host, node.port), timeout=5) as third:
            assert third.recv(100) == b"-ERR max number of clients reached\r\n"
            assert third.recv(100) == b""


class TestReplies:
    def test_a_long_pipeline_is_answered_in_order(self, shoal_node: ShoalNode) -> None:
        """More replies than socket buffers hold, to a client that sends everything before it reads."""
        value = b"v" * 10_000
        count = 3000
        with shoal_node.resp(timeout=30) as connection:
            connection.command("SET", "big", value)
            requests = b"".join(encode("GET", "big") + encode("ECHO", str(n)) for n in range(count))
            sender = threading.Thread(target=connection.send, args=(requests,))
            sender.start()
            for n in range(count):
                assert connection.read_raw() == b"$10000\r\n" + value + b"\r\n"
                assert connection.read_raw() == encode("ECHO", str(n)).split(b"ECHO\r\n")[1]
            sender.join()

    def test_values_of_many_megabytes(self, shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
        value = bytes(range(256)) * (40 << 12)

        def outcome(server: Server) -> list[object]:
            with server.resp(timeout=30) as connection:
                stored = connection.command("SET", "big", value)
                whole = connection.command("GET", "big") == value
                appended = connection.command("APPEND", "big", b"x" * 100)
                return [stored, whole, appended, connection.command("GETRANGE", "big", "-101", "-1")]

        assert outcome(shoal_node) == outcome(redis_oracle)

    def test_a_client_that_does_not_read_waits_for_itself(self) -> None:
        """Without output limits, as is the default: its replies stop at about 1 GiB, and none is lost."""
        count, size = 1700, 1_000_000
        with ShoalNode() as node, socket.create_connection((node.host, node.port), timeout=30) as slow:
            node.run("SET", "big", b"x" * size)
            slow.sendall(encode("GET", "big") * count + encode("PING"))
            eventually(lambda: resident_bytes(node.pid) > 800 << 20, "replies pile up", timeout=30)
            with node.resp(timeout=30) as other:  # to write a GB takes a busy machine seconds
                assert other.command("PING") == Simple("PONG")
            assert resident_bytes(node.pid) < 1500 << 20
            missing = count * len(b"$%d\r\n%b\r\n" % (size, b"x" * size)) + len(b"+PONG\r\n")
            chunk = memoryview(bytearray(1 << 22))
            while missing:
                length = slow.recv_into(chunk)
                missing -= length
            assert bytes(chunk[:length]).endswith(b"+PONG\r\n")
            eventually(lambda: resident_bytes(node.pid) < 200 << 20, "its memory is given back")

    def test_an_output_limit_ends_a_client_that_does_not_read(self) -> None:
        with (
            ShoalNode(client_output_buffer_limit=["normal", "1mb", "0", "0"]) as node,
            node.resp() as watcher,
        ):
            watcher.command("SET", "big", b"x" * 100_000)
            with socket.create_connection((node.host, node.port), timeout=5) as deaf:
                deaf.sendall(encode("CLIENT", "SETNAME", "deaf") + encode("GET", "big") * 500)
                eventually(lambda: b"name=deaf" not in watcher.command("CLIENT", "LIST"), "deaf was closed")
            assert watcher.command("PING") == Simple("PONG")


def test_protected_mode_refuses_strangers() -> None:
    """From another address than loopback, without a password: Redis' long explanation, then the end."""
    address = own_address()
    with ShoalNode(bind="*") as node, socket.create_connection((address, node.port), timeout=5) as stranger:
        assert stranger.recv(1000).startswith(b"-DENIED Redis is running in protected mode")
    with ShoalNode(bind="*", requirepass="secret") as node, Resp(node.port, address) as stranger_:
        assert stranger_.command("PING") == Error("NOAUTH Authentication required.")


def test_no_touch_leaves_no_trace(shoal_node: ShoalNode) -> None:
    with shoal_node.resp() as connection:
        connection.command("SET", "k", "v")
        connection.command("RESTORE", "old", "0", connection.command("DUMP", "k"), "IDLETIME", "1000")
        connection.command("CLIENT", "NO-TOUCH", "ON")
        connection.command("GET", "old")
        assert connection.command("OBJECT", "IDLETIME", "old") >= 1000
        connection.command("TOUCH", "old")
        assert connection.command("OBJECT", "IDLETIME", "old") < 1000
