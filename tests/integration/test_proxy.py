"""A plain client in front of the proxy, a real cluster behind it: it must not notice."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
import redis

from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.commands import redis_cli
from tests.harness.proxies import ShoalProxy, resident_bytes
from tests.harness.resp import NULL, NULL_BULK, Error, Map, Resp, Simple, encode
from tests.harness.wait import eventually


@pytest.fixture(scope="module", params=["valkey", "valkey, loop poller", "redis", "shoal"])
def setting(request: pytest.FixtureRequest) -> str:
    """What stands behind the proxy, and how the proxy waits for events."""
    return str(request.param)


@pytest.fixture(scope="module")
def cluster(setting: str) -> Iterator[RunningCluster]:
    with cluster_of(3, kind=setting.partition(",")[0]) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(cluster: RunningCluster, setting: str) -> Iterator[ShoalProxy]:
    options = ["--loop-poller"] if "loop poller" in setting else []
    with ShoalProxy(cluster.addresses[:1], *options) as running:
        running.run("FLUSHALL")
        yield running


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py_uses_it_as_one_server(proxy: ShoalProxy, protocol: int) -> None:
    with proxy.client(protocol=protocol, decode_responses=True) as client:
        client.flushall()
        keys = [f"key:{number}" for number in range(100)]
        assert client.mset({key: key.upper() for key in keys})
        assert client.mget([*keys, "nobody"]) == [*(key.upper() for key in keys), None]
        assert client.exists(*keys, "nobody") == 100
        assert client.dbsize() == 100
        assert sorted(client.keys("key:*")) == sorted(keys)
        assert sorted(client.scan_iter(count=7)) == sorted(keys)
        assert client.randomkey() in keys
        assert client.touch(*keys[:10]) == 10
        assert client.delete(*keys[:30]) == 30
        assert client.unlink(*keys[30:60], "nobody") == 30
        client.hset("h", mapping={"a": "1", "b": "2"})
        assert client.hgetall("h") == {"a": "1", "b": "2"}
        client.zadd("z", {"a": 1.5})
        assert client.zrange("z", 0, -1, withscores=True) == ([("a", 1.5)] if protocol == 2 else [["a", 1.5]])
        assert client.register_script("return redis.call('GET', KEYS[1])")(["key:99"]) == "KEY:99"
        assert client.info()["redis_mode"] == "standalone"
        client.flushall()
        assert client.dbsize() == 0
        assert client.randomkey() is None


def test_protocols_live_side_by_side(proxy: ShoalProxy) -> None:
    with proxy.resp() as old, proxy.resp(protocol=3) as new:
        old.command("HSET", "map", "f", "v")
        for _ in range(3):
            assert old.command("HGETALL", "map") == [b"f", b"v"]
            assert new.command("HGETALL", "map") == Map([(b"f", b"v")])
            assert old.command("GET", "none") == NULL_BULK
            assert new.command("GET", "none") == NULL
    with proxy.resp() as client:  # the change takes effect between requests of one pipeline
        replies = client.pipeline(
            ("GET", "none"), ("HELLO", "3"), ("GET", "none"), ("HELLO", "2"), ("GET", "none")
        )
        assert (replies[0], replies[2], replies[4]) == (NULL_BULK, NULL, NULL_BULK)


def test_order_of_fifty_pipelining_clients(proxy: ShoalProxy) -> None:
    """Every reply carries a token that only its own request can have caused."""
    failures: list[str] = []

    def converse(number: int) -> None:
        with proxy.resp(timeout=20) as client:
            for turn in range(5):
                tokens = [f"{number}-{turn}-{index}" for index in range(60)]
                requests: list[bytes] = []
                expected: list[object] = []
                for token in tokens:
                    requests += [
                        encode("SET", f"k{token}", token),
                        encode("ECHO", token),
                        encode("GET", f"k{token}"),
                    ]
                    requests += [
                        encode("MGET", f"k{token}", f"x{token}"),
                        encode("DEL", f"k{token}", f"x{token}"),
                    ]
                    raw = token.encode()
                    expected += [Simple("OK"), raw, raw, [raw, NULL_BULK], 1]
                client.send(b"".join(requests))
                got = [client.read() for _ in expected]
                if got != expected:
                    failures.append(f"client {number}, turn {turn}")

    threads = [threading.Thread(target=converse, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert not any(thread.is_alive() for thread in threads)


def test_long_pipeline_passes_the_limit_of_requests_in_flight(proxy: ShoalProxy) -> None:
    count = 20000
    with proxy.resp(timeout=20) as client:
        raw = b"".join(encode("INCRBY", "n", 1) if i % 3 else encode("ECHO", i) for i in range(count))
        sender = threading.Thread(target=client.send, args=(raw,))
        sender.start()
        replies = [client.read() for _ in range(count)]
        sender.join()
        assert replies[::3] == [b"%d" % i for i in range(0, count, 3)]
        increments = [reply for i, reply in enumerate(replies) if i % 3]
        assert increments == list(range(increments[0], increments[0] + len(increments)))


def test_big_values(proxy: ShoalProxy) -> None:
    value = bytes(range(256)) * 40960  # 10 MB
    with proxy.client(socket_timeout=30) as client:
        assert client.mset({f"big{i}": value for i in range(4)})
        assert client.mget([f"big{i}" for i in range(4)]) == [value] * 4
        pipeline = client.pipeline(transaction=False)
        for i in range(4):
            pipeline.get(f"big{i}").set(f"small{i}", i).get(f"small{i}")
        for i, (big, ok, small) in enumerate(zip(*[iter(pipeline.execute())] * 3, strict=True)):
            assert big == value
            assert ok is True
            assert small == b"%d" % i
        client.delete(*(f"big{i}" for i in range(4)))


def test_frames_in_small_pieces(proxy: ShoalProxy) -> None:
    with proxy.resp() as client:
        for byte in encode("SET", "pieces", "v" * 50) + encode("GET", "pieces"):
            client.send(bytes((byte,)))
        assert client.read() == Simple("OK")
        assert client.read() == b"v" * 50


def test_one_request_with_very_many_arguments(proxy: ShoalProxy) -> None:
    with proxy.resp(timeout=30) as client:
        assert client.command("RPUSH", "long", *range(200000)) == 200000
        assert client.command("MGET", *(f"none{i}" for i in range(50000))) == [NULL_BULK] * 50000
        assert client.command("DEL", "long") == 1


def test_inline_commands_and_irregular_frames(proxy: ShoalProxy) -> None:
    with proxy.resp() as client:
        assert client.inline("SET 'in line' \"a\\tb\"") == Simple("OK")
        assert client.command("GET", "in line") == b"a\tb"
        client.send(b"\r\n*0\r\n*2\rX$3\r\nGET\r\n$7\r\nin lineZZ*1\r\n$4\r\nPING\r\n")
        assert client.read() == b"a\tb"
        assert client.read() == Simple("PONG")


def test_errors_a_client_gets(proxy: ShoalProxy) -> None:
    with proxy.resp() as client:
        client.command("SET", "s", "x")
        for argv, text in [
            (("LPUSH", "s", "1"), "WRONGTYPE Operation against a key holding the wrong kind of value"),
            (("RENAME", "a", "b"), "CROSSSLOT Keys in request don't hash to the same slot"),
            (("MSETNX", "a", "1", "b", "2"), "CROSSSLOT Keys in request don't hash to the same slot"),
            (("NONSENSE", "a"), "ERR unknown command 'NONSENSE', with args beginning with: 'a' "),
            (("GET",), "ERR wrong number of arguments for 'get' command"),
            (("MSET", "a", "1", "b"), "ERR wrong number of arguments for 'mset' command"),
            (("MGET",), "ERR wrong number of arguments for 'mget' command"),
            (("SELECT", "1"), "ERR DB index is out of range"),
            (("SELECT", "x"), "ERR value is not an integer or out of range"),
            (("HELLO", "4"), "NOPROTO unsupported protocol version"),
            (("CLIENT", "NONSENSE"), "ERR unknown subcommand 'NONSENSE'. Try CLIENT HELP."),
            (("CLUSTER", "NODES"), "ERR This instance has cluster support disabled"),
            (("EXEC",), "ERR EXEC without MULTI"),
            (("BLPOP", "a", "b", "0"), "CROSSSLOT Keys in request don't hash to the same slot"),
            (("CONFIG", "SET", "nonsense", "1"), None),
            (("SCAN", "x"), "ERR invalid cursor"),
        ]:
            reply = client.command(*argv)
            assert isinstance(reply, Error), (argv, reply)
            assert text is None or reply.text == text


@pytest.mark.parametrize(
    "raw, words",
    [
        (b"*1\r\nPING\r\n", "expected '$', got 'P'"),
        (b"*99999999999\r\n", "invalid multibulk length"),
        (b"*2\r\n$3\r\nGET\r\n$1073741824\r\n", "invalid bulk length"),
        (b"GET 'a\r\n", "unbalanced quotes in request"),
        (b"x" * 70000, "too big inline request"),
    ],
)
def test_protocol_errors_come_after_earlier_replies_and_close(
    proxy: ShoalProxy, raw: bytes, words: str
) -> None:
    with proxy.resp() as client:
        client.send(encode("SET", "before", "1") + encode("GET", "before") + raw)
        answer = client.read_until_closed()
    assert answer == b"+OK\r\n$1\r\n1\r\n-ERR Protocol error: " + words.encode() + b"\r\n"


def test_requests_before_the_end_of_input_are_answered(proxy: ShoalProxy) -> None:
    with proxy.resp() as client:
        client.send(encode("SET", "last", "words") + encode("GET", "last") + encode("DEL", "last", "nobody"))
        client.socket.shutdown(socket.SHUT_WR)
        assert client.read_until_closed() == b"+OK\r\n$5\r\nwords\r\n:1\r\n"


def test_quit_and_reset(proxy: ShoalProxy) -> None:
    with proxy.resp() as client:
        client.send(encode("GET", "nobody") + encode("QUIT") + encode("PING"))
        assert client.read_until_closed() == b"$-1\r\n+OK\r\n"
    with proxy.resp(protocol=3) as client:
        client.command("CLIENT", "SETNAME", "me")
        assert client.command("RESET") == Simple("RESET")
        assert client.command("CLIENT", "GETNAME") == NULL_BULK


def test_client_reply_modes(proxy: ShoalProxy) -> None:
    with proxy.resp() as client:
        client.send(encode("CLIENT", "REPLY", "SKIP") + encode("SET", "a", "1") + encode("GET", "a"))
        assert client.read() == b"1"
        client.send(encode("CLIENT", "REPLY", "OFF") + encode("SET", "a", "2") + encode("MGET", "a", "b"))
        client.send(encode("CLIENT", "REPLY", "ON") + encode("GET", "a"))
        assert client.read() == Simple("OK")
        assert client.read() == b"2"


def test_client_introspection_and_kill(proxy: ShoalProxy) -> None:
    with (
        proxy.client(client_name="watcher") as watcher,
        proxy.client(client_name="victim", retry=None) as victim,
    ):
        victim_id = victim.client_id()
        lines = {line["name"]: line for line in watcher.client_list()}
        assert lines["victim"]["id"] == str(victim_id)
        assert lines["victim"]["lib-name"] == "redis-py"
        assert watcher.client_kill_filter(_id=str(victim_id)) == 1
        eventually(lambda: "victim" not in {line["name"] for line in watcher.client_list()}, "victim gone")
    with proxy.resp() as killer, proxy.resp() as victim:
        number = victim.command("CLIENT", "ID")
        here = killer.command("CLIENT", "INFO").decode().split(" laddr=")[1].split(" ")[0]
        for miss in (("MAXAGE", 10000), ("TYPE", "pubsub"), ("LADDR", "1.2.3.4:5")):
            assert killer.command("CLIENT", "KILL", "ID", number, *miss) == 0
        hits = ("TYPE", "normal", "USER", "default", "LADDR", here)
        assert killer.command("CLIENT", "KILL", "ID", number, *hits) == 1
        assert victim.read_until_closed() == b""
        assert killer.command("CLIENT", "KILL", "USER", "nobody") == Error("ERR No such user 'nobody'")
        assert killer.command("CLIENT", "KILL", "ID", 0) == Error("ERR client-id should be greater than 0")


def test_client_that_never_reads_stalls_alone(proxy: ShoalProxy) -> None:
    """Its replies would be thousands of GB. Neither does the proxy keep them, nor do others wait."""
    with proxy.client() as client:
        client.set("fat", b"x" * 1_000_000)
    with proxy.resp() as glutton, proxy.resp() as other:
        glutton.socket.setblocking(False)
        request = encode("GET", "fat")
        with pytest.raises(BlockingIOError):
            for _ in range(200_000):
                glutton.socket.send(request * 100)
        for index in range(100):
            assert other.command("SET", f"other{index}", index) == Simple("OK")
        rows = proxy.client().client_list()
        assert max(int(row["omem"]) for row in rows) < 200_000_000
        assert resident_bytes(proxy.pid) < 600_000_000


def test_disconnect_with_requests_in_flight(proxy: ShoalProxy) -> None:
    for _ in range(20):
        client = proxy.resp()
        client.send(
            b"".join(encode("SET", f"gone{i}", i) + encode("MGET", "a", "b", "c") for i in range(200))
        )
        client.close()
    with proxy.resp(timeout=20) as client:
        assert client.command("GET", "nobody") == NULL_BULK
    facts = proxy.facts()
    assert all("state=down" not in value for value in facts.values())


def test_passwords_on_both_sides() -> None:
    with cluster_of(3, kind="valkey", form=False, requirepass="inner", masterauth="inner") as cluster:
        redis_cli(
            "-a", "inner", "--no-auth-warning", "--cluster", "create", *cluster.addresses, "--cluster-yes"
        )
        with ShoalProxy(cluster.addresses, "--upstream-auth", "inner", password="outer") as proxy:
            with proxy.resp() as client:
                assert client.command("GET", "a") == Error("NOAUTH Authentication required.")
                assert client.command("MGET", "a", "b") == Error("NOAUTH Authentication required.")
                wrong = Error("WRONGPASS invalid username-password pair or user is disabled.")
                assert client.command("AUTH", "inner") == wrong
                assert client.command("AUTH", "default", "outer") == Simple("OK")
                eventually(lambda: client.command("SET", "a", "1") == Simple("OK"), "cluster formed")
            with proxy.client(password="outer", protocol=3) as client3:
                assert client3.get("a") == b"1"
            with proxy.resp() as client:
                client.send(b"*11\r\n")
                assert client.read() == Error("ERR Protocol error: unauthenticated multibulk length")


def test_too_many_clients(cluster: RunningCluster) -> None:
    with ShoalProxy(cluster.addresses, "--maxclients", "5") as proxy:
        open_ones = [proxy.resp() for _ in range(5)]
        assert all(client.command("PING") == Simple("PONG") for client in open_ones)
        with proxy.resp() as late:
            assert late.read() == Error("ERR max number of clients reached")
        open_ones.pop().close()
        eventually(lambda: proxy.run("PING") == Simple("PONG"), "a place is free again")
        for client in open_ones:
            client.close()


def test_unix_socket(cluster: RunningCluster) -> None:
    proxy = ShoalProxy(cluster.addresses)
    path = str(proxy.directory / "s")
    proxy.options += ["--unixsocket", path]
    with proxy:
        with Resp(0, path=path) as client:
            assert client.command("SET", "unix", "1") == Simple("OK")
        assert redis.Redis(unix_socket_path=path).get("unix") == b"1"
        assert proxy.stop() == 0
        assert not (proxy.directory / "s").exists()
