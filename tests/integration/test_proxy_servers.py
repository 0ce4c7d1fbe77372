"""Commands about servers, through the proxy: many workers, one answer; or one node's, if it is named."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.proxies import ShoalProxy
from tests.harness.resp import Error, Resp, Simple
from tests.harness.wait import eventually


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with cluster_of(3, 1, kind=["shoal", "shoal", "valkey"]) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(cluster: RunningCluster) -> Iterator[ShoalProxy]:
    with ShoalProxy(cluster.addresses[:1]) as running:
        yield running


@pytest.fixture(params=[2, 3])
def client(request: pytest.FixtureRequest, proxy: ShoalProxy) -> Iterator[Resp]:
    with proxy.resp(protocol=request.param, timeout=20) as connection:
        connection.command("FLUSHALL")
        yield connection


def primaries(cluster: RunningCluster) -> list[Any]:
    return [node for node in cluster.nodes if "master" in cluster.line_of(node).flags]


def info(client: Resp, *arguments: str) -> dict[str, str]:
    reply = client.command("INFO", *arguments)
    text = (reply if isinstance(reply, bytes) else reply.text).decode()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def test_info_is_of_all_or_of_one(client: Resp, cluster: RunningCluster) -> None:
    for number in range(30):
        client.command("SET", f"k{number}", number)
    everything = info(client)
    assert everything["server_name"] == "shoal-proxy"
    assert everything["role"] == "master"
    assert everything["db0"].startswith("keys=30,")
    assert int(everything["used_memory"]) > 3 * 100_000
    assert set(info(client, "clients")) == {
        *("connected_clients", "maxclients"),
        *("blocked_clients", "pubsub_clients", "watching_clients", "tracking_clients"),
    }
    assert set(info(client, "keyspace")) == {"db0"}
    sizes = 0
    for node in primaries(cluster):
        one = info(client, "node", node.address, "server", "keyspace")
        assert one["tcp_port"] == str(node.port)
        sizes += int(one["db0"].split(",")[0].removeprefix("keys="))
    assert sizes == 30
    assert client.command("INFO", "NODE", "1.2.3.4:5") == Error("ERR Unknown node 1.2.3.4:5")


def test_scripts_and_functions_are_everywhere(client: Resp, cluster: RunningCluster) -> None:
    digest = client.command("SCRIPT", "LOAD", "return ARGV[1]")
    assert client.command("SCRIPT", "EXISTS", digest, "0" * 40) == [1, 0]
    for key in ("a", "b", "c"):
        assert client.command("EVALSHA", digest, 1, key, key) == key.encode()
    assert client.command("SCRIPT", "FLUSH") == Simple("OK")
    assert client.command("SCRIPT", "EXISTS", digest) == [0]
    library = "#!lua name=lib\nredis.register_function('f', function(keys) return keys[1] end)"
    assert client.command("FUNCTION", "LOAD", "REPLACE", library) == b"lib"
    for key in ("a", "b", "c"):
        assert client.command("FCALL", "f", 1, key) == key.encode()
    payload = client.command("FUNCTION", "DUMP")
    assert client.command("FUNCTION", "DELETE", "lib") == Simple("OK")
    assert client.command("FUNCTION", "RESTORE", payload) == Simple("OK")
    assert b"lib" in client.command_raw("FUNCTION", "LIST")
    assert b"libraries_count\r\n:1" in client.command_raw("FUNCTION", "STATS")
    assert client.command("FUNCTION", "FLUSH") == Simple("OK")
    assert client.command("FUNCTION", "LIST") == []


def test_a_running_script_can_be_killed(proxy: ShoalProxy, client: Resp) -> None:
    """Although the connection on which it came stands still."""
    idle = client.command("SCRIPT", "KILL")
    assert isinstance(idle, Error)
    assert idle.prefix == "NOTBUSY"
    client.command("CONFIG", "SET", "busy-reply-threshold", "1")
    with proxy.resp(timeout=20) as looper:
        looper.send_command("EVAL", "while true do end", 1, "a")
        eventually(lambda: client.command("SCRIPT", "KILL") == Simple("OK"), "the script is killed")
        reply = looper.read()
        assert isinstance(reply, Error)
        assert "kill" in reply.text.lower()
    client.command("CONFIG", "SET", "busy-reply-threshold", "5000")


def test_config_of_workers_of_one_worker_and_of_the_proxy(
    proxy: ShoalProxy, client: Resp, cluster: RunningCluster
) -> None:
    def get(*arguments: str) -> dict[bytes, bytes]:
        reply = client.command("CONFIG", "GET", *arguments)
        return dict(zip(reply[::2], reply[1::2], strict=True) if isinstance(reply, list) else reply.pairs)

    name = "hash-max-listpack-entries"
    assert client.command("CONFIG", "SET", name, "77") == Simple("OK")
    assert get("hash-max-listpack-*")[b"hash-max-listpack-entries"] == b"77"
    assert {node.run("CONFIG", "GET", "hash-max-listpack-entries")[1] for node in cluster.nodes} == {b"77"}
    one = cluster.nodes[0]
    assert client.command("CONFIG", "SET", "NODE", one.address, name, "78") == Simple("OK")
    assert get("NODE", one.address, "hash-max-listpack-entries") == {b"hash-max-listpack-entries": b"78"}
    assert one.run("CONFIG", "GET", "hash-max-listpack-entries")[1] == b"78"
    assert cluster.nodes[1].run("CONFIG", "GET", "hash-max-listpack-entries")[1] == b"77"
    assert get("port", "maxclients") == {b"port": str(proxy.port).encode(), b"maxclients": b"10000"}
    assert get("NODE", one.address, "port") == {b"port": str(one.port).encode()}
    assert client.command("CONFIG", "SET", "maxclients", "9000") == Simple("OK")
    assert info(client, "clients")["maxclients"] == "9000"
    immutable = client.command("CONFIG", "SET", "port", "1")
    assert immutable == Error(
        "ERR CONFIG SET failed (possibly related to argument 'port') - can't set immutable config"
    )
    client.command("CONFIG", "SET", "maxclients", "10000")


def test_logs_of_all_workers_are_one(client: Resp, cluster: RunningCluster) -> None:
    client.command("CONFIG", "SET", "slowlog-log-slower-than", "0")
    try:
        assert client.command("SLOWLOG", "RESET") == Simple("OK")
        for number in range(20):
            client.command("SET", f"k{number}", number)
        entries = client.command("SLOWLOG", "GET", "100")
    finally:
        client.command("CONFIG", "SET", "slowlog-log-slower-than", "10000")
    written = [entry[3][1] for entry in entries if entry[3][0] == b"SET"]
    assert set(written) == {b"k%d" % number for number in range(20)}  # of replicas, too
    times = [entry[1] for entry in entries]
    assert times == sorted(times, reverse=True)
    assert len(client.command("SLOWLOG", "GET", "3")) == 3
    assert client.command("SLOWLOG", "LEN") >= 20
    one = primaries(cluster)[0]
    assert client.command("SLOWLOG", "LEN", "NODE", one.address) < client.command("SLOWLOG", "LEN")


def test_wait_counts_replicas_of_all_primaries(client: Resp) -> None:
    for number in range(10):
        client.command("SET", f"k{number}", number)
    assert client.command("WAIT", "1", "5000") == 1
    assert client.command("WAIT", "2", "500") == 1
    assert client.command("WAITAOF", "0", "0", "100") == [0, 0]
    assert isinstance(client.command("WAITAOF", "1", "0", "100"), Error)
    assert isinstance(client.command("WAIT", "x", "0"), Error)
    assert client.command("WAIT", "1", "-1") == Error("ERR timeout is negative")


def test_random_keys_are_fair(client: Resp, cluster: RunningCluster) -> None:
    """One shard has one key, the others have many: that one is rare."""
    lonely = primaries(cluster)[0]
    tags = {cluster.owner_of(tag).address: tag for tag in "abcdefgh"}
    single = tags.pop(lonely.address)
    client.command("SET", single, "1")
    many = [f"{{{tag}}}{number}" for tag in tags.values() for number in range(150)]
    client.command("MSET", *(word for key in many for word in (key, "1")))
    drawn = [client.command("RANDOMKEY").decode() for _ in range(100)]
    assert set(drawn) <= {single, *many}
    assert drawn.count(single) < 10
    assert len(set(drawn)) > 30


def test_commands_that_are_for_all_or_speak_for_all(client: Resp) -> None:
    before = client.command("LASTSAVE")
    assert client.command("SAVE") == Simple("OK")
    assert client.command("LASTSAVE") >= before > 0
    assert client.command("MEMORY", "USAGE", "none") in (None, *[client.command("GET", "none")])
    assert b"keys.count" in client.command_raw("MEMORY", "STATS")
    assert client.command("MEMORY", "DOCTOR")
    assert client.command("LATENCY", "LATEST") == []
    assert client.command("LATENCY", "RESET") == 0
    assert client.command("PUBSUB", "CHANNELS") == []
    assert client.command("PUBSUB", "NUMSUB", "a", "b") == [b"a", 0, b"b", 0]
    assert client.command("PUBSUB", "NUMPAT") == 0
    assert client.command("DEBUG", "SLEEP", "0") in (Simple("OK"), Error(client_debug_refusal(client)))
    assert client.command("ACL", "WHOAMI") == b"default"
    assert client.command("ACL", "SETUSER", "guest", "on", "nopass", "+@read") == Simple("OK")
    assert client.command("ACL", "USERS") == [b"default", b"guest"]
    assert client.command("ACL", "DELUSER", "guest") == 1
    assert client.command("SWAPDB", "0", "1") == Error("ERR DB index is out of range")
    assert client.command("MOVE", "a", "1") == Error("ERR DB index is out of range")


def client_debug_refusal(client: Resp) -> str:
    return str(client.command("DEBUG", "SLEEP", "0").text)


def test_blocked_waits_hold_up_nobody(proxy: ShoalProxy, client: Resp) -> None:
    waiting = proxy.resp(timeout=20)
    try:
        waiting.command("SET", "a", "1")
        waiting.send_command("WAIT", "5", "0")
        done = threading.Event()

        def converse() -> None:
            for number in range(200):
                client.command("SET", f"k{number}", number)
            done.set()

        thread = threading.Thread(target=converse)
        thread.start()
        assert done.wait(10)
        thread.join()
        assert waiting.silent()
    finally:
        waiting.close()
