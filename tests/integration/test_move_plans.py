"""`shoal reshard` as a plan that is killed, paused, resumed elsewhere, cancelled and slowed down."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.operations.journals import all_journals
from cluster.plans.journal import SLOTS_OF_A_STEP, Plan
from cluster.slot_tags import tag_of
from tests.chaos.scale import FULL
from tests.harness.clusters import cluster_of
from tests.harness.servers import Server, source_environment
from tests.harness.shoal_command import COMMAND, shoal
from tests.harness.slot_moves import ENDED, OK, Pair, jobs, moving_pair
from tests.harness.wait import eventually

SLOTS = SLOTS_OF_A_STEP + 100
"""More than one step."""
KEYS_OF_A_SLOT = 5
VALUE = b"v" * 200
SLOWLY = "100kb"


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with moving_pair("shoal", "shoal") as running:
        with running.source.client() as client:
            pipe = client.pipeline(transaction=False)
            for slot in range(SLOTS):
                pipe.mset({f"{{{tag_of(slot).decode()}}}{n}": VALUE for n in range(KEYS_OF_A_SLOT)})
            pipe.execute()
        yield running


@pytest.fixture(autouse=True)
def all_at_home(pair: Pair) -> Iterator[None]:
    """Each test finds the slots at the source."""
    yield
    for job in jobs(pair.source):
        if job[b"state"] not in ENDED:
            pair.source.run("CLUSTER", "CANCELSLOTMIGRATIONS")
    for node in (pair.source, pair.target):
        assert node.run("CONFIG", "SET", "slot-migration-max-bandwidth", 0) == OK
        eventually(lambda node=node: all(job[b"state"] in ENDED for job in jobs(node)), "all is quiet")
    if moved(pair):
        shoal("reshard", pair.source.address, "--to", pair.source.port, "--slots", moved(pair), "--yes")
    pair.cluster.wait_settled()


def moved(pair: Pair) -> int:
    """Slots that the target has more than at first."""
    own = [last - first + 1 for first, last in pair.cluster.line_of(pair.target).slots]
    return sum(own) - 8192


def begin(pair: Pair, directory: Path, *more: str) -> subprocess.Popen[bytes]:
    argv = [*COMMAND, "reshard", pair.source.address, "--to", str(pair.target.port), "--slots", str(SLOTS)]
    return subprocess.Popen(
        [*argv, "--yes", "--journal", str(directory), *more],
        env=source_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def is_moving(node: Server) -> bool:
    return any(job[b"state"] == b"snapshotting" for job in jobs(node))


def limit_of(node: Server) -> int:
    return int(node.run("CONFIG", "GET", "slot-migration-max-bandwidth")[1])


def kept(directory: Path) -> Plan:
    """The one plan there; a program of ours that only listed it would take a second to start."""
    (journal,) = all_journals(directory)
    with journal:
        return journal.plan


def check_all(pair: Pair) -> None:
    assert moved(pair) == SLOTS
    with pair.target.client() as client:
        keys = [f"{{{tag_of(slot).decode()}}}{n}" for slot in range(SLOTS) for n in (0, KEYS_OF_A_SLOT - 1)]
        pipe = client.pipeline(transaction=False)
        for key in keys:
            pipe.get(key)
        assert set(pipe.execute()) == {VALUE}


def test_a_plan_whose_program_was_killed_goes_on_elsewhere(pair: Pair, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    process = begin(pair, here, "--bandwidth", SLOWLY)
    eventually(lambda: is_moving(pair.source), "it has begun")
    process.kill()
    process.communicate()
    assert kept(here).state == "pending"
    assert limit_of(pair.source) == 102400
    shutil.copytree(here, there)
    plan = kept(there).id
    done = shoal("migrations", "resume", plan, "--journal", there, "--json", "--bandwidth", 0).json
    assert done["moved"]["slots"] == SLOTS and done["plan"] == plan
    assert kept(there).state == "done"
    assert limit_of(pair.source) == 0, "as it was"
    check_all(pair)
    refused = shoal("migrations", "resume", plan, "--journal", there, code=2)
    assert "has ended: done" in refused.error_line


def test_a_plan_that_pauses(pair: Pair, tmp_path: Path) -> None:
    process = begin(pair, tmp_path, "--bandwidth", SLOWLY)
    eventually(lambda: is_moving(pair.source), "it has begun")
    (moving,) = shoal("migrations", "running", pair.target.address, "--json").json
    assert (moving["from"], moving["to"]) == (pair.source.address, pair.target.address)
    assert (moving["state"], moving["slots"]) == ("snapshotting", f"0-{SLOTS_OF_A_STEP - 1}")
    (row,) = shoal("migrations", "--journal", tmp_path, "--json").json
    assert (row["state"], row["slots"]) == ("running", {"done": 0, "total": SLOTS})
    busy = shoal("migrations", "resume", row["plan"], "--journal", tmp_path, code=1)
    assert "is being carried out elsewhere" in busy.error_line
    shoal("migrations", "pause", row["plan"][:4], "--journal", tmp_path)
    assert pair.source.run("CONFIG", "SET", "slot-migration-max-bandwidth", 0) == OK
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"paused: {SLOTS_OF_A_STEP} of {SLOTS} slots have moved" in err.decode()
    plan = kept(tmp_path)
    assert (plan.state, plan.slots_done, plan.keys) == (
        "paused",
        SLOTS_OF_A_STEP,
        SLOTS_OF_A_STEP * KEYS_OF_A_SLOT,
    )
    done = shoal("migrations", "resume", plan.id, "--journal", tmp_path, "--bandwidth", 0)
    assert f"moved {SLOTS} slots with {SLOTS * KEYS_OF_A_SLOT} keys" in done.out
    check_all(pair)


@pytest.mark.parametrize("killed", [False, True])
def test_a_plan_that_is_cancelled(pair: Pair, tmp_path: Path, killed: bool) -> None:
    process = begin(pair, tmp_path, "--bandwidth", SLOWLY)
    eventually(lambda: is_moving(pair.source), "it has begun")
    plan = kept(tmp_path).id
    if killed:
        process.kill()
    cancelled = shoal("migrations", "cancel", plan, "--yes", "--journal", tmp_path)
    assert f"0 of {SLOTS} slots have moved" in cancelled.out
    process.communicate(timeout=30)
    assert killed or process.returncode == 130
    assert jobs(pair.source)[0][b"state"] == b"cancelled"
    assert moved(pair) == 0
    assert kept(tmp_path).state == "cancelled"
    assert limit_of(pair.source) == 0
    eventually(
        lambda: all(
            pair.target.run("CLUSTER", "COUNTKEYSINSLOT", slot) == 0 for slot in range(0, SLOTS_OF_A_STEP, 50)
        ),
        "nothing is left of it",
    )


def test_bandwidth(pair: Pair, tmp_path: Path) -> None:
    """A limit on the move, not on what clients do."""
    size = SLOTS * KEYS_OF_A_SLOT * len(VALUE)
    began = time.monotonic()
    process = begin(pair, tmp_path, "--bandwidth", str(2 * size))
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert time.monotonic() - began > 0.4
    check_all(pair)


def test_it_slows_down_when_clients_feel_it(pair: Pair, tmp_path: Path) -> None:
    """Any request takes longer than what is allowed here."""
    process = begin(pair, tmp_path, "--bandwidth", "1mb", "--max-p99", "0.001")

    eventually(lambda: limit_of(pair.source) == 1 << 20, "as fast as it may at first")
    eventually(lambda: limit_of(pair.source) < 1 << 20, "then slower")
    shoal("migrations", "cancel", kept(tmp_path).id, "--yes", "--journal", tmp_path)
    process.communicate(timeout=30)
    assert limit_of(pair.source) == 0


@pytest.mark.parametrize("dies", ["source", "target"] if FULL else ["source"])
def test_a_plan_goes_on_with_the_heir_of_a_primary_that_died(tmp_path: Path, dies: str) -> None:
    """For good, in the middle of the move; its replica takes its place."""
    with cluster_of(3, replicas=1, node_timeout=1000) as cluster:
        source, target, third = cluster.primaries
        victim = source if dies == "source" else target
        (heir,) = cluster.replicas_of(victim)
        ends = [cluster.id_of(node) for node in (source, target)]
        with source.client() as client:
            pipe = client.pipeline(transaction=False)
            slots = [slot for first, last in cluster.line_of(source).slots for slot in range(first, last + 1)]
            for slot in slots[:100]:
                pipe.set(f"{{{tag_of(slot).decode()}}}", VALUE * 50)
            pipe.execute()
            client.wait(1, 5000)
        argv = [*COMMAND, "reshard", third.address, "--from", ends[0], "--to", ends[1], "--slots", "100"]
        process = subprocess.Popen(
            [*argv, "--yes", "--journal", str(tmp_path), "--bandwidth", "300kb"],
            env=source_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        eventually(lambda: is_moving(source), "it has begun")
        victim.kill()
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert "master" in cluster.line_of(heir).flags
        giver, taker = (heir, target) if victim is source else (source, heir)
        assert taker.run("CLUSTER", "COUNTKEYSINSLOT", slots[0]) == 1
        assert giver.run("CLUSTER", "COUNTKEYSINSLOT", slots[0]) == 0
        assert kept(tmp_path).state == "done"


def test_steps_between_different_nodes_go_on_side_by_side(tmp_path: Path) -> None:
    """Also those that a killed program left."""
    with cluster_of(4) as cluster:
        with cluster.client() as client:
            client.mset_nonatomic({f"{{{tag_of(slot).decode()}}}": VALUE * 5 for slot in range(0, 16384, 4)})
        first, second, third, fourth = cluster.nodes
        argv = [
            *COMMAND,
            "rebalance",
            first.address,
            "--yes",
            "--journal",
            str(tmp_path),
            "--bandwidth",
            SLOWLY,
        ]
        weights = [f"{node.port}={weight}" for node, weight in zip(cluster.nodes, (1, 1, 2, 2), strict=True)]
        for weight in weights:
            argv += ["--weight", weight]
        process = subprocess.Popen(
            argv, env=source_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        eventually(lambda: is_moving(first) and is_moving(second), "both have begun")
        eventually(lambda: limit_of(first) == limit_of(second) == 51200, "each has half of the plan's share")
        process.kill()
        process.wait()
        assert len(kept(tmp_path).begun) == 2
        plan = kept(tmp_path)
        done = shoal("migrations", "resume", plan.id, "--journal", tmp_path, "--json", "--bandwidth", 0).json
        assert done["moved"]["slots"] == plan.slots
        cluster.wait_settled()
        assert sum(node.run("DBSIZE") for node in cluster.nodes) == 4096
        assert third.run("DBSIZE") + fourth.run("DBSIZE") > 2700
