"""The habits of the house that a machine can check: lint, format, types, who may import whom."""

from __future__ import annotations

import subprocess
import sys

import pytest

from node.commands import TABLE
from node.handlers import registry
from tests.harness.servers import ROOT


@pytest.mark.parametrize(
    "tool",
    [
        [sys.executable, "-m", "ruff", "check", "."],
        [sys.executable, "-m", "ruff", "format", "--check", "."],
        [sys.executable, "-m", "mypy"],
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
    ],
    ids=["ruff-check", "ruff-format", "mypy", "import-contracts"],
)
def test_tool_is_content(tool: list[str]) -> None:
    done = subprocess.run(tool, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_every_handler_has_its_row() -> None:
    registry.load_all()
    names = set(TABLE) | {sub.name for row in TABLE.values() for sub in row.subcommands.values()}
    assert set(registry.HANDLERS) <= names
