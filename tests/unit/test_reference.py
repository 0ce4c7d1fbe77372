"""The reference pages say what the tables say, and each directive that only shoal has is explained."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from node.config.directives import TABLE
from node.config.own import OWN
from tests.harness.servers import ROOT, Oracle

DEBUGGING = {
    "aof-disable-auto-gc", "events-per-io-thread", "io-threads-do-reads", "key-load-delay",
    "loading-process-events-interval-bytes", "rdb-key-save-delay", "use-exit-on-panic", "watchdog-period",
}  # fmt: skip
"""Redis has these and shows them to nobody who does not ask for them by name."""


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "deploy" / "reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_are_those_of_the_tables(reference: ModuleType) -> None:
    pages: dict[Path, str] = reference.pages()
    stale = [str(path) for path, text in pages.items() if path.read_text() != text]
    assert not stale, "run `python deploy/reference.py`"


def test_own_directives_are_explained(redis_oracle: Oracle, valkey_oracle: Oracle) -> None:
    known = {
        name.decode() if isinstance(name, bytes) else name
        for oracle in (redis_oracle, valkey_oracle)
        for name in oracle.client().config_get("*")
    }
    ours = {d.name for d in TABLE.values() if not known & {d.name, *d.aliases, d.valkey_name}}
    assert ours - DEBUGGING == OWN.keys() - {"log-format"}
