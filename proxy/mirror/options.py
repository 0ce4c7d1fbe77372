"""How the proxy is told of its mirror."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from proxy.local.limit_options import memory
from proxy.workers.dialogue import Address

VARIABLE = "SHOAL_MIRROR_AUTH"


@dataclass(frozen=True)
class MirrorOptions:
    seeds: list[Address] = field(default_factory=list)
    """Members of a cluster, or a server; empty: there is no mirror"""
    percent: float = 100.0
    """Of the slots: requests that change their keys are mirrored"""
    reads: float = 0.0
    """... and so many are read there, too"""
    compare: bool = False
    """... and replies compared"""
    memory: int = 64 << 20
    """Bytes that may wait for it"""
    credentials: tuple[bytes, ...] = field(default=(), repr=False)
    tls: bool = False


def add_options(parser: argparse.ArgumentParser, address: Callable[[str], Address]) -> None:
    group = parser.add_argument_group("a mirror: another cluster, or server, that gets what clients do here")
    group.add_argument("--mirror", action="append", default=[], type=address, metavar="HOST:PORT",
                       help="one of its servers; may be given several times")  # fmt: skip
    group.add_argument("--mirror-percent", type=percentage, default=100.0, metavar="PERCENT",
                       help="of the slots, whose writes go there")  # fmt: skip
    group.add_argument("--mirror-reads", type=percentage, default=0.0, metavar="PERCENT",
                       help="of the slots, whose reads go there as well")  # fmt: skip
    group.add_argument("--mirror-compare", action="store_true", help="count replies that differ from ours")
    group.add_argument("--mirror-memory", type=memory, default=64 << 20, metavar="BYTES",
                       help="of requests that may wait for it; more are left out")  # fmt: skip
    group.add_argument("--mirror-auth", default=os.environ.get(VARIABLE, ""), metavar="[USER:]PASSWORD",
                       help=f"given to it; or in {VARIABLE}")  # fmt: skip
    group.add_argument("--mirror-user", default="", metavar="USER")
    group.add_argument("--mirror-password-file", metavar="PATH", help="the password, in a file")
    group.add_argument("--mirror-tls", action="store_true", help="connect to it by TLS, with the files below")


def options_of(given: Any, credentials: tuple[bytes, ...]) -> MirrorOptions:
    return MirrorOptions(
        seeds=given.mirror,
        percent=given.mirror_percent,
        reads=given.mirror_reads,
        compare=given.mirror_compare,
        memory=given.mirror_memory,
        credentials=credentials,
        tls=given.mirror_tls,
    )


def percentage(text: str) -> float:
    """Raises ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentage")
    return value
