"""Fixtures for all tests: the oracles and one worker of ours, started once and emptied for each test."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings

from tests.harness.servers import Oracle, Process, Server, ShoalNode
from tests.harness.turns import Turns, one_first

# Tests share their cores with the servers they drive: what an example takes says nothing.
settings.register_profile("shoal", deadline=None)
settings.load_profile("shoal")


Process.forked = os.environ.get("SHOAL_FULL") != "1"


def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: six for two CPUs, because most tests wait for servers two thirds of their time."""
    return 3 * (os.cpu_count() or 1)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Neighbours stay together, and who is done takes over half of what another has left: so the clusters
    that the tests of a file share are seldom formed by more than one process."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Iterator[None]:
    """What is imported and collected is there to the end, so nobody looks for garbage in it: neither now,
    which takes half of the time, nor later."""
    gc.disable()
    try:
        with one_first():
            return (yield)
    finally:
        gc.freeze()
        gc.enable()


_turns = Turns()


def _is_alone(item: pytest.Item | None) -> bool:
    return item is not None and item.get_closest_marker("alone") is not None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    with _turns.take(_is_alone(item), _is_alone(nextitem)):
        return (yield)


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Print a measured figure in the summary of the run, whether or not the test passes."""
    return lambda text: record_property("figure", text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    figures = [
        str(value)
        for reports in terminalreporter.stats.values()
        for each in reports
        if getattr(each, "when", "") == "call"
        for name, value in each.user_properties
        if name == "figure"
    ]
    if figures:
        terminalreporter.section("figures")
        for figure in figures:
            terminalreporter.line(figure)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Oracle]:
    """redis-server 8.2.3 for the whole run. Most tests want `redis_oracle`, which is empty."""
    with Oracle("redis") as oracle:
        yield oracle


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Oracle]:
    """valkey-server 9.1.2 for the whole run. Most tests want `valkey_oracle`, which is empty."""
    with Oracle("valkey") as oracle:
        yield oracle


@pytest.fixture(scope="session")
def shoal_server() -> Iterator[ShoalNode]:
    """One standalone worker for the whole run. Most tests want `shoal_node`, which is empty."""
    with ShoalNode() as node:
        yield node


def emptied(server: Server) -> Server:
    server.run("FLUSHALL")
    return server


@pytest.fixture
def redis_oracle(redis_server: Oracle) -> Oracle:
    return emptied(redis_server)  # type: ignore[return-value]


@pytest.fixture
def valkey_oracle(valkey_server: Oracle) -> Oracle:
    return emptied(valkey_server)  # type: ignore[return-value]


@pytest.fixture
def shoal_node(shoal_server: ShoalNode) -> ShoalNode:
    return emptied(shoal_server)  # type: ignore[return-value]
