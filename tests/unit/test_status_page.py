"""What the status page makes of what it is told: heat of slots, events, and the report."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cluster.plans.model import NodeInfo
from cluster.readings.activity import Reading, Sample
from cluster.readings.slot_jobs import Job
from cluster.slots import SLOT_COUNT, from_range
from proxy.requests.codec import encode_reply
from proxy.status import report
from proxy.status.chronicle import EVENTS, Chronicle
from proxy.status.gatherer import Gathered, Gatherer, period
from proxy.status.pages import ASSETS
from proxy.status.slot_heat import LEAST_AT_ONCE, SLOTS_AT_ONCE, SlotHeat, columns
from proxy.status.worker_lines import NoAnswer
from proxy.workers.dialogue import Address
from proxy.workers.topology import Layout

A, B, R = ("10.0.0.1", 7001), ("10.0.0.2", 7001), ("10.0.0.3", 7001)


def stats(rows: dict[int, dict[bytes, int]]) -> bytes:
    """As a worker replies to CLUSTER SLOT-STATS."""
    return encode_reply([[slot, figures] for slot, figures in rows.items()], 2)


def counted(keys: int, requests: int, usec: int) -> dict[bytes, int]:
    return {b"key-count": keys, b"cpu-usec": usec, b"network-bytes-in": 9, b"reads": requests, b"writes": 1}


def test_heat_is_what_came_between_two_turns() -> None:
    heat = SlotHeat()
    heat.take("a", stats({5: counted(3, 100, 1000), 6: counted(0, 0, 0)}), 10.0)
    assert heat.load() == ("ops/s", heat.requests)
    assert (heat.keys[5], heat.requests[5]) == (3, None)
    heat.take("a", stats({5: counted(4, 350, 2000), 6: counted(0, 0, 0)}), 12.0)
    assert (heat.keys[5], heat.requests[5], heat.usec[5], heat.requests[6]) == (4, 125.0, 500.0, 0.0)
    heat.take("b", stats({5: counted(4, 900, 9000)}), 14.0)
    assert heat.requests[5] is None, "it has changed hands"
    heat.take("b", stats({5: counted(4, 2, 3)}), 15.0)
    assert heat.requests[5] is None, "it begins to count anew"
    heat.disown({"a": from_range(0, 16)})
    assert (heat.keys[5], heat.keys[6]) == (None, 0)


def test_heat_of_servers_that_count_less() -> None:
    heat = SlotHeat()
    heat.take("a", stats({5: {b"key-count": 3}}), 1.0)
    assert (heat.keys[5], heat.load()) == (3, None)
    for at, usec in ((1.0, 5), (2.0, 25)):
        heat.take("v", stats({7: {b"key-count": 3, b"cpu-usec": usec}}), at)
    assert heat.load() == ("us/s", heat.usec)
    assert heat.usec[7] == 20.0
    assert columns(b"*0\r\n") == ([], {})
    for broken in (b"+OK\r\n", stats({1: {b"key-count": 1}})[:-9], b":5\r\n"):
        with pytest.raises(ValueError):
            columns(broken)


def test_slots_are_asked_for_in_turns() -> None:
    heat, slots = SlotHeat(), from_range(0, 99) | from_range(5000, 16383)
    spans = [heat.next_span("a", slots, 1) for _ in range(13)]
    asked = sum((slots & from_range(*span)).bit_count() for span in spans[:12])
    assert spans[0] == (0, 5000 + SLOTS_AT_ONCE - 101)
    assert asked == slots.bit_count() and spans[12] == spans[0], "then they begin again"
    assert heat.next_span("b", from_range(0, 16383), 1000) == (0, LEAST_AT_ONCE - 1), "of many, few of each"


def layout(
    *owners: Address | None, failed: frozenset[Address] = frozenset(), replica_of: Address = A
) -> Layout:
    """`owners` of equal parts of the slots."""
    part = SLOT_COUNT // len(owners)
    every = tuple(owner for owner in owners for _ in range(part))
    nodes = frozenset({A, B, R}) - failed
    return Layout(every, nodes, failed, {replica_of: frozenset({R})}, frozenset())


def told(chronicle: Chronicle) -> list[tuple[str, Address | None, Address | None, int]]:
    return [(each.what, each.node, each.other, each.slots) for each in chronicle.events]


def test_a_failover_is_told_with_what_it_meant() -> None:
    chronicle = Chronicle(lambda address: {A: 0.25}.get(address))
    chronicle.saw(layout(A, B), 1.0)
    assert chronicle.events == []
    chronicle.saw(layout(A, B, failed=frozenset({A})), 2.0)
    chronicle.saw(layout(R, B, failed=frozenset({A})), 3.0)
    chronicle.saw(layout(R, B, replica_of=R), 9.0)
    assert told(chronicle) == [
        ("back", A, None, 0),
        ("failover", A, R, SLOT_COUNT // 2),
        ("failed", A, None, 0),
    ]
    assert (chronicle.events[1].at, chronicle.events[1].seconds) == (3.0, 0.25)


def test_slots_that_move_are_one_event_as_long_as_they_do() -> None:
    chronicle = Chronicle(lambda _: None)
    for at, owners in ((0.0, (A, A, A, B)), (5.0, (A, A, B, B)), (10.0, (A, B, B, B)), (500.0, (B, B, B, B))):
        chronicle.saw(layout(*owners), at)
    part = SLOT_COUNT // 4
    assert told(chronicle) == [("moved", A, B, part), ("moved", A, B, 2 * part)]
    chronicle.saw(layout(None, B), 600.0)
    chronicle.saw(layout(B, B), 601.0)
    assert told(chronicle)[:2] == [("served", None, B, 2 * part), ("unserved", B, None, 2 * part)]
    ends = replace(layout(B, B), failed=frozenset({R})), layout(B, B)
    for at in range(2 * EVENTS):
        chronicle.saw(ends[at % 2], 700.0 + at)
    assert len(chronicle.events) == EVENTS


def test_the_report_is_json_and_says_what_moved() -> None:
    nodes = {
        "a": NodeInfo(
            "a", "10.0.0.1", 7001, from_range(0, 9), flags=frozenset({"myself", "master", "fail?"}), epoch=3
        ),
        "r": NodeInfo("r", "10.0.0.3", 7001, primary_id="a", flags=frozenset({"slave"})),
    }
    going = Job("j", "EXPORT", from_range(3, 4), "r", "snapshotting", "", 10)
    ended = Job("k", "EXPORT", from_range(0, 1), "gone", "failed", "Connection lost", 0, 77)
    fields = {"master_repl_offset": "9", "uptime_in_seconds": "5", "loading": "1", "redis_version": "8.2.3"}
    reading = Reading(fields, jobs=(going,), open_slots={8: "r"})
    gathered = Gathered(
        Sample(1.0, nodes, {"a": reading, "r": Reading(problem="refused")}), None, [("a", ended)]
    )
    status = json.loads(json.dumps(report.status(gathered, [], {"clients": 1}, 5.0)))
    primary, replica = status["nodes"]
    assert (primary["flags"], primary["offset"], primary["loading"]) == (["fail?"], 9, True)
    assert (replica["state"], replica["primary_id"], "offset" in replica) == ("refused", "a", False)
    assert status["ended_migrations"] == [
        {
            "from": "10.0.0.1:7001",
            "to": "gone",
            "slots": 2,
            "state": "failed",
            "message": "Connection lost",
            "at": 77,
        }
    ]
    slots = report.slots(gathered, SlotHeat())
    assert (slots["owners"], slots["moving"]) == ([[0, 9, "a"]], [[3, 4, "r"], [8, 8, "r"]])
    assert (len(slots["keys"]), slots["load"]) == (SLOT_COUNT, None)


class Lines:
    """To one member, which serves all slots."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.silent = False
        self.closed = 0

    async def open(self, address: Address) -> None:
        assert address == A

    async def ask(self, address: Address, *requests: tuple[bytes, ...]) -> list[bytes]:
        await asyncio.sleep(0)
        if self.silent:
            raise NoAnswer("does not answer")
        self.asked += [b" ".join(request[:2]) for request in requests]
        return [self.reply(b" ".join(request[:2])) for request in requests]

    def reply(self, words: bytes) -> bytes:
        nodes = b"%s 10.0.0.1:7001@17001 myself,master - 0 0 1 connected 0-16383" % (b"a" * 40)
        replies = {b"CLUSTER NODES": nodes, b"INFO": b"used_memory:5\r\nredis_version:7.0.0\r\n"}
        return encode_reply(replies[words], 2) if words in replies else b"-ERR unknown command\r\n"

    def keep(self, addresses: set[Address]) -> None:
        assert addresses == {A}

    def close(self) -> None:
        self.closed += 1


async def test_many_who_look_cost_what_one_does() -> None:
    lines = Lines()
    topology = SimpleNamespace(nodes=frozenset({A}))
    gatherer = Gatherer(cast(Any, topology), cast(Any, lines))
    first, *others = await asyncio.gather(*(gatherer.gathered() for _ in range(20)))
    assert all(each is first for each in [*others, await gatherer.gathered()])
    assert lines.asked.count(b"INFO") == 1
    (row,) = report.status(first, [], {}, 1.0)["nodes"]
    assert (row["state"], row["slots"], row["memory_bytes"], row["p99_us"]) == ("ok", SLOT_COUNT, 5, None)
    assert report.slots(first, gatherer.heat)["load"] is None, "an old server, which tells of no slots"
    gatherer.forget()
    lines.silent = True
    assert (await gatherer.gathered()).problem == (
        "no member of the cluster answers; 10.0.0.1:7001 does not answer"
    )
    gatherer.forget()
    assert lines.closed == 2


def test_of_many_nodes_each_is_asked_less_often() -> None:
    assert (period(6), period(100), period(500)) == (1.0, 1.0, 5.0)


def test_latencies_of_the_proxy_in_microseconds() -> None:
    assert report.times_of({"get": [(500, 2), (900, 1), (1500, 4)]}) == {"get": {1: 3, 2: 4}}


def test_the_page_takes_nothing_from_elsewhere_and_sets_no_markup() -> None:
    for path in ASSETS.iterdir():
        text = path.read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b", text), path
        assert set(re.findall(r"https?://[^\"' ]+", text)) <= {"http://www.w3.org/2000/svg"}, path
    page = (ASSETS / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", page), "the policy forbids it"
