"""The command line against real clusters of every kind: what works on ours must work on Redis and Valkey."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from node.core.key_slot import key_slot
from tests.harness.busy import PACE, busy
from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.servers import Oracle, Server, source_environment
from tests.harness.shoal_command import COMMAND, shoal
from tests.harness.wait import eventually

KEYS = 4000


@pytest.fixture(scope="module", params=["redis", "valkey", "shoal"])
def cluster(request: pytest.FixtureRequest) -> Iterator[RunningCluster]:
    """Three primaries, formed by `shoal create`, with KEYS keys `key:N` -> `value:N`."""
    with cluster_of(3, kind=request.param, form=False) as strangers:
        shoal("create", *strangers.addresses, "--yes")
        strangers.wait_settled()
        with strangers.client() as client:
            fill(client)
        yield strangers


def fill(client: redis.RedisCluster) -> None:
    pipeline = client.pipeline()
    for n in range(KEYS):
        pipeline.set(f"key:{n}", f"value:{n}")
    pipeline.execute()


def missing_keys(client: redis.RedisCluster) -> list[int]:
    pipeline = client.pipeline()
    for n in range(KEYS):
        pipeline.get(f"key:{n}")
    return [n for n, value in enumerate(pipeline.execute()) if value != f"value:{n}".encode()]


def slot_counts(cluster: RunningCluster) -> dict[int, int]:
    """port -> number of slots, as the first node sees it."""
    counts = {node.port: 0 for node in cluster.nodes}
    ports = {cluster.id_of(node): node.port for node in cluster.nodes}
    for first, last, owner in cluster.slot_owners(cluster.nodes[0]):
        counts[ports[owner]] += last - first + 1
    return counts


@contextmanager
def writing(cluster: RunningCluster) -> Iterator[list[Exception]]:
    """A redis-py client that reads and writes all the time; yields the errors it meets, which should be
    none."""
    errors: list[Exception] = []
    rounds = 0
    stop = threading.Event()

    def work() -> None:
        nonlocal rounds
        with cluster.client() as client:
            while not stop.wait(PACE):
                n = rounds % KEYS
                try:
                    client.set(f"key:{n}", f"value:{n}")
                    assert client.get(f"key:{n}") == f"value:{n}".encode()
                except Exception as error:
                    errors.append(error)
                rounds += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        eventually(lambda: rounds > 10, "the writer writes")
        yield errors
        seen = rounds
        eventually(lambda: rounds > seen + 10, "the writer still writes")
    finally:
        stop.set()
        thread.join()


class TestLooking:
    def test_a_sound_cluster_checks_out(self, cluster: RunningCluster) -> None:
        assert "16384 of 16384 slots are served" in shoal("check", cluster.addresses[1]).out
        assert shoal("check", cluster.addresses[1], "--json").json == {"ok": True, "problems": []}

    def test_nodes_and_info_name_every_member(self, cluster: RunningCluster) -> None:
        rows = shoal("nodes", cluster.addresses[0], "--json").json
        assert {row["address"] for row in rows} == set(cluster.addresses)
        assert {row["id"] for row in rows} == {cluster.id_of(node) for node in cluster.nodes}
        info = shoal("info", cluster.addresses[0], "--json").json
        assert info["cluster"]["primaries"] == 3
        assert info["cluster"]["keys"] == KEYS
        text = shoal("info", cluster.addresses[0]).out
        assert all(address in text for address in cluster.addresses)

    def test_slots_finds_the_owner_of_a_key(self, cluster: RunningCluster) -> None:
        found = shoal("slots", cluster.addresses[0], "--key", "{user}1", "--json").json
        assert found["slot"] == 5474
        owner = cluster.owner_of("{user}1")
        assert found["ranges"][0]["primary"] == owner.address
        assert "5474" in shoal("slots", cluster.addresses[0], "--key", "{user}1").out

    def test_call_reaches_every_member(self, cluster: RunningCluster) -> None:
        replies = shoal("call", "--at", cluster.addresses[0], "--json", "CLUSTER", "MYID").json
        assert replies == {node.address: cluster.id_of(node) for node in cluster.nodes}
        refused = shoal("call", "--at", cluster.addresses[0], "GET", "a", code=1).out
        assert refused.count("(error) MOVED 15495") == 2
        assert shoal("call", "--at", cluster.addresses[0], "--replicas", "--json", "PING").json == {}
        assert len(shoal("call", "--at", cluster.addresses[0], "--primaries", "--json", "PING").json) == 3

    def test_top_tells_what_all_are_doing(self, cluster: RunningCluster) -> None:
        with writing(cluster):
            figures = shoal("top", cluster.addresses[0], "--once", "--interval", 0.2, "--json").json
        assert figures["cluster"]["keys"] == KEYS
        assert figures["cluster"]["ops_per_second"] > 0
        assert {row["address"] for row in figures["nodes"]} == set(cluster.addresses)
        assert {row["state"] for row in figures["nodes"]} == {"ok"}
        assert any(row["p99_us"] and row["p99_us"] >= row["p50_us"] for row in figures["nodes"])
        text = shoal("top", cluster.addresses[0], "--once", "--interval", 0.1, "--sort", "ops").out
        assert all(address in text for address in cluster.addresses)

    def test_keys_of_all_primaries_are_gone_through(self, cluster: RunningCluster) -> None:
        found = shoal("bigkeys", cluster.addresses[0], "--rate", 0, "--json").json
        assert {name: of["keys"] for name, of in found["types"].items()} == {"string": KEYS}
        refused = shoal("hotkeys", cluster.addresses[0], "--by", "frequency", code=1)
        assert "An LFU maxmemory policy is not selected" in refused.err


class TestMoving:
    def test_dry_run_changes_nothing(self, cluster: RunningCluster) -> None:
        before = slot_counts(cluster)
        target = cluster.addresses[0]
        plan = shoal("reshard", target, "--to", target, "--slots", 100, "--dry-run", "--json").json
        assert sum(move["count"] for move in plan["moves"]) == 100
        assert {move["to"] for move in plan["moves"]} == {target}
        assert "100 slots to move" in shoal("reshard", target, "--to", target, "-n", 100, "--dry-run").out
        assert slot_counts(cluster) == before

    def test_without_yes_it_asks(self, cluster: RunningCluster) -> None:
        before = slot_counts(cluster)
        target = cluster.addresses[0]
        declined = shoal("reshard", target, "--to", target, "--slots", 1, input="n\n", code=130)
        assert "Move these slots?" in declined.out
        assert slot_counts(cluster) == before

    def test_reshard_under_a_writer_loses_nothing(self, cluster: RunningCluster) -> None:
        before = slot_counts(cluster)
        target = cluster.nodes[0]
        with writing(cluster) as errors:
            done = shoal(
                "reshard", cluster.addresses[1], "--to", target.port, "--slots", 300, "--yes", "--json"
            )
        assert errors == []
        assert done.json["moved"]["slots"] == 300
        assert done.json["moved"]["keys"] > 0
        eventually(cluster.is_settled, "all agree on the new owners")
        after = slot_counts(cluster)
        assert after[target.port] == before[target.port] + 300
        with cluster.client() as client:
            assert missing_keys(client) == []
        assert shoal("check", target.address, "--json").json["ok"]

    def test_loads_are_told_by_all_as_far_as_they_count_them(self, cluster: RunningCluster) -> None:
        """Moves by load are like any other; see test_balance_by_load.py."""
        first, hot = cluster.addresses[0], cluster.owner_of("key:7")
        for by, total in (("keys", KEYS), ("memory", 40 * KEYS)):
            plan = shoal("rebalance", first, "--by", by, "--dry-run", "--json").json
            assert sum(row["before"] for row in plan["nodes"]) >= total
        silent = shoal("rebalance", first, "--by", "cpu", "--watch", "0.1", "--dry-run", code=1)
        assert "CONFIG SET cluster-slot-stats-enabled yes" in silent.err
        shoal("call", "--at", first, "CONFIG", "SET", "cluster-slot-stats-enabled", "yes")
        with hot.resp() as client, busy(lambda: client.pipeline(*[("GET", "key:7")] * 50)):
            plan = shoal("rebalance", first, "--by", "cpu", "--watch", "0.3", "--dry-run", "--json").json
            ops = shoal("rebalance", first, "--by", "ops", "--watch", "0.1", "--dry-run", code=None)
        loads = {row["address"]: row["before"] for row in plan["nodes"]}
        assert max(loads, key=lambda address: loads[address]) == hot.address
        assert plan["slots_heavier_than_a_share"] == [key_slot(b"key:7")]
        if cluster.nodes[0].kind == "shoal":
            assert ops.code == 0
        else:
            assert "does not tell the reads of its slots; balance by cpu, keys or memory" in ops.err
        shoal("call", "--at", first, "CONFIG", "SET", "cluster-slot-stats-enabled", "no")

    def test_rebalance_restores_equal_shares(self, cluster: RunningCluster) -> None:
        first = cluster.addresses[0]
        shoal("reshard", first, "--to", cluster.nodes[2].port, "--slots", 200, "--yes")
        eventually(cluster.is_settled, "all agree on the new owners")
        done = shoal("rebalance", first, "--threshold", 0, "--yes")
        assert "slots with" in done.out
        eventually(cluster.is_settled, "all agree on the new owners")
        assert sorted(slot_counts(cluster).values()) == [5461, 5461, 5462]
        assert "nothing to move" in shoal("rebalance", first, "--yes").out
        with cluster.client() as client:
            assert missing_keys(client) == []


class TestFixing:
    def open_slot(self, cluster: RunningCluster, slot: int) -> tuple[Server, Server]:
        """Put `slot` in motion, with one of its keys moved already."""
        first = cluster.nodes[0]
        owners = cluster.slot_owners(first)
        owner_id = next(owner for low, high, owner in owners if low <= slot <= high)
        source = next(node for node in cluster.nodes if cluster.id_of(node) == owner_id)
        target = next(node for node in cluster.nodes if node is not source)
        target.run("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.id_of(source))
        source.run("CLUSTER", "SETSLOT", slot, "MIGRATING", cluster.id_of(target))
        keys = source.run("CLUSTER", "GETKEYSINSLOT", slot, 1)
        source.run("MIGRATE", target.host, target.port, "", 0, 5000, "KEYS", *keys)
        return source, target

    def test_an_interrupted_move_is_seen_and_finished(self, cluster: RunningCluster) -> None:
        slot = cluster.nodes[0].run("CLUSTER", "KEYSLOT", "key:1")
        _, target = self.open_slot(cluster, slot)
        any_address = cluster.addresses[0]
        found = shoal("check", any_address, "--json", code=1).json["problems"]
        assert [problem["kind"] for problem in found] == ["open-slot", "open-slot"]
        blocked = shoal("reshard", any_address, "--to", any_address, "--slots", 1, "--yes", code=1)
        assert "shoal fix" in blocked.error_line
        plan = shoal("fix", any_address, "--dry-run", "--json").json
        assert [move["to"] for move in plan["finish"]] == [target.address]
        shoal("fix", any_address, "--yes")
        eventually(cluster.is_settled, "all agree on the new owner")
        assert cluster.owner_of("key:1") is target
        assert shoal("check", any_address, "--json").json["ok"]
        with cluster.client() as client:
            assert missing_keys(client) == []

    def test_keys_of_slots_that_others_serve_are_gathered(self, cluster: RunningCluster) -> None:
        any_address = cluster.addresses[0]
        owner = cluster.owner_of("key:1")
        holder = next(node for node in cluster.nodes if node is not owner)
        slot = owner.run("CLUSTER", "KEYSLOT", "key:1")
        holder.run("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.id_of(owner))
        with holder.resp() as connection:
            for key in ("key:1", "{key:1}stray"):
                connection.command("ASKING")
                connection.command("SET", key, "left over")
        holder.run("CLUSTER", "SETSLOT", slot, "STABLE")
        assert shoal("check", any_address, "--json").json["ok"]
        asking = [any_address, "--search-multiple-owners"]
        found = shoal("check", *asking, "--json", code=1).json["problems"]
        assert [problem["kind"] for problem in found] == ["stray"]
        assert f"{holder.address} has 2 keys" in found[0]["text"]
        shoal("fix", *asking, "--yes")
        assert shoal("check", *asking, "--json").json["ok"]
        assert owner.run("GET", "key:1") == b"value:1"
        assert owner.run("GETDEL", "{key:1}stray") == b"left over"

    def test_a_killed_reshard_leaves_what_fix_finishes(self, cluster: RunningCluster) -> None:
        any_address = cluster.addresses[0]
        before = cluster.slot_owners(cluster.nodes[0])
        argv = [
            *COMMAND,
            "reshard",
            any_address,
            "--to",
            any_address,
            "--slots",
            "1500",
            "--yes",
            "--classic",
            "--pipeline",
            "1",
        ]
        process = subprocess.Popen(
            argv, env=source_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        eventually(lambda: cluster.slot_owners(cluster.nodes[0]) != before, "the first slots have moved")
        process.kill()
        process.communicate()
        shoal("fix", any_address, "--yes")
        eventually(cluster.is_settled, "all agree")
        assert shoal("check", any_address, "--json").json["ok"]
        with cluster.client() as client:
            assert missing_keys(client) == []

    def test_a_killed_reshard_goes_on_where_it_was(self, cluster: RunningCluster, tmp_path: Path) -> None:
        """Key by key, so that it may be killed in the middle of a slot."""
        target = cluster.nodes[2]
        before = slot_counts(cluster)[target.port]
        options = ["--slots", "200", "--yes", "--classic", "--pipeline", "1", "--journal", str(tmp_path)]
        options += ["--bandwidth", "5kb"]  # so that it takes seconds
        process = subprocess.Popen(
            [*COMMAND, "reshard", target.address, "--to", target.address, *options],
            env=source_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        eventually(lambda: slot_counts(cluster)[target.port] > before, "the first slots have moved")
        process.kill()
        process.communicate()
        (plan,) = tmp_path.iterdir()
        done = shoal("migrations", "resume", str(plan), "--bandwidth", "0", "--json").json
        assert done["moved"]["slots"] == 200
        eventually(cluster.is_settled, "all agree on the new owners")
        assert slot_counts(cluster)[target.port] == before + 200
        assert shoal("check", target.address, "--json").json["ok"]
        with cluster.client() as client:
            assert missing_keys(client) == []

    def test_a_reshard_that_is_asked_to_stop_leaves_no_slot_open(self, cluster: RunningCluster) -> None:
        target = cluster.nodes[1].address
        before = cluster.slot_owners(cluster.nodes[0])
        argv = [*COMMAND, "reshard", target, "--to", target, "--slots", "3000", "--yes", "--pipeline", "1"]
        argv += ["--bandwidth", "5kb"]  # so that it takes seconds
        process = subprocess.Popen(
            argv, env=source_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        eventually(lambda: cluster.slot_owners(cluster.nodes[0]) != before, "the first slots have moved")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 130
        assert b"no slot is left open" in err
        eventually(cluster.is_settled, "all agree")
        assert shoal("check", target, "--json").json["ok"]


def test_import_into_a_cluster_in_use(cluster: RunningCluster, valkey_oracle: Oracle) -> None:
    """More of it is in test_cli_import, where the target is ours."""
    with valkey_oracle.client() as client:
        client.mset({f"import:{n}": n for n in range(200)})
        client.rpush("import:list", *range(300))
    asking = ["import", "--from", valkey_oracle.address, cluster.addresses[0], "--yes", "--json"]
    refused = shoal(*asking, code=1).error_line
    assert f"the target holds {KEYS} keys; --replace overwrites" in refused
    assert shoal(*asking, "--replace").json["keys"] == 201
    with cluster.client() as client:
        assert client.mget_nonatomic([f"import:{n}" for n in range(200)]) == [b"%d" % n for n in range(200)]
        assert client.lrange("import:list", 0, -1) == [b"%d" % n for n in range(300)]
        assert missing_keys(client) == []
        client.delete("import:list", *(f"import:{n}" for n in range(200)))


def test_slots_of_a_primary_that_only_does_not_answer() -> None:
    """It is not known to have failed, so nobody gives up its slots unless told to."""
    with cluster_of(3, kind="valkey", node_timeout=30_000) as cluster:
        lost, other, _ = cluster.nodes
        lost.kill()
        wrong = shoal("fix", other.address, "--with-unreachable", code=2).error_line
        assert "it goes with --adopt" in wrong
        assert "nothing to fix" in shoal("fix", other.address, "--adopt").out
        done = shoal("fix", other.address, "--adopt", "--with-unreachable", "--yes", "--json").json
        assert len(done["adopt"]) == 5461
        assert {row["node"] for row in done["adopt"]} == {node.address for node in cluster.running}
        rows = shoal("nodes", other.address, "--json").json
        assert sum(row["slot_count"] for row in rows if row["address"] != lost.address) == 16384


class TestCreate:
    def test_a_cluster_is_not_created_twice(self, cluster: RunningCluster) -> None:
        again = shoal("create", *cluster.addresses, "--yes", code=1)
        assert "these nodes are a cluster already" in again.error_line
        assert "a cluster already" in shoal("create", *cluster.addresses, "--if-needed").out

    def test_the_plan_is_shown_before(self) -> None:
        with cluster_of(3, kind="valkey", form=False) as strangers:
            plan = shoal("create", *strangers.addresses, "--dry-run", "--json").json
            assert [(row["first"], row["last"]) for row in plan] == [(0, 5460), (5461, 10922), (10923, 16383)]
            assert shoal("check", strangers.addresses[0], code=1).out.count("16384 slots are not served") == 1

    def test_nodes_that_are_not_free_are_refused(self, cluster: RunningCluster) -> None:
        with cluster_of(3, kind="valkey", form=False) as strangers:
            strangers.nodes[1].run("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            refused = shoal("create", *strangers.addresses, "--yes", code=1)
            assert f"{strangers.nodes[1].address} already serves slots" in refused.error_line
            mixed = [cluster.addresses[0], *strangers.addresses[::2]]
            assert "already knows 2 other nodes" in shoal("create", *mixed, "--yes", code=1).error_line

    def test_what_was_begun_is_finished(self) -> None:
        with cluster_of(3, replicas=1, kind="valkey", form=False) as strangers:
            first, second, third, fourth, *_ = strangers.nodes
            first.run("CLUSTER", "SET-CONFIG-EPOCH", 1)
            first.run("CLUSTER", "ADDSLOTSRANGE", 0, 5460)
            second.run("CLUSTER", "SET-CONFIG-EPOCH", 2)
            first.run("CLUSTER", "MEET", fourth.host, fourth.port)
            eventually(lambda: len(strangers.view(fourth)) == 2, "they have met")
            plan = shoal("create", *strangers.addresses, "--replicas", 1, "--dry-run").out
            assert "this was begun before" in plan
            shoal("create", *strangers.addresses, "--replicas", 1, "--yes")
            strangers.wait_settled()
            assert [len(strangers.replicas_of(node)) for node in (first, second, third)] == [1, 1, 1]
            shoal("create", *strangers.addresses, "--replicas", 1, "--if-needed")


class TestErrors:
    @pytest.mark.parametrize(
        ("args", "words"),
        [
            (["info", "127.0.0.1:1"], "127.0.0.1:1 does not answer: connection refused; is it running?"),
            (["backup", "/tmp/never", "127.0.0.1:1"], "127.0.0.1:1 does not answer: connection refused"),
            (["restore", "/tmp/never"], "'/tmp/never' does not exist"),
            (["info", "nowhere"], "'nowhere' is not an address like 127.0.0.1:7001"),
            (["reshard"], "Missing option '--to'"),
            (["frobnicate"], "No such command 'frobnicate'"),
            (["create", "127.0.0.1:1", "127.0.0.1:2"], "at least 3"),
            (["slots", "--slot", "16384"], "slots are numbered 0 to 16383"),
        ],
    )
    def test_a_wrong_call_is_one_line_and_code_2(self, args: list[str], words: str) -> None:
        assert words in shoal(*args, code=2).error_line

    def test_a_server_without_cluster_mode(self, valkey_oracle: Oracle) -> None:
        refused = shoal("nodes", valkey_oracle.address, code=1).error_line
        assert "cluster support disabled" in refused
        assert "give the address of a cluster's member" in refused

    def test_passwords(self) -> None:
        with Oracle("valkey", cluster_enabled="yes", requirepass="secret") as node:
            assert "give --user and --password" in shoal("nodes", node.address, code=1).error_line
            rows = shoal("nodes", node.address, "--password", "secret", "--json").json
            assert rows[0]["address"] == node.address

    def test_unknown_names_point_to_where_names_are_listed(self, cluster: RunningCluster) -> None:
        wrong = shoal("reshard", cluster.addresses[0], "--to", "nobody", "--slots", 1, code=2)
        assert "no node is called nobody; `shoal nodes` lists" in wrong.error_line
        weight = shoal("rebalance", cluster.addresses[0], "--weight", "7=x", code=2)
        assert "'7=x' is not a weight" in weight.error_line


def test_node_and_proxy_are_dispatched_without_the_operators_libraries() -> None:
    """What `shoal node` imports stays in every worker's memory."""
    program = (
        "import sys; import cluster.cli.main; import cluster.node_process;"
        "names = 'typer', 'rich', 'redis', 'click', 'prometheus_client';"
        "print([name for name in names if name in sys.modules])"
    )
    done = subprocess.run(
        [COMMAND[0], "-c", program], capture_output=True, text=True, env=source_environment()
    )
    assert done.stdout.strip() == "[]", done.stderr
