"""Passwords are in no log, and in nothing that shows settings, commands or clients, whoever asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness.proxies import ShoalProxy
from tests.harness.resp import Resp
from tests.harness.servers import ShoalNode
from tests.harness.wait import eventually

SECRET = "s3cret"
"""Begins every password here."""


@pytest.fixture(scope="module")
def node() -> Iterator[ShoalNode]:
    settings = {"requirepass": f"{SECRET}0", "loglevel": "debug", "slowlog_log_slower_than": 0}
    with Guarded(cluster_enabled="yes", slowlog_max_len=1000, **settings) as running:
        with running.resp() as client:
            client.command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            eventually(lambda: b"cluster_state:ok" in client.command("CLUSTER", "INFO"), "a cluster of one")
        yield running


class Guarded(ShoalNode):
    def resp(self, protocol: int = 2, timeout: float = 5.0) -> Resp:
        connection = super().resp(protocol, timeout)
        connection.command("AUTH", f"{SECRET}0")
        return connection


def use(client: Resp, names: tuple[str, ...]) -> None:
    """All commands that carry a secret, with good ones and bad ones."""
    client.command("AUTH", "default", f"{SECRET}1")
    client.command("AUTH", f"{SECRET}0")
    client.command("HELLO", 2, "AUTH", "default", f"{SECRET}0", "SETNAME", "me")
    client.command("ACL", "SETUSER", "ann", "on", f">{SECRET}2", "+@all")
    client.command("ACL", "SETUSER", "ann", f"<{SECRET}3")
    client.command("ACL", "SETUSER", "ann", f"nonsense{SECRET}4")
    for name in names:
        client.command("CONFIG", "SET", name, f"{SECRET}0")
        client.command("CONFIG", "SET", "maxmemory", "1gb", name, f"{SECRET}0", "nonsense", "x")
    client.command("MIGRATE", "127.0.0.1", 1, "k", 0, 10, "AUTH", f"{SECRET}5")
    client.command("MIGRATE", "127.0.0.1", 1, "k", 0, 10, "AUTH2", "ann", f"{SECRET}6")
    client.command("SET", "k", "v")


WORKER_SETTINGS = (
    "requirepass masterauth primaryauth masteruser primaryuser tls-key-file-pass tls-client-key-file-pass"
    " cluster-secret"
)


def shown(client: Resp) -> dict[str, Any]:
    questions = (
        "INFO everything", "SLOWLOG GET -1", "CLIENT LIST", "CLIENT INFO", "ACL LOG", "ACL LIST",
        "COMMANDLOG GET -1 large-request", "LATENCY LATEST", "CLUSTER NODES", "CONFIG GET port",
    )  # fmt: skip
    return {question: client.command(*question.split()) for question in questions}


def test_a_worker_keeps_secrets(node: ShoalNode) -> None:
    with node.resp() as client, node.resp() as monitor:
        client.command("CONFIG", "SET", "commandlog-request-larger-than", 1)
        monitor.command("MONITOR")
        use(client, tuple(WORKER_SETTINGS.split()))
        seen: list[str] = []
        while not (seen and '"SET" "k" "v"' in seen[-1]):
            seen.append(repr(monitor.read()))
        assert "(redacted)" in "".join(seen)
        answers = shown(client)
    for where, text in {**answers, "MONITOR": seen, "the log": node.log}.items():
        assert SECRET not in repr(text), where
    assert "(redacted)" in repr(answers["SLOWLOG GET -1"])


def test_a_proxy_keeps_secrets(node: ShoalNode) -> None:
    options = ("--upstream-auth", f"{SECRET}0", "--loglevel", "debug", "--slowlog-log-slower-than", "0")
    with ShoalProxy([node.address], *options, password=f"{SECRET}0") as proxy, proxy.resp() as client:
        client.command("AUTH", f"{SECRET}0")
        use(client, ("requirepass", "masterauth"))
        answers = shown(client) | {"own slow log": client.command("SLOWLOG", "GET", -1, "NODE", "PROXY")}
        log = proxy.log
    for where, text in {**answers, "the log": log}.items():
        assert SECRET not in repr(text), where
