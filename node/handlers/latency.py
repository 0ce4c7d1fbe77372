"""LATENCY: what kept clients waiting: the monitor's events (node/metrics/latency_events), and how long each
command takes (core/timing)."""

from __future__ import annotations

from typing import Any

from node.core.statistics import latencies
from node.errors import ReplyError, one_line
from node.handlers.registry import command
from node.metrics import request_stats, sparkline
from node.metrics.latency_events import Event, summary
from node.replies import Verbatim

HELP = [
    "LATENCY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "DOCTOR",
    "    What was slow, in words, with advice.",
    "GRAPH <event>",
    "    Draw the samples of a class of events.",
    "HISTORY <event>",
    "    Time and milliseconds of the samples of a class of events.",
    "LATEST",
    "    The latest sample of each class of events, and its worst.",
    "RESET [<event> ...]",
    "    Forget these classes of events, or all.",
    "HISTOGRAM [<command> ...]",
    "    Calls by the time they took, cumulative, of these commands or of all.",
    "HELP",
    "    Print this help.",
]

ADVICE = {
    "command": "Some commands are slow: SLOWLOG GET tells which. Those that walk large collections or all "
    "keys are the usual ones; SCAN and its like do that in steps.",
    "fast-command": "Even fast commands took long. Look whether other processes compete for the processor, "
    "whether the machine swaps, or whether values are very large.",
    "expire-cycle": "Many keys expire at the same moment. Spread their expiries a little.",
    "fork": "Starting a background save takes long, as it does in a large process. Save less "
    "often, or on a replica.",
}


@command("latency|history")
def history(ctx: Any, args: list[bytes]) -> list[list[int]]:
    event = _event(ctx, args[0])
    return [[sample.at, sample.milliseconds] for sample in event.samples] if event else []


@command("latency|latest")
def latest(ctx: Any, args: list[bytes]) -> list[list[Any]]:
    return [
        [name.encode(), event.latest.at, event.latest.milliseconds, event.worst]
        for name, event in ctx.worker.slowness.events.events.items()
    ]


@command("latency|reset")
def reset(ctx: Any, args: list[bytes]) -> int:
    return ctx.worker.slowness.events.reset([name.decode("latin-1") for name in args])


@command("latency|graph")
def graph(ctx: Any, args: list[bytes]) -> Verbatim:
    event = _event(ctx, args[0])
    if event is None:
        raise ReplyError(f"ERR No samples available for event '{one_line(args[0])}'")
    values = [sample.milliseconds for sample in event.samples]
    labels = [_age(ctx.now // 1000 - sample.at) for sample in event.samples]
    heading = (
        f"{one_line(args[0])} - high {max(values)} ms, low {min(values)} ms "
        f"(all time high {event.worst} ms)\n"
    )
    return Verbatim(heading + "-" * sparkline.WIDTH + "\n" + sparkline.draw(values, labels))


@command("latency|histogram")
def histogram(ctx: Any, args: list[bytes]) -> dict[bytes, Any]:
    return request_stats.histograms(latencies(ctx.engine), args)


@command("latency|doctor")
def doctor(ctx: Any, args: list[bytes]) -> Verbatim:
    monitor = ctx.worker.slowness.events
    if not monitor.events:
        if not monitor.threshold:
            return Verbatim(
                "The latency monitor is off. Set latency-monitor-threshold to the milliseconds from which on "
                "an event matters to you, and ask again later.\n"
            )
        return Verbatim(f"No event took {monitor.threshold} ms or longer since the monitor was last reset.\n")
    lines = []
    for number, (name, event) in enumerate(monitor.events.items(), 1):
        told = summary(event, ctx.now)
        lines.append(
            f"{number}. {name}: {told.count} latency spikes (average {told.average}ms, mean deviation "
            f"{told.deviation}ms, period {told.period:.2f} sec). Worst all time event {event.worst}ms."
        )
    advice = [f"- {ADVICE[name]}" for name in monitor.events if name in ADVICE]
    return Verbatim("\n".join([*lines, "", *advice, ""]))


@command("latency|help")
def help_(ctx: Any, args: list[bytes]) -> list[str]:
    return HELP


def _event(ctx: Any, name: bytes) -> Event | None:
    event: Event | None = ctx.worker.slowness.events.events.get(name.decode("latin-1"))
    return event


def _age(seconds: int) -> str:
    """How long ago, in the largest unit that fits."""
    for length, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
