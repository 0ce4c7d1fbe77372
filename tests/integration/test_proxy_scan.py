"""SCAN through the proxy: one cursor over all workers, of three kinds, which walk in three different ways.

What has to hold: a key that is there all the time is returned, whatever moves meanwhile.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from node.core.key_slot import key_slot
from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.proxies import ShoalProxy
from tests.harness.resp import Error, Resp, Simple
from tests.harness.servers import Server
from tests.harness.wait import eventually


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with cluster_of(3, kind=["shoal", "valkey", "redis-7.0"]) as running:
        yield running


@pytest.fixture(scope="module")
def proxies(cluster: RunningCluster) -> Iterator[list[ShoalProxy]]:
    with ShoalProxy(cluster.addresses[:1]) as one, ShoalProxy(cluster.addresses[1:]) as other:
        yield [one, other]


@pytest.fixture
def clients(proxies: list[ShoalProxy]) -> Iterator[list[Resp]]:
    """Of two proxies, to be used in turns: a cursor must be as good at the other."""
    with proxies[0].resp(timeout=20) as one, proxies[1].resp(timeout=20, protocol=3) as other:
        one.command("FLUSHALL")
        yield [one, other]


def scan(
    clients: list[Resp], *options: object, on_step: Callable[[int], None] = lambda step: None
) -> Counter[str]:
    """How often each key was returned by a whole walk; `on_step` is called after each step."""
    cursor = b"0"
    seen: Counter[str] = Counter()
    for step, client in enumerate(itertools.cycle(clients)):
        cursor, keys = client.command("SCAN", cursor, *map(str, options))
        assert int(cursor) < 1 << 63
        seen.update(key.decode() for key in keys)
        if cursor == b"0":
            return seen
        assert step < 5000, "the walk does not end"
        on_step(step)
    raise AssertionError


@pytest.mark.parametrize("count", [3, 50, 5000])
def test_every_key_once_while_nothing_changes(clients: list[Resp], count: int) -> None:
    assert scan(clients) == Counter()
    keys = {f"key:{number}" for number in range(400)} | {f"{{tag}}{number}" for number in range(300)}
    clients[0].command("MSET", *(word for key in keys for word in (key, "x")))
    clients[0].command("SADD", "a:set", "x")
    assert scan(clients, "COUNT", count) == Counter(keys | {"a:set"})
    assert scan(clients, "COUNT", count, "MATCH", "key:1*") == Counter(
        key for key in keys if key.startswith("key:1")
    )
    assert scan(clients, "TYPE", "set", "COUNT", count) == Counter(["a:set"])


def test_a_pattern_of_one_slot_asks_one_worker(clients: list[Resp], cluster: RunningCluster) -> None:
    keys = {f"{{{tag}}}{number}" for tag in "abc" for number in range(30)}
    clients[0].command("MSET", *(word for key in keys for word in (key, "x")))
    for tag in "abc":
        steps = []
        seen = scan(clients, "MATCH", f"{{{tag}}}*", "COUNT", 1000, on_step=steps.append)
        assert seen == Counter(key for key in keys if key.startswith(f"{{{tag}}}"))
        assert len(steps) <= 1


def test_errors(clients: list[Resp]) -> None:
    for arguments, text in [
        (["x"], "ERR invalid cursor"),
        (["-1"], "ERR invalid cursor"),
        ([str(1 << 64)], "ERR invalid cursor"),
        (["0", "COUNT", "0"], "ERR syntax error"),
        (["0", "MATCH"], "ERR syntax error"),
        (["0", "COUNT", "x"], "ERR value is not an integer or out of range"),
    ]:
        assert clients[0].command("SCAN", *arguments) == Error(text)
    assert clients[0].command("SCAN", str((1 << 64) - 1))[1] == []


def begin_move(cluster: RunningCluster, slot: int, source: Server, target: Server) -> None:
    assert target.run("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.id_of(source)) == Simple("OK")
    assert source.run("CLUSTER", "SETSLOT", slot, "MIGRATING", cluster.id_of(target)) == Simple("OK")


def move_keys(source: Server, target: Server, slot: int, count: int) -> int:
    keys = source.run("CLUSTER", "GETKEYSINSLOT", slot, count)
    if keys:
        moved = source.run("MIGRATE", target.host, target.port, "", 0, 5000, "KEYS", *keys)
        assert moved == Simple("OK"), moved
    return len(keys)


def end_move(cluster: RunningCluster, slot: int, source: Server, target: Server) -> None:
    for node in (target, source, *cluster.nodes):
        node.run("CLUSTER", "SETSLOT", slot, "NODE", cluster.id_of(target))


@pytest.mark.parametrize("keys_per_step", [0, 7, 40])
@pytest.mark.parametrize("pair", [(0, 1), (1, 0), (0, 2), (2, 0)], ids=str)
def test_no_key_is_missed_while_its_slot_moves(
    clients: list[Resp], cluster: RunningCluster, pair: tuple[int, int], keys_per_step: int
) -> None:
    """Keys leave while we walk through their slot, and the slot arrives before or after we are through."""
    source, target = (cluster.nodes[index] for index in pair)
    tag = next(tag for tag in map(str, range(1000)) if cluster.owner_of(tag) is source)
    slot = key_slot(tag.encode())
    keys = {f"{{{tag}}}{number}" for number in range(200)} | {f"key:{number}" for number in range(50)}
    clients[0].command("MSET", *(word for key in keys for word in (key, "x")))
    state = {"begun": False, "left": True}
    met = Counter[str]()

    def move_on(step: int) -> None:
        if not state["begun"]:
            state["begun"] = True
            begin_move(cluster, slot, source, target)
        elif state["left"] and (not keys_per_step or move_keys(source, target, slot, keys_per_step) == 0):
            while move_keys(source, target, slot, 1000):
                pass
            end_move(cluster, slot, source, target)
            state["left"] = False

    met = scan(clients, "COUNT", 10, on_step=move_on)
    assert set(met) == keys
    while state["left"]:
        move_on(0)
    assert set(scan(clients, "COUNT", 10)) == keys
    begin_move(cluster, slot, target, source)
    while move_keys(target, source, slot, 1000):
        pass
    end_move(cluster, slot, target, source)
    eventually(lambda: clients[0].command("GET", f"{{{tag}}}1") == b"x", "the slot is back")
