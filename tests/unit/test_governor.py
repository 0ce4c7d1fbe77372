"""Keeping a move within its pace, against nodes made of dictionaries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cluster.operations.atomic import BANDWIDTH
from cluster.operations.governor import Governor, put_back
from cluster.operations.journals import Journal
from cluster.operations.latency import Probe
from cluster.operations.link import Argument, NodeLink, Unreachable
from cluster.plans.journal import Plan
from cluster.plans.pace import Pace

MB = 1 << 20


class FakeNode(NodeLink):
    """Has settings, and is away if it has none."""

    def __init__(self, **settings: str) -> None:
        self.host, self.port = "host", 7001
        self.settings = settings

    def pipeline(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        if not self.settings:
            raise Unreachable("host:7001", "gone")
        return [self.answer(*command) for command in commands]

    def answer(self, command: Argument, verb: Argument, name: Argument, value: Argument = "") -> Any:
        key = str(name).replace("-", "_")
        if verb == "SET":
            self.settings[key] = str(value)
            return b"OK"
        return [str(name).encode(), self.settings[key].encode()] if key in self.settings else []


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.create(tmp_path, Plan("1", "reshard", 0.0, [], []))


def governor(journal: Journal, pace: Pace, rests: list[float]) -> Governor:
    return Governor(journal, pace, Probe(), rests.append)


def test_a_worker_of_ours_limits_itself_and_gets_its_setting_back(journal: Journal) -> None:
    node = FakeNode(slot_migration_max_bandwidth="5")
    rests: list[float] = []
    ruler = governor(journal, Pace(bandwidth=MB), rests)
    ruler.begin("a", node)
    assert node.settings == {"slot_migration_max_bandwidth": str(MB)}
    assert ruler.portion == float("inf")
    ruler.heed(100 * MB)
    assert rests == []
    assert Journal(journal.path).plan.borrowed == {"a": {BANDWIDTH: "5"}}
    put_back(journal, {"a": node}.__getitem__)
    assert node.settings == {"slot_migration_max_bandwidth": "5"}
    assert Journal(journal.path).plan.borrowed == {}


def test_who_goes_on_without_limit_lifts_that_of_who_was_killed(journal: Journal) -> None:
    node = FakeNode(slot_migration_max_bandwidth="100")
    journal.add("borrowed", node="a", setting=BANDWIDTH, before="7")
    governor(journal, Pace(), []).begin("a", node)
    assert node.settings == {"slot_migration_max_bandwidth": "0"}
    put_back(journal, {"a": node}.__getitem__)
    assert node.settings == {"slot_migration_max_bandwidth": "7"}


def test_a_node_that_is_away_gets_its_setting_back_later(journal: Journal) -> None:
    journal.add("borrowed", node="a", setting=BANDWIDTH, before="7")
    put_back(journal, {"a": FakeNode()}.__getitem__)
    nobody: dict[str, NodeLink] = {}
    put_back(journal, nobody.__getitem__)
    assert journal.plan.borrowed == {"a": {BANDWIDTH: "7"}}


def test_others_are_given_rests_between_portions(journal: Journal) -> None:
    node = FakeNode(port="7001")
    rests: list[float] = []
    ruler = governor(journal, Pace(bandwidth=MB), rests)
    ruler.begin("a", node)
    assert ruler.portion == MB
    ruler.heed(2 * MB)
    assert 1.9 < rests[0] <= 2.0
    assert journal.plan.borrowed == {}


def test_without_limits_nothing_is_asked(journal: Journal) -> None:
    ruler = governor(journal, Pace(), [])
    ruler.begin("a", FakeNode())
    assert ruler.portion == float("inf")
    ruler.heed(MB)
