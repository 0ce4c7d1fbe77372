"""The command line as a whole: what every subcommand has, and what `redis-cli --cluster` has, too."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from cluster.cli.app import app
from cluster.cli.main import run_subcommand
from tests.harness.servers import source_environment
from tests.harness.shoal_command import shoal

COUNTERPARTS = {
    "create": ("create", {"--cluster-replicas": "--replicas"}),
    "check": ("check", {"--cluster-search-multiple-owners": "--search-multiple-owners"}),
    "info": ("info", {}),
    "fix": (
        "fix",
        {
            "--cluster-search-multiple-owners": "--search-multiple-owners",
            "--cluster-fix-with-unreachable-masters": "--with-unreachable",
        },
    ),
    "reshard": (
        "reshard",
        {
            "--cluster-from": "--from",
            "--cluster-to": "--to",
            "--cluster-slots": "--slots",
            "--cluster-yes": "--yes",
            "--cluster-timeout": "--timeout",
            "--cluster-pipeline": "--pipeline",
            "--cluster-replace": "--replace",
        },
    ),
    "rebalance": (
        "rebalance",
        {
            "--cluster-weight": "--weight",
            "--cluster-use-empty-masters": "--use-empty",
            "--cluster-timeout": "--timeout",
            "--cluster-simulate": "--dry-run",
            "--cluster-pipeline": "--pipeline",
            "--cluster-threshold": "--threshold",
            "--cluster-replace": "--replace",
        },
    ),
    "add-node": ("add-node", {"--cluster-slave": "--to-be-replica", "--cluster-master-id": "--replica-of"}),
    "del-node": ("del-node", {}),
    "call": ("call", {"--cluster-only-masters": "--primaries", "--cluster-only-replicas": "--replicas"}),
    "set-timeout": ("set-timeout", {}),
    "import": (
        "import",
        {
            "--cluster-from": "--from",
            "--cluster-from-user": "--from-user",
            "--cluster-from-pass": "--from-pass",
            "--cluster-from-askpass": "--from-askpass",
            "--cluster-copy": "--copy",
            "--cluster-replace": "--replace",
        },
    ),
    "backup": ("backup", {}),
}
"""Subcommand of redis-cli -> ours, and its options."""


def commands(group: Any = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All of ours, those within others included."""
    for name, command in (group or typer.main.get_command(app)).commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{prefix}{name} ")
        yield f"{prefix}{name}", command


def options(command: Any) -> set[str]:
    return {name for each in command.params for name in (*each.opts, *each.secondary_opts)}


OURS = dict(commands())


def test_all_of_redis_cli_has_its_counterpart() -> None:
    told = subprocess.run(["redis-cli", "--cluster", "help"], capture_output=True, text=True).stdout
    subcommand = ""
    seen = set()
    for line in told.splitlines():
        if found := re.match(r"  ([a-z][a-z-]+)\s", line):
            subcommand = found.group(1)
            seen.add(subcommand)
        elif found := re.match(r"\s+(--cluster-[a-z-]+)", line):
            name, its = COUNTERPARTS.get(subcommand, (subcommand, {"--cluster-yes": "--yes"}))
            if name == "help":  # and what stands after it, which is for all
                continue
            assert its[found.group(1)] in options(OURS[name]), f"{subcommand} {found.group(1)}"
    assert seen - {"help"} == set(COUNTERPARTS)


@pytest.mark.parametrize("name", [name for name in OURS if name not in ("node", "proxy")])
def test_every_subcommand_has_json_and_says_what_it_is(name: str) -> None:
    assert "--json" in options(OURS[name])
    help_text = shoal(*name.split(), "--help").out
    assert "JSON" in help_text.replace("--json", "").replace("Print JSON", "")


@pytest.mark.parametrize("name", [name for name in OURS if "--yes" in options(OURS[name])])
def test_what_asks_can_be_tried_without_doing_it(name: str) -> None:
    exempt = ("restore", "check-aof", "migrations cancel")  # they check first, or report what they do
    assert "--dry-run" in options(OURS[name]) or name in exempt


def test_whoever_talks_to_servers_can_log_in_everywhere() -> None:
    for name, command in OURS.items():
        found = options(command)
        if "--user" in found:
            assert {"--password", "--askpass", "--tls", "--cacert", "--cert", "--insecure"} <= found, name


def test_shells_complete() -> None:
    asked = {"_SHOAL_COMPLETE": "complete_bash", "COMP_WORDS": "shoal rebal", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "cluster.cli.main"],
        env=source_environment() | os.environ | asked,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["rebalance"]


@pytest.mark.parametrize(
    ("shell", "begins"),
    [("bash", "_shoal_completion()"), ("zsh", "#compdef shoal"), ("fish", "complete --command shoal")],
)
def test_scripts_that_complete(
    shell: str, begins: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_SHOAL_COMPLETE", f"source_{shell}")
    with pytest.raises(SystemExit):
        run_subcommand([])
    assert capsys.readouterr().out.strip().startswith(begins)
