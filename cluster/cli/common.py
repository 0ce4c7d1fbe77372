"""What many subcommands have in common: which cluster, who is asking, in which form to answer."""

from __future__ import annotations

import gc
from typing import Annotated

import typer

from cluster import addresses
from cluster.backup.layout import Access, read_layout
from cluster.operations.key_walk import Source, Which, find_sources
from cluster.operations.link import DEFAULT_TIMEOUT, Credentials, Unreachable
from cluster.operations.survey import Survey
from cluster.plans.backup import Layout

DEFAULT_ADDRESS = "127.0.0.1:7001"
"""the first worker of `shoal up`"""


class UsageProblem(Exception):
    """The call, or what it relies on, is wrong: exit code 2."""


Address = Annotated[str, typer.Argument(metavar="HOST:PORT", help="Any member of the cluster.")]
Seed = Annotated[
    str, typer.Argument(metavar="HOST:PORT", help="Any member of the cluster, or a server alone.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
MultipleOwners = Annotated[
    bool,
    typer.Option("--search-multiple-owners", help="Also look for keys of slots that others serve."),
]


def parse_address(text: str) -> tuple[str, int]:
    """(host, port) of cluster/addresses.py."""
    try:
        return addresses.parse_address(text)
    except ValueError as error:
        raise UsageProblem(str(error)) from error


def go_through_keys() -> None:
    """For commands that handle millions of keys: none is part of a cycle, and looking for cycles among those
    at hand would take a quarter of the time."""
    gc.disable()


def open_layout(
    address: str, credentials: Credentials, timeout: float = DEFAULT_TIMEOUT
) -> tuple[Access, Layout]:
    """How to get into the cluster that `address` belongs to, or that server alone, and who holds which slots.

    When nobody is there, that is a problem of the call.
    """
    access = Access((parse_address(address),), credentials, timeout)
    try:
        layout = read_layout(access)
    except Unreachable as error:
        raise UsageProblem(str(error)) from error
    return access.widened(layout), layout


def open_sources(address: str, credentials: Credentials, which: Which) -> list[Source]:
    """The nodes of a cluster, or a server alone, whose keys are to be looked at.

    When nobody is there, that is a problem of the call.
    """
    host, port = parse_address(address)
    try:
        return find_sources(host, port, credentials, which)
    except Unreachable as error:
        raise UsageProblem(str(error)) from error


def open_survey(address: str, credentials: Credentials, timeout: float = DEFAULT_TIMEOUT) -> Survey:
    """The cluster that `address` belongs to. When nobody is there, that is a problem of the call."""
    host, port = parse_address(address)
    try:
        return Survey.of(host, port, credentials, timeout)
    except Unreachable as error:
        raise UsageProblem(str(error)) from error
