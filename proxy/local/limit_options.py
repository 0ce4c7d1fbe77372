"""How limits and rules are told to the proxy: options of its command line, and CONFIG SET NODE PROXY."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from node.config.kinds import parse_memory
from proxy.core.limits import DEFAULT_IN_FLIGHT, DEFAULT_OUTPUT, DEFAULT_REQUEST, Limits
from proxy.local.rules import Rules

MOST = 999_999_999
"""Of requests or seconds"""


def add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("limits of each client, and what clients may do")
    group.add_argument(
        "--client-in-flight", type=positive, default=DEFAULT_IN_FLIGHT, metavar="REQUESTS",
        help="not answered yet; further ones wait",
    )  # fmt: skip
    group.add_argument(
        "--client-rate", type=number, default=0, metavar="REQUESTS",
        help="a second, with bursts of as many; further ones wait; 0: any",
    )  # fmt: skip
    group.add_argument(
        "--client-query-buffer-limit", type=memory, default=DEFAULT_REQUEST, metavar="BYTES",
        help="of one unfinished request; the client is closed",
    )  # fmt: skip
    group.add_argument(
        "--client-output-buffer-limit", nargs="+", default=[], metavar="CLASS HARD SOFT SECONDS",
        help="as in redis.conf, for the classes normal and pubsub",
    )  # fmt: skip
    group.add_argument(
        "--slowlog-log-slower-than", type=threshold, default=10_000, metavar="MICROSECONDS",
        help="requests that took longer, all in all, are in SLOWLOG GET NODE PROXY; -1: none",
    )  # fmt: skip
    group.add_argument(
        "--traces-to", default="", metavar="URL",
        help="send spans of slow requests to this OpenTelemetry collector, e.g. http://host:4318/v1/traces",
    )  # fmt: skip
    group.add_argument(
        "--traces-slower-than", type=number, default=10_000, metavar="MICROSECONDS",
        help="of those that took longer; 0: of all",
    )  # fmt: skip
    named = "commands, subcommands (config|set) and categories (@dangerous)"
    group.add_argument("--allow", nargs="+", default=[], metavar="COMMAND", help=f"only these {named}")
    group.add_argument("--deny", nargs="+", default=[], metavar="COMMAND", help=f"but not these {named}")
    group.add_argument("--allow-keys", nargs="+", default=[], metavar="PATTERN", help="only these keys")


def limits_of(given: Any) -> Limits:
    """Raises ArgumentTypeError."""
    return Limits(
        given.client_in_flight,
        given.client_rate,
        given.client_query_buffer_limit,
        output_limits(given.client_output_buffer_limit),
    )


def rules_of(given: Any) -> Rules:
    """Raises ValueError."""
    return Rules(given.allow, given.deny, [pattern.encode() for pattern in given.allow_keys])


def output_limits(words: Sequence[str]) -> dict[str, tuple[int, int, int]]:
    """class -> (hard limit, soft limit, seconds). Raises ArgumentTypeError."""
    fields = " ".join(words).split()
    if len(fields) % 4:
        raise argparse.ArgumentTypeError("CLASS HARD SOFT SECONDS is expected, for each class")
    limits = {}
    for name, hard, soft, seconds in zip(*[iter(fields)] * 4, strict=True):
        if name not in DEFAULT_OUTPUT:
            raise argparse.ArgumentTypeError("the classes are normal and pubsub")
        limits[name] = memory(hard), memory(soft), number(seconds)
    return limits


def shown_output(limits: Limits) -> str:
    """As CONFIG GET shows it."""
    return " ".join(
        f"{name} {hard} {soft} {seconds}" for name, (hard, soft, seconds) in limits.output.items()
    )


def memory(text: str) -> int:
    """Raises ArgumentTypeError."""
    try:
        return int(parse_memory(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def number(text: str, lowest: int = 0) -> int:
    """Raises ArgumentTypeError, whose words argparse shows."""
    if not text.isdigit() or not lowest <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"argument must be between {lowest} and {MOST} inclusive")
    return int(text)


def threshold(text: str) -> int:
    """A number, or -1."""
    return -1 if text == "-1" else number(text)


def positive(text: str) -> int:
    return number(text, lowest=1)
