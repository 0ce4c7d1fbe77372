"""Who clients of the proxy are: users of the workers, with their rights, or one user of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.proxies import ShoalProxy
from tests.harness.resp import Error, Resp, Simple
from tests.harness.servers import Oracle
from tests.harness.wait import eventually

USERS = (
    ("default", "resetpass", ">top"),
    ("alice", "on", ">wonder", "~a:*", "&a:*", "+@all", "-@dangerous", "-@scripting"),
    ("bob", "on", ">builder", "~*", "&*", "+@all"),
    ("proxy", "on", ">inner", "~*", "&*", "+@all"),
)
CONVERSATIONS = {
    "nobody": [
        ("GET", "a:1"), ("PING",), ("HELLO", "3"), ("AUTH", "alice", "wrong"), ("AUTH", "wrong"),
        ("AUTH", "nobody", "x"), ("AUTH",), ("AUTH", "a", "b", "c"), ("GET", "a:1"), ("CLIENT", "LIST"),
        ("HELLO", "3", "AUTH", "alice", "wrong"), ("ACL", "WHOAMI"), ("RESET",), ("GET", "a:1"),
    ],
    "alice": [
        ("AUTH", "alice", "wonder"), ("ACL", "WHOAMI"), ("SET", "a:1", "x"), ("GET", "a:1"),
        ("SET", "b:1", "x"), ("GET", "b:1"), ("MGET", "a:1", "b:1"), ("DEL", "a:1", "a:2"),
        ("FLUSHALL",), ("CLIENT", "LIST"),
        ("CLIENT", "KILL", "ID", "12345"), ("CONFIG", "SET", "maxclients", "10"),
        ("CONFIG", "GET", "maxclients"), ("INFO", "server"), ("KEYS", "*"), ("EVAL", "return 1", "0"),
        ("ACL", "LIST"), ("PING",), ("ECHO", "x"), ("MULTI",), ("SET", "a:1", "x"), ("EXEC",),
        ("WATCH", "b:1"), ("SUBSCRIBE", "b:1"), ("PUBLISH", "b:1", "x"), ("BLPOP", "b:1", "0"),
        ("AUTH", "alice", "wrong"), ("ACL", "WHOAMI"), ("AUTH", "bob", "builder"), ("ACL", "WHOAMI"),
        ("SET", "b:1", "x"), ("CLIENT", "KILL", "ID", "12345"), ("RESET",), ("GET", "b:1"),
    ],
    "hello": [
        ("HELLO", "2", "AUTH", "bob", "builder", "SETNAME", "n"), ("ACL", "WHOAMI"), ("CLIENT", "GETNAME"),
        ("AUTH", "top"), ("ACL", "WHOAMI"), ("SET", "b:1", "y"), ("DEL", "b:1"),
    ],
}  # fmt: skip
NOT_COMPARED = {"HELLO"}
"""Its reply has ids and versions; errors are compared all the same."""


def create_users(server: Resp, login: str | None = None) -> None:
    if login:
        server.command("AUTH", login)
    for user in USERS:
        assert server.command("ACL", "SETUSER", *user) == Simple("OK")


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with cluster_of(3, kind=["shoal", "valkey", "shoal"]) as running:
        for node in running.nodes:
            with node.resp() as server:
                create_users(server)
        yield running


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("secrets") / "worker"
    path.write_text("inner\n")
    return path


@pytest.fixture(scope="module")
def proxy(cluster: RunningCluster, secret: Path) -> Iterator[ShoalProxy]:
    with UsersProxy(
        cluster.addresses[:1], "--auth-by-workers", "--worker-user", "proxy",
        "--worker-password-file", str(secret), "--processes", "1",
    ) as running:  # fmt: skip
        yield running


class UsersProxy(ShoalProxy):
    """Lets in who it is told; to see whether it is ready, somebody has to log in."""

    login = ("bob", "builder")

    def facts(self) -> dict[str, str]:
        with self.resp() as client:
            client.command("AUTH", *self.login)
            lines = client.command("INFO", "proxy").decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_users_of_the_workers_are_treated_as_by_redis(proxy: ShoalProxy, name: str) -> None:
    with Oracle("redis") as oracle, oracle.resp() as other, proxy.resp(timeout=20) as client:
        create_users(other)
        with oracle.resp() as fresh:
            for request in CONVERSATIONS[name]:
                ours, theirs = client.command(*request), fresh.command(*request)
                if request[0] in NOT_COMPARED and not isinstance(theirs, Error):
                    assert not isinstance(ours, Error), request
                elif request[:2] in (("INFO", "server"), ("CLIENT", "LIST"), ("CONFIG", "GET")):
                    assert isinstance(ours, Error) == isinstance(theirs, Error), request
                    assert not isinstance(ours, Error) or ours == theirs
                else:
                    assert ours == theirs, request


def test_users_share_nothing_but_the_proxy(proxy: ShoalProxy) -> None:
    with proxy.resp(timeout=20) as alice, proxy.resp(timeout=20, protocol=2) as bob:
        alice.command("AUTH", "alice", "wonder")
        bob.command("AUTH", "bob", "builder")
        replies = alice.pipeline(*[("SET", f"{'ab'[number % 2]}:{number}", "x") for number in range(100)])
        assert {reply == Simple("OK") for reply in replies[::2]} == {True}
        assert {reply.prefix for reply in replies[1::2]} == {"NOPERM"}
        assert set(bob.pipeline(*[("SET", f"b:{number}", "x") for number in range(100)])) == {Simple("OK")}
        assert alice.command("SUBSCRIBE", "a:news") == [b"subscribe", b"a:news", 1]
        bob.command("PUBLISH", "a:news", "hello")
        assert alice.read() == [b"message", b"a:news", b"hello"]
        users = [line.split(b"user=")[1].split()[0] for line in bob.command("CLIENT", "LIST").splitlines()]
        assert sorted(users) == [b"alice", b"bob"]
        assert bob.command("CLIENT", "KILL", "USER", "alice") == 1
        assert alice.read_until_closed() == b""


def test_users_stay_logged_in_over_a_reload(proxy: ShoalProxy) -> None:
    with proxy.resp(timeout=20) as alice, proxy.resp(timeout=20) as nobody:
        alice.command("AUTH", "alice", "wonder")
        process = alice.command("CLIENT", "ID") >> 32
        assert proxy.process is not None
        reloads = proxy.log.count("new processes serve")
        proxy.process.send_signal(1)
        eventually(lambda: proxy.log.count("new processes serve") > reloads, "reloaded")
        with proxy.resp(timeout=20) as fresh:
            fresh.command("AUTH", "alice", "wonder")
            eventually(lambda: fresh.command("CLIENT", "ID") >> 32 != process, "served by the new process")
        assert alice.command("ACL", "WHOAMI") == b"alice"
        assert alice.command("GET", "b:1").prefix == "NOPERM"
        assert alice.command("SET", "a:1", "x") == Simple("OK")
        assert nobody.command("GET", "a:1").prefix == "NOAUTH"
    everything = proxy.log + Path(f"/proc/{proxy.pid}/cmdline").read_text()
    assert not [secret for secret in ("wonder", "builder", "inner") if secret in everything]


def test_a_user_of_the_proxy_itself(cluster: RunningCluster, secret: Path, tmp_path: Path) -> None:
    for_clients = tmp_path / "clients"
    for_clients.write_text("outer\n")
    options = ["--user", "app", "--password-file", str(for_clients), "--upstream-auth", "proxy:inner"]
    proxy = UsersProxy(cluster.addresses[:1], *options)
    proxy.login = ("app", "outer")
    with proxy, proxy.resp() as client:
        wrong = Error("WRONGPASS invalid username-password pair or user is disabled.")
        for login in (("outer",), ("default", "outer"), ("app", "inner"), ("alice", "wonder")):
            assert client.command("AUTH", *login) == wrong
        assert client.command("SET", "a:1", "x") == Error("NOAUTH Authentication required.")
        assert client.command("AUTH", "app", "outer") == Simple("OK")
        assert client.command("ACL", "WHOAMI") == b"app"
        assert client.command("SET", "a:1", "x") == Simple("OK")
        assert b"user=app " in client.command("CLIENT", "LIST")
