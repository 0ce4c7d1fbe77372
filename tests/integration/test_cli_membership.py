"""Members that come, go, and take each other's place, by the command line, while clients go on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.servers import Server
from tests.harness.shoal_command import shoal
from tests.harness.wait import eventually
from tests.integration.test_cli import fill, missing_keys, writing

SLOTS = 60
"""That the new primary gets, and gives back: its whole share would take long, key by key."""


@pytest.fixture(scope="module", params=["redis", "valkey", "shoal"])
def servers(request: pytest.FixtureRequest) -> Iterator[RunningCluster]:
    """Six: the first three a cluster with keys `key:N`, the others strangers to it and to each other."""
    with cluster_of(6, kind=request.param, form=False) as six:
        shoal("create", *six.addresses[:3], "--yes", "--json")
        with RunningCluster(six.nodes[:3]).client() as client:
            fill(client)
        yield six


def role(node: Server) -> str:
    return str(node.info("replication")["role"])


def members(seen_by: Server) -> set[str]:
    return {row["address"] for row in shoal("nodes", seen_by.address, "--json").json}


def test_members_come_and_go(servers: RunningCluster) -> None:
    """One story, because every step starts from where the last one ended."""
    first, second, third, fourth, fifth, sixth = servers.nodes
    client = RunningCluster(servers.nodes[:3])
    _a_primary_joins(first, fourth)
    with writing(client) as errors:
        _a_replica_joins(first, second, fifth)
        _a_replica_takes_over(first, second, fifth)
        _a_newcomer_replaces_a_primary(first, third, sixth)
        _a_member_leaves(first, fourth)
    assert errors == []
    check = shoal("check", first.address, "--json", code=1).json  # some have no replica
    assert not [problem for problem in check["problems"] if problem["severity"] == "error"]
    with client.client() as reader:
        assert missing_keys(reader) == []
    assert members(first) == {node.address for node in (first, second, fifth, sixth)}
    _all_get_another_timeout(first, [first, second, fifth, sixth])


def _a_primary_joins(any_member: Server, new: Server) -> None:
    library = "#!lua name=mine\nredis.register_function('mine', function() return 1 end)"
    shoal("call", "--at", any_member.address, "FUNCTION", "LOAD", library)
    plan = shoal("add-node", new.address, any_member.address, "--rebalance", "--dry-run", "--json").json
    assert sum(move["count"] for move in plan["moves"]) == 4096
    assert len(members(any_member)) == 3
    done = shoal("add-node", new.address, any_member.address, "--yes", "--json").json
    assert (done["role"], done["moved"]) == ("primary", None)
    assert new.run("FCALL", "mine", 0) == 1
    again = shoal("add-node", new.address, any_member.address, "--json").json
    assert again == done
    shoal("reshard", any_member.address, "--to", new.port, "--slots", SLOTS, "--yes")


def _a_replica_joins(any_member: Server, primary: Server, new: Server) -> None:
    done = shoal("add-node", new.address, any_member.address, "--replica-of", primary.port, "--json").json
    assert (done["role"], done["primary"]) == ("replica", primary.address)
    replication = new.info("replication")
    assert (replication["role"], replication["master_link_status"]) == ("slave", "up")
    again = shoal("add-node", new.address, any_member.address, code=2).error_line
    assert f"is a member already, a replica of {primary.address}" in again
    assert replication["master_port"] == primary.port


def _a_replica_takes_over(any_member: Server, primary: Server, replica: Server) -> None:
    assert shoal("failover", primary.port, any_member.address, "--dry-run", "--json").json["seconds"] is None
    done = shoal("failover", primary.port, any_member.address, "--json").json
    assert (done["promoted"], done["former"]) == (replica.address, primary.address)
    assert (role(replica), role(primary)) == ("master", "slave")
    wrong = shoal("failover", any_member.port, any_member.address, code=2).error_line
    assert "has no replica that answers" in wrong


def _a_newcomer_replaces_a_primary(any_member: Server, old: Server, new: Server) -> None:
    done = shoal("replace-node", old.port, new.address, any_member.address, "--yes", "--json").json
    assert (done["takes_over"], done["untold"]) == (True, [])
    assert role(new) == "master"
    assert members(old) == {old.address}
    assert old.run("DBSIZE") == 0
    # Who has left may come back at once, though its former id is not heard of for a minute.
    assert shoal("add-node", old.address, any_member.address, "--json").json["role"] == "primary"
    assert shoal("del-node", old.address, any_member.address, "--yes", "--json").json["untold"] == []


def _a_member_leaves(any_member: Server, leaver: Server) -> None:
    declined = shoal("del-node", leaver.address, any_member.address, input="n\n", code=130).out
    assert "is to leave" in declined
    done = shoal("del-node", leaver.port, leaver.address, "--yes", "--json", "--shutdown").json
    assert done["moved"]["slots"] == SLOTS
    eventually(lambda: not leaver.running, "it has ended")
    assert "no node is called" in shoal("del-node", leaver.address, any_member.address, code=2).error_line


def _all_get_another_timeout(any_member: Server, nodes: list[Server]) -> None:
    done = shoal("set-timeout", 3456, any_member.address, "--json").json
    assert done["nodes"] == {node.address: "set, not written" for node in nodes}  # they have no files
    for node in nodes:
        assert node.run("CONFIG", "GET", "cluster-node-timeout") == [b"cluster-node-timeout", b"3456"]


def test_a_primary_joins_and_takes_its_share_in_one_command() -> None:
    with cluster_of(4, kind="shoal", form=False) as four:
        *three, new = four.nodes
        shoal("create", *(node.address for node in three), "--yes")
        cluster = RunningCluster(three)
        with cluster.client() as client:
            fill(client)
        with writing(cluster) as errors:
            done = shoal("add-node", new.address, three[0].address, "--rebalance", "--yes", "--json").json
        assert errors == []
        assert done["moved"]["slots"] == 4096
        with four.client() as client:
            assert missing_keys(client) == []
        four.wait_settled()


def test_a_dead_primary_is_succeeded_by_force_and_forgotten() -> None:
    with cluster_of(3, replicas=1, kind="valkey", node_timeout=30_000) as cluster:
        primary, any_member = cluster.primaries[0], cluster.primaries[1]
        replica = cluster.replicas_of(primary)[0]
        ask = [replica.port, any_member.address]
        alive = shoal("forget", primary.address, any_member.address, code=2).error_line
        assert "answers, so it would come back: `shoal del-node`" in alive
        primary.kill()
        assert "serves 546" in shoal("forget", primary.address, any_member.address, code=2).error_line
        assert "--force" in shoal("failover", *ask, "--wait", 1, code=1).error_line
        declined = shoal("failover", *ask, "--force", "--json", input="n\n", code=130)
        assert (declined.out.strip(), "are lost" in declined.err) == ("", True)
        done = shoal("failover", *ask, "--takeover", "--yes", "--json").json
        assert done["how"] == "takeover"
        assert role(replica) == "master"
        partly = shoal("set-timeout", 4000, any_member.address, "--json", code=1).json["nodes"]
        assert "does not answer" in partly[primary.address]["error"]
        forgotten = shoal("forget", primary.address, any_member.address, "--yes", "--json").json
        assert set(forgotten["told"]) == {node.address for node in cluster.running}
        assert primary.address not in members(replica)
