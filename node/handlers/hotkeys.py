"""HOTKEYS: the keys that cost most, by the time of their commands and by the bytes these moved.

The form is that of Redis 8.6 (https://redis.io/docs/latest/commands/hotkeys/). What differs lies below it:
times are summed up in nanoseconds, so that commands of less than a microsecond count, too; a script and a
transaction are put down to all their keys in equal parts; and what is told of a key is never more than it
really was. Channels of sharded pub/sub count as keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Any

from node import errors
from node.cluster_port import SLOT_COUNT
from node.errors import ReplyError
from node.handlers.arguments import as_int, parse_int_between
from node.handlers.registry import command
from node.metrics.hot_keys import Ranges, Wanted, Watch
from node.replies import OK

MOST_METRICS = 2
MOST_KEYS = 64
LONGEST_SECONDS = 1_000_000
LARGEST_RATIO = (1 << 31) - 1

_ACTIVE = ReplyError("ERR hotkey tracking session already in progress")
_STILL_ACTIVE = ReplyError("ERR hotkey tracking session in progress, stop tracking first")
_NO_METRICS = ReplyError("ERR METRICS parameter is required")
_BAD_METRICS = ReplyError(f"ERR METRICS count must be > 0 and <= {MOST_METRICS}")
_FEWER_METRICS = ReplyError("ERR METRICS count does not match number of metric types provided")
_UNKNOWN_METRICS = ReplyError("ERR METRICS no valid metrics passed. Supported: CPU|NET")
_BAD_COUNT = ReplyError(f"ERR COUNT must be between 1 and {MOST_KEYS}")
_BAD_DURATION = ReplyError(f"ERR DURATION must be between 1 and {LONGEST_SECONDS}")
_BAD_RATIO = ReplyError("ERR SAMPLE ratio must be positive")
_NO_CLUSTER = ReplyError("ERR SLOTS parameter cannot be used in non-cluster mode")
_SLOTS_TWICE = ReplyError("ERR SLOTS parameter already specified")
_BAD_SLOT_COUNT = ReplyError(f"ERR SLOTS count must be between 1 and {SLOT_COUNT}")
_FEWER_SLOTS = ReplyError("ERR not enough slot numbers provided")
_BAD_SLOT = ReplyError("ERR Invalid or out of range slot")
_SAME_SLOT = ReplyError("ERR duplicate slot number")

HELP = [
    "HOTKEYS <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "START METRICS <count> [CPU] [NET] [COUNT <k>] [DURATION <seconds>] [SAMPLE <ratio>]",
    "      [SLOTS <count> <slot> ...]",
    "    Begin to watch which <k> keys (default 10) cost most: processor time, bytes, or both.",
    "    It ends after <seconds>, or by STOP. One of <ratio> commands (default 1) is put down to its keys.",
    "STOP",
    "    End it. What was found stays.",
    "GET",
    "    What has been found.",
    "RESET",
    "    Forget it.",
    "HELP",
    "    Print this help.",
]


@command("hotkeys|start")
def start(ctx: Any, args: list[bytes]) -> str:
    if ctx.worker.hot_keys.is_active:
        raise _ACTIVE
    ctx.worker.hot_keys.start(_wanted(ctx, args))
    return OK


@command("hotkeys|stop")
def stop(ctx: Any, args: list[bytes]) -> str | None:
    if not ctx.worker.hot_keys.is_active:
        return None
    ctx.worker.hot_keys.stop()
    return OK


@command("hotkeys|reset")
def reset(ctx: Any, args: list[bytes]) -> str:
    if ctx.worker.hot_keys.is_active:
        raise _STILL_ACTIVE
    ctx.worker.hot_keys.reset()
    return OK


@command("hotkeys|get")
def get(ctx: Any, args: list[bytes]) -> list[dict[bytes, Any]] | None:
    """A list of one: who asks several nodes joins their lists."""
    watch = ctx.worker.hot_keys.watch
    return None if watch is None else [_report(ctx, watch)]


@command("hotkeys|help")
def help_(ctx: Any, args: list[bytes]) -> list[str]:
    return HELP


# --- what is wanted


def _wanted(ctx: Any, args: list[bytes]) -> Wanted:
    """METRICS count [CPU] [NET] [COUNT k] [DURATION seconds] [SAMPLE ratio] [SLOTS count slot ...]"""
    metrics, rest = _metrics(args)
    count, seconds, ratio = 10, 0, 1
    slots: Ranges | None = None
    words = iter(rest)
    for word in words:
        option, value = word.upper(), next(words, None)
        if value is None:
            raise errors.SYNTAX
        if option == b"COUNT":
            count = parse_int_between(value, 1, MOST_KEYS, _BAD_COUNT)
        elif option == b"DURATION":
            seconds = parse_int_between(value, 1, LONGEST_SECONDS, _BAD_DURATION)
        elif option == b"SAMPLE":
            ratio = parse_int_between(value, 1, LARGEST_RATIO, _BAD_RATIO)
        elif option == b"SLOTS":
            if not ctx.worker.cluster.enabled:
                raise _NO_CLUSTER
            if slots is not None:
                raise _SLOTS_TWICE
            slots = _slots(ctx, parse_int_between(value, 1, SLOT_COUNT, _BAD_SLOT_COUNT), words)
        else:
            raise errors.SYNTAX
    return Wanted(b"CPU" in metrics, b"NET" in metrics, count, seconds, ratio, slots)


def _metrics(args: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Those that are known, and what follows them. Others count, and that is all: they may be of a later
    version."""
    if len(args) < 2 or args[0].upper() != b"METRICS":
        raise _NO_METRICS
    count = parse_int_between(args[1], 1, MOST_METRICS, _BAD_METRICS)
    named = [word.upper() for word in args[2 : 2 + count]]
    known = [word for word in named if word in (b"CPU", b"NET")]
    for metric in known:
        if known.count(metric) > 1:
            raise ReplyError(f"ERR METRICS {metric.decode()} defined more than once!")
    if len(named) != count:
        raise _FEWER_METRICS
    if not known:
        raise _UNKNOWN_METRICS
    return known, args[2 + count :]


def _slots(ctx: Any, count: int, words: Iterator[bytes]) -> Ranges:
    given = list(islice(words, count))
    if len(given) < count:
        raise _FEWER_SLOTS
    ours = ctx.worker.cluster.slots
    found = []
    for word in given:
        slot = as_int(word)
        if slot is None or not 0 <= slot < SLOT_COUNT:
            raise _BAD_SLOT
        if not any(first <= slot <= last for first, last in ours):
            raise ReplyError(f"ERR slot {slot} not handled by this node")
        found.append(slot)
    found.sort()
    if any(one == other for one, other in pairwise(found)):
        raise _SAME_SLOT
    ranges: Ranges = []
    for slot in found:
        if ranges and ranges[-1][1] == slot - 1:
            ranges[-1] = (ranges[-1][0], slot)
        else:
            ranges.append((slot, slot))
    return ranges


# --- what was found


def _report(ctx: Any, watch: Watch) -> dict[bytes, Any]:
    wanted, traffic = watch.wanted, watch.traffic
    ended = watch.ended if watch.ended is not None else ctx.now
    shown = ctx.worker.cluster.slots if wanted.slots is None else wanted.slots
    selected, sampled = wanted.slots is not None, wanted.slots is not None and wanted.ratio > 1
    report: dict[bytes, Any] = {
        b"tracking-active": int(watch.is_active),
        b"sample-ratio": wanted.ratio,
        b"selected-slots": [[first] if first == last else [first, last] for first, last in shown],
    }
    if sampled:
        report[b"sampled-commands-selected-slots-us"] = traffic.sampled[0] // 1000
    if selected:
        report[b"all-commands-selected-slots-us"] = traffic.selected_slots[0] // 1000
    report[b"all-commands-all-slots-us"] = traffic.all_slots[0] // 1000
    if sampled:
        report[b"net-bytes-sampled-commands-selected-slots"] = traffic.sampled[1]
    if selected:
        report[b"net-bytes-all-commands-selected-slots"] = traffic.selected_slots[1]
    report[b"net-bytes-all-commands-all-slots"] = traffic.all_slots[1]
    report[b"collection-start-time-unix-ms"] = watch.began
    report[b"collection-duration-ms"] = ended - watch.began
    if wanted.times:
        user, system = watch.processor_ms()
        report |= {b"total-cpu-time-user-ms": user, b"total-cpu-time-sys-ms": system}
    if wanted.volumes:
        report[b"total-net-bytes"] = traffic.sampled[1]
    if wanted.times:
        slowest = ((key, ns // 1000) for key, ns in traffic.slowest(wanted.count))
        report[b"by-cpu-time-us"] = [each for pair in slowest if pair[1] for each in pair]
    if wanted.volumes:
        report[b"by-net-bytes"] = [each for pair in traffic.busiest(wanted.count) for each in pair]
    return report
