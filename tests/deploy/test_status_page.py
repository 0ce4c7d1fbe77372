"""The status page in a browser: what it shows of a cluster that works, moves slots and fails over.

`SHOAL_SCREENSHOTS=DIRECTORY` keeps pictures of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis.crc import key_slot

from tests.deploy.browser import Browser
from tests.harness.ports import lease_port, release_port
from tests.harness.proxies import ShoalProxy
from tests.harness.servers import ShoalNode
from tests.harness.wait import eventually

SMALL = 15360
"""The second primary's first slot: it has so few that all are asked for at once."""
MOVED = range(15360, 15400)
HOT_SLOT_KEY = next(f"k{n}" for n in range(100_000) if key_slot(f"k{n}".encode()) == 16000)
SIZES = ((1600, 1000), (1000, 1300))
COLDEST, HOTTEST = [234, 239, 240], [164, 30, 60]
"""Ends of the scale of heat (colours.js), in the light scheme"""


class Shown:
    """A primary with a replica, one with few slots, a proxy, and the page."""

    def __init__(self, stack: ExitStack, directory: Path) -> None:
        settings = {"cluster_enabled": "yes", "cluster_slot_stats_enabled": "yes"}
        nodes = [ShoalNode(**settings) for _ in range(3)]
        for node in nodes:
            stack.callback(node.close)
            node.start(wait=False)
        self.browser = stack.enter_context(Browser(directory / "browser"))
        for node in nodes:
            node.wait_ready()
        self.large, self.small, self.replica = nodes
        self.large.run("CLUSTER", "ADDSLOTSRANGE", 0, SMALL - 1)
        self.small.run("CLUSTER", "ADDSLOTSRANGE", SMALL, 16383)
        self.small.run("CLUSTER", "SET-CONFIG-EPOCH", 2)
        for node in nodes[1:]:
            node.run("CLUSTER", "MEET", self.large.host, self.large.port)
        eventually(lambda: self.replica.run("CLUSTER", "NODES").count(b" connected") == 3, "all have met")
        self.replica.run("CLUSTER", "REPLICATE", self.large.run("CLUSTER", "MYID"))
        port = lease_port()
        stack.callback(release_port, port)
        self.proxy = stack.enter_context(ShoalProxy([self.large.address], "--metrics-port", str(port)))
        self.url = f"http://127.0.0.1:{port}/"

    def picture(self, name: str) -> None:
        directory = os.environ.get("SHOAL_SCREENSHOTS")
        if directory:
            self.browser.screenshot(Path(directory) / f"{name}.png")

    def choose(self, colours: str) -> None:
        self.browser.value(f"document.querySelector('input[value={colours}]').click()")

    def colour(self, slot: int) -> list[int]:
        """In the map"""
        context = "document.getElementById('slots').getContext('2d')"
        place = f"{slot % 128}, {slot // 128}, 1, 1"
        return list(self.browser.value(f"[...{context}.getImageData({place}).data]"))[:3]

    def text(self, part: str) -> str:
        return str(self.browser.value(f"document.getElementById('{part}').innerText"))

    def row(self, node: ShoalNode) -> str:
        """Of the table of nodes: words and figures, one after the other."""
        rows = self.text("rows").splitlines()
        return next((" ".join(row.split()) for row in rows if node.address in row), "")


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Shown]:
    with ExitStack() as stack:
        yield Shown(stack, tmp_path)


def test_the_page(shown: Shown) -> None:
    browser = shown.browser
    browser.open(shown.url, *SIZES[0])
    browser.await_true("document.getElementById('state').innerText == 'All slots served'")
    _shows_owners(shown)
    _finds_nodes(shown)
    _shows_heat(shown)
    _shows_moves(shown)
    _shows_failovers(shown)
    _fits(shown)
    assert browser.complaints == []
    assert [url for url in browser.asked_for if not url.startswith(shown.url)] == []


def _shows_owners(shown: Shown) -> None:
    large, small = shown.colour(0), shown.colour(SMALL)
    assert large == shown.colour(SMALL - 1) != small == shown.colour(16383)
    legend = shown.text("legend")
    assert f"{shown.large.address} {SMALL}" in legend and f"{shown.small.address} 1024" in legend
    row = f"{shown.large.address} primary {SMALL} "
    eventually(lambda: shown.row(shown.large).startswith(row), row)
    row = f"{shown.replica.address} replica"
    eventually(lambda: shown.row(shown.replica).startswith(row), row)
    swatches = "document.querySelectorAll('#rows rect')"
    fills = shown.browser.value(f"[...{swatches}].map((each) => each.getAttribute('fill'))")
    assert fills.count(f"rgb({', '.join(map(str, large))})") == 1, "a shard has one colour"
    shown.browser.value("document.getElementById('slots').focus()")
    shown.browser.press("ArrowRight")
    assert shown.text("slot").startswith("Slot 0 · ")
    shown.browser.press("End")
    assert shown.text("slot").startswith(f"Slot 16383 · {shown.small.address}")
    shown.browser.value("document.getElementById('slots').blur()")


def _finds_nodes(shown: Shown) -> None:
    find = "const find = document.getElementById('find'); find.value = {!r};"
    for words, rows in (("replica", 1), (f"primary {shown.small.port}", 1), ("elsewhere", 0), ("", 3)):
        shown.browser.value(f"{{{find.format(words)} find.dispatchEvent(new Event('input'))}}")
        assert shown.text("rows").count("127.0.0.1:") == rows, words


def _shows_heat(shown: Shown) -> None:
    shown.choose("load")
    with shown.proxy.client() as client:

        def hot() -> bool:
            with client.pipeline(transaction=False) as pipe:
                for _ in range(100):
                    pipe.set(HOT_SLOT_KEY, "x")
                pipe.execute()
            return shown.colour(16000) == HOTTEST

        eventually(hot, "the slot is hot")
    assert shown.colour(16001) == COLDEST
    assert "requests a second" in shown.text("legend")
    eventually(lambda: "16000" in shown.text("hot"), "it is named")
    shown.picture("light-load")
    shown.choose("keys")
    assert shown.colour(16000) == HOTTEST and shown.colour(16001) == COLDEST


def _shows_moves(shown: Shown) -> None:
    shown.choose("owner")
    target = shown.large.run("CLUSTER", "MYID")
    shown.small.run("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", MOVED[0], MOVED[-1], "NODE", target)
    eventually(lambda: shown.colour(MOVED[-1]) == shown.colour(0) != shown.colour(MOVED[-1] + 1), "moved")
    eventually(lambda: f"{len(MOVED)} slots" in shown.text("moves"), "the move has ended")
    eventually(lambda: f"{len(MOVED)} slots moved from" in shown.text("events"), "the proxy has seen it")


def _shows_failovers(shown: Shown) -> None:
    before = shown.colour(0)
    eventually(lambda: b"master_link_status:up" in shown.replica.run("INFO", "replication"), "in sync")
    shown.replica.run("CLUSTER", "FAILOVER")
    sentence = f"Failover: {shown.replica.address} took over from {shown.large.address}"
    eventually(lambda: sentence in " ".join(shown.text("events").split()), sentence)
    eventually(lambda: f"{shown.replica.address} primary" in shown.row(shown.replica), "its role")
    eventually(lambda: shown.replica.address in shown.text("legend"), "its slots")
    assert shown.colour(0) == before, "a shard keeps its colour"


def _fits(shown: Shown) -> None:
    """At both sizes, in both schemes: nothing sticks out, and the page follows the scheme at once."""
    grounds = set()
    for scheme in ("light", "dark"):
        shown.browser.prefer(scheme)
        grounds.add(shown.browser.value("getComputedStyle(document.body).backgroundColor"))
        for width, height in SIZES:
            shown.browser.resize(width, height)
            assert shown.browser.value("document.documentElement.scrollWidth") <= width
            shown.picture(f"{scheme}-{width}")
    assert len(grounds) == 2
