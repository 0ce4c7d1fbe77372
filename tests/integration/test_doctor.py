"""`shoal doctor` before real servers: ours, Redis and Valkey, open and guarded, alone and as a cluster."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.harness.certificates import Authority, protect
from tests.harness.environment import own_address
from tests.harness.proxies import ShoalProxy
from tests.harness.resp import Resp, Simple
from tests.harness.servers import Server, ShoalNode, server
from tests.harness.shoal_command import shoal
from tests.harness.wait import eventually

PASSWORD = "correct horse battery staple"


def findings(*args: str | Path, code: int = 1) -> dict[str, str]:
    """kind -> severity"""
    told: Any = shoal("doctor", *args, "--json", code=code).json
    assert told["ok"] == (code == 0)
    assert all(each["text"] and each["next_step"] for each in told["findings"])
    return {each["kind"]: each["severity"] for each in told["findings"]}


@pytest.mark.parametrize("kind", ["shoal", "redis", "valkey"])
def test_open_and_forgetful(kind: str) -> None:
    with server(kind, bind="0.0.0.0", protected_mode="no") as node:
        found = findings(node.address)
        assert found["open"] == found["no-persistence"] == "error"
        assert found["maxmemory"] == found["enable-debug-command"] == "warning"
        node.run("CONFIG", "SET", "protected-mode", "yes")
        assert "open" not in findings(node.address)
        text = shoal("doctor", node.address, code=1).out
        assert (
            "keeps nothing on disk and has no replica" in text and "next: CONFIG SET appendonly yes" in text
        )


def test_by_default_nobody_else_gets_in() -> None:
    """As a worker starts when nobody says where to listen and who may come; and with fewer files than
    clients."""
    with Limited(bind="*", appendonly="yes", maxmemory="100mb", maxclients=500) as node:
        told = shoal("doctor", node.address, "--json", code=None).json  # the machine may be unwise itself
        kinds = {each["kind"] for each in told["findings"]}
        assert {"open", "protected-mode", "no-persistence", "open-files"}.isdisjoint(kinds)
        assert node.run("CONFIG", "GET", "maxclients")[1] == b"168"
        assert "maxclients has been reduced to 168" in node.log


class Limited(ShoalNode):
    def command(self) -> list[str]:
        return ["bash", "-c", 'ulimit -n 200; exec "$@"', "bash", *super().command()]


def test_tls_password_unix_socket_and_directory(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    identity = authority.issue("node", days=20)
    os.chmod(identity.key, 0o644)
    socket = tmp_path / "s"
    node = ShoalNode(requirepass=PASSWORD, masterauth=PASSWORD, unixsocket=str(socket), cluster_enabled="yes")
    ours = ("--cacert", authority.own.certificate, "--cert", identity.certificate, "--cert-key", identity.key)
    with protect(node, authority, identity):
        found = findings(node.address, "--password", PASSWORD, *ours)
        assert found["certificate"] == "warning" and found["key-file"] == "error"
        assert found["uncovered"] == "error"
        by_socket = findings(f"unix://{socket}", "--password", PASSWORD)
        assert by_socket["uncovered"] == "error"
        state = {"bind": "127.0.0.1", "port": node.port, "workers": 1}
        (tmp_path / "shoal.json").write_text(json.dumps(state))
        assert findings("--dir", tmp_path, "--password", PASSWORD, *ours) == found
        refused = shoal("doctor", node.address, *ours, "--password", "wrong", code=1)
        assert "invalid username-password pair" in refused.error_line


@pytest.mark.parametrize("kind", ["shoal", "redis", "valkey"])
def test_an_open_proxy_before_workers_that_are_not(kind: str, tmp_path: Path) -> None:
    """It logs in at them by itself, and they know of it, used or not."""
    with server(kind, cluster_enabled="yes", requirepass=PASSWORD, masterauth=PASSWORD) as worker:
        with logged_in(worker) as client:
            client.command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        ours = ("--upstream-auth", PASSWORD, "--bind", "0.0.0.0")
        login = (worker.address, "--password", PASSWORD)
        with ShoalProxy([worker.address], *ours) as proxy:
            stranger = own_address()
            with Resp(proxy.port, stranger) as refused:
                assert refused.read_raw().startswith(b"-DENIED The proxy is running in protected mode")
            proxy.run("SET", "a", 1)
            assert "open-proxy" not in findings(*login)
        with ShoalProxy([worker.address], *ours, "--protected-mode", "no") as proxy:
            eventually(lambda: b"name=shoal-proxy:" in clients_of(worker), "the worker knows of it")
            told = shoal("doctor", *login, "--json", code=1).json
            assert told["proxies"] == [proxy.address]
            (found,) = [each for each in told["findings"] if each["kind"] == "open-proxy"]
            assert found["severity"] == "error" and found["text"].startswith(
                f"{proxy.address} lets in whoever"
            )
            state = {"bind": "*", "port": worker.port, "workers": 1, "proxies": 1, "proxy_port": proxy.port}
            (tmp_path / "shoal.json").write_text(json.dumps(state))
            assert findings("--dir", tmp_path, "--password", PASSWORD)["open-proxy"] == "error"
            assert findings(proxy.address)["open-proxy"] == "error"
            with Resp(proxy.port, stranger) as welcome:
                assert welcome.command("GET", "a") == b"1"
        with ShoalProxy([worker.address], *ours, "--protected-mode", "no", password=PASSWORD) as proxy:
            told = shoal("doctor", *login, "--proxy", proxy.address, "--json", code=1).json
            assert told["proxies"] == [proxy.address]
            assert "open-proxy" not in {each["kind"] for each in told["findings"]}
        gone = shoal("doctor", *login, "--proxy", proxy.address, code=2)
        assert f"the proxy {proxy.address} does not answer" in gone.error_line


class ByAnyPassword(ShoalProxy):
    """Who is served there first is the default user."""

    def is_ready(self) -> bool:
        with self.resp() as client:
            return client.command("AUTH", "default", "any") == Simple("OK")


def test_a_proxy_that_leaves_passwords_to_workers_that_have_none() -> None:
    with ShoalNode(cluster_enabled="yes") as worker:
        worker.run("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        with ByAnyPassword([worker.address], "--bind", "0.0.0.0", "--auth-by-workers") as proxy:
            assert findings(worker.address, "--proxy", proxy.address)["open-proxy"] == "error"
            worker.run("CONFIG", "SET", "requirepass", PASSWORD)
            found = findings(worker.address, "--proxy", proxy.address, "--password", PASSWORD)
            assert "open-proxy" not in found


@contextmanager
def logged_in(worker: Server) -> Iterator[Resp]:
    with worker.resp() as client:
        client.command("AUTH", PASSWORD)
        yield client


def clients_of(worker: Server) -> bytes:
    with logged_in(worker) as client:
        found: bytes = client.command("CLIENT", "LIST")
        return found


def test_calls_that_make_no_sense(tmp_path: Path) -> None:
    assert "no such file" in shoal("doctor", "--dir", tmp_path, code=2).error_line
    (tmp_path / "shoal.json").write_text("{}")
    assert "is damaged" in shoal("doctor", "--dir", tmp_path, code=2).error_line
    assert "does not answer" in shoal("doctor", "127.0.0.1:1", code=2).error_line
