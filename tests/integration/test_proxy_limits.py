"""What one client may have, and what clients of a proxy may do at all."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from node.commands import find
from proxy.config import parse
from proxy.local.rules import Rules
from tests.harness.clusters import cluster_of
from tests.harness.proxies import ShoalProxy
from tests.harness.resp import NULL_BULK, Error, Resp, Simple, encode
from tests.harness.wait import eventually

RULES = ["--deny", "@admin", "flushall", "keys", "incr", "--allow-keys", "app:*", "other:*"]


@pytest.fixture(scope="module")
def seeds() -> Iterator[list[str]]:
    with cluster_of(3, kind="valkey") as cluster:
        yield cluster.addresses


@pytest.fixture(scope="module")
def proxy(seeds: list[str]) -> Iterator[ShoalProxy]:
    with ShoalProxy(seeds) as running:
        yield running


@pytest.fixture(scope="module")
def strict(seeds: list[str]) -> Iterator[ShoalProxy]:
    with ShoalProxy(seeds, *RULES) as running:
        yield running


def configure(client: Resp, *settings: str) -> None:
    assert client.command("CONFIG", "SET", "NODE", "PROXY", *settings) == Simple("OK")


def test_a_rate_is_kept_by_letting_requests_wait(proxy: ShoalProxy) -> None:
    with proxy.resp() as client, proxy.resp() as operator:
        configure(operator, "client-rate", "200")
        try:
            begin = time.monotonic()
            client.send(encode("SET", "a", "1") * 280)
            replies = [client.read() for _ in range(280)]
            took = time.monotonic() - begin
            assert replies == [Simple("OK")] * 280
            assert took > 0.35, "80 requests beyond a burst of 200 take 0.4 s"
        finally:
            configure(operator, "client-rate", "0")
        client.send(encode("SET", "a", "1") * 1000)
        assert [client.read() for _ in range(1000)] == [Simple("OK")] * 1000


def test_few_in_flight_is_as_good_as_many(proxy: ShoalProxy) -> None:
    with proxy.resp() as client:
        configure(client, "client-in-flight", "1")
        client.send(b"".join(encode("INCR", f"count:{number % 7}") for number in range(700)))
        assert [client.read() for _ in range(700)] == [number // 7 + 1 for number in range(700)]
        configure(client, "client-in-flight", "4096")


def test_who_lets_too_much_pile_up_is_closed(proxy: ShoalProxy) -> None:
    with proxy.resp() as operator, proxy.resp() as sender, proxy.resp() as reader, proxy.resp() as listener:
        configure(operator, "client-query-buffer-limit", "100kb")
        sender.send(b"*2\r\n$3\r\nGET\r\n$1000000\r\n" + bytes(200_000))
        with pytest.raises((EOFError, ConnectionError)):
            sender.read()
        configure(operator, "client-query-buffer-limit", "1gb")

        operator.command("SET", "big", bytes(4 << 20))
        configure(operator, "client-output-buffer-limit", "normal 1mb 0 0 pubsub 100kb 0 0")
        reader.send(encode("GET", "big") * 4)
        listener.command("SUBSCRIBE", "news")

        def closed() -> bool:
            operator.command("PUBLISH", "news", bytes(1 << 20))
            return operator.command("CLIENT", "LIST").count(b"id=") == 1

        eventually(closed, "the clients that do not read are closed")
        configure(operator, "client-output-buffer-limit", "normal 1gb 0 0 pubsub 32mb 8mb 60")


def test_a_soft_limit_has_patience(proxy: ShoalProxy) -> None:
    with proxy.resp() as operator, proxy.resp() as listener:
        configure(operator, "client-output-buffer-limit", "pubsub 1gb 100kb 1")
        listener.command("SUBSCRIBE", "news")
        begin = time.monotonic()

        def closed() -> bool:
            operator.command("PUBLISH", "news", bytes(1 << 20))
            return operator.command("CLIENT", "LIST").count(b"id=") == 1

        eventually(closed, "the listener is closed")
        assert time.monotonic() - begin > 1.0
        configure(operator, "client-output-buffer-limit", "pubsub 32mb 8mb 60")


def test_settings_of_the_proxy(proxy: ShoalProxy) -> None:
    with proxy.resp() as client:
        shown = client.command("CONFIG", "GET", "NODE", "PROXY", "client-*", "port")
        assert dict(zip(shown[::2], shown[1::2], strict=True)) == {
            b"port": b"%d" % proxy.port,
            b"client-in-flight": b"4096",
            b"client-rate": b"0",
            b"client-query-buffer-limit": b"1073741824",
            b"client-output-buffer-limit": b"normal 1073741824 0 0 pubsub 33554432 8388608 60",
        }
        for setting, words in {
            "client-rate x": "argument must be between 0 and 999999999 inclusive",
            "client-in-flight 0": "argument must be between 1 and 999999999 inclusive",
            "client-query-buffer-limit 1zb": "argument must be a memory value",
            "port 1": "can't set immutable config",
        }.items():
            reply = client.command("CONFIG", "SET", "NODE", "PROXY", "client-rate", "5", *setting.split())
            assert reply.text.endswith(f"{setting.split()[0]}') - {words}"), setting
        assert client.command("CONFIG", "GET", "NODE", "PROXY", "client-rate")[1] == b"0"
        unknown = client.command("CONFIG", "SET", "NODE", "PROXY", "save", "1")
        assert unknown == Error("ERR Unknown option or number of arguments for CONFIG SET - 'save'")
        silent = client.command("DBSIZE", "NODE", "PROXY")
        assert silent == Error("ERR The proxy itself does not answer 'dbsize'")


def test_commands_and_keys_can_be_forbidden(strict: ShoalProxy) -> None:
    with strict.resp() as client:
        for request in ("FLUSHALL", "CONFIG SET save 1", "INCR app:1", "KEYS *", "DEBUG SLEEP 0"):
            name = request.split()[0].lower()
            reply = client.command(*request.split())
            assert reply.prefix == "NOPERM", request
            assert f"'{'config|set' if name == 'config' else name}'" in reply.text
        no_key = Error("NOPERM This proxy does not allow access to one of the keys")
        for request in (
            "SET a 1",
            "GET application",
            "MSET app:1 a b b",
            "EVAL return 1 2 app:1 b",
            "GET app",
        ):
            assert client.command(*request.split()) == no_key, request
        assert client.command("SET", "app:1", "a") == Simple("OK")
        assert client.command("MGET", "app:1", "other:1") == [b"a", NULL_BULK]
        assert client.command("MULTI") == Simple("OK")
        assert client.command("SET", "b", "1") == no_key
        assert client.command("EXEC").prefix == "EXECABORT"
        assert client.command("PING") == Simple("PONG")
        assert client.command("HELLO")


def test_rules() -> None:
    reading = Rules(allow=["@read", "client|id"])
    allowed = {name for name in ("get", "set", "mget", "auth", "ping", "reset") if _allows(reading, name)}
    assert allowed == {"get", "mget", "auth", "reset"}
    assert _allows(reading, "client", "id")
    assert not _allows(reading, "client", "kill")
    assert Rules(keys=[b"a*", b"b:*"]).prefixes == [b"a", b"b:"]
    assert Rules(keys=[b"a*", b"?:*"]).prefixes == []
    assert Rules().prefixes is None
    for word in ("gett", "@reed", "config|gett", "get|x"):
        with pytest.raises(ValueError, match="no command"):
            Rules(deny=[word])


def _allows(rules: Rules, *argv: str) -> bool:
    row = find([word.encode() for word in argv])
    assert row is not None
    return rules.allows(row)


@pytest.mark.parametrize(
    "options",
    ["--deny gett", "--client-in-flight 0", "--client-rate -1", "--client-output-buffer-limit replica 1 1 1",
     "--client-output-buffer-limit normal 1mb", "--client-query-buffer-limit 1zb", "--announce a:1",
     "--as-cluster a:1 b:2 --port 3"],
)  # fmt: skip
def test_options_that_make_no_sense(options: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["--seed", "a:1", *options.split()])
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err
