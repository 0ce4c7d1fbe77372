"""What several workers report, as one report: the replies that the command tips call `special`.

Each function takes the request and the decoded replies (codec.decode_reply) of all workers that answered
without an error, and returns one reply value. Nothing here knows where a report came from: a client that
wants to know asks one node (`SLOWLOG GET NODE 10.0.0.1:7001`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import chain
from operator import xor
from typing import Any

from node.replies import Verbatim
from proxy.local import hot_keys
from proxy.requests import codec
from proxy.requests.codec import pairs_of
from proxy.requests.merger import Merge

Report = Callable[[Sequence[bytes], Sequence[Any]], Any]

DEFAULT_ENTRIES = 10
"""Of SLOWLOG GET and ACL LOG, as in Redis"""
HISTORY_LENGTH = 160
"""Samples that LATENCY HISTORY keeps of an event, as in Redis"""


def _newest(values: Sequence[Any], age: Callable[[Any], float], limit: Sequence[bytes]) -> list[Any]:
    """The entries of several logs, the newest first; of them as many as the request says (-1: all)."""
    most = int(limit[0]) if limit else DEFAULT_ENTRIES
    entries = sorted(chain.from_iterable(values), key=age)
    return entries if most < 0 else entries[:most]


def slow_log(argv: Sequence[bytes], values: Sequence[Any]) -> Any:
    """Entries are [id, Unix time, …]; ids are those of the workers."""
    return _newest(values, lambda entry: -entry[1], argv[2:3])


def acl_log(argv: Sequence[bytes], values: Sequence[Any]) -> Any:
    if values[0] == "OK":
        return "OK"  # ACL LOG RESET
    return _newest(values, lambda entry: float(pairs_of(entry)[b"age-seconds"]), argv[2:3])


def latency_latest(argv: Sequence[bytes], values: Sequence[Any]) -> Any:
    """Events are [name, Unix time, latest ms, greatest ms, …]: what is latest, and the greatest of all.
    Valkey and Redis 8 add sum and count."""
    events: dict[bytes, list[Any]] = {}
    for entry in chain.from_iterable(values):
        known = events.setdefault(entry[0], entry)
        if known is not entry:
            latest = max(known, entry, key=lambda each: each[1])
            sums = [one + other for one, other in zip(known[4:], entry[4:], strict=False)]
            events[entry[0]] = [*latest[:3], max(known[3], entry[3]), *sums]
    return list(events.values())


def latency_history(argv: Sequence[bytes], values: Sequence[Any]) -> Any:
    """Samples are [Unix time, ms], the oldest first."""
    return sorted(chain.from_iterable(values))[-HISTORY_LENGTH:]


def latency_histogram(argv: Sequence[bytes], values: Sequence[Any]) -> Any:
    """command -> calls, and how many of them took at most so many microseconds. Counts are cumulative, and a
    bucket that a worker does not name has as many as the one before it."""
    merged: dict[bytes, Any] = {}
    for value in values:
        for name, row in pairs_of(value).items():
            merged.setdefault(name, []).append(pairs_of(row))
    return {
        name: {
            b"calls": sum(row[b"calls"] for row in rows),
            b"histogram_usec": _cumulative([pairs_of(row[b"histogram_usec"]) for row in rows]),
        }
        for name, rows in merged.items()
    }


def _cumulative(histograms: Sequence[dict[int, int]]) -> dict[int, int]:
    bounds = sorted(set(chain.from_iterable(histograms)))
    return {
        bound: sum(max((n for at, n in each.items() if at <= bound), default=0) for each in histograms)
        for bound in bounds
    }


def texts(argv: Sequence[bytes], values: Sequence[Any]) -> Any:
    """What workers say to people: each text once."""
    said = dict.fromkeys(value.text if isinstance(value, Verbatim) else value for value in values)
    joined = b"\n".join(said)
    return Verbatim(joined) if isinstance(values[0], Verbatim) else joined


def memory_stats(argv: Sequence[bytes], values: Sequence[Any]) -> Any:
    return reduce(_added, map(pairs_of, values))


def _added(one: dict[Any, Any], other: dict[Any, Any]) -> dict[Any, Any]:
    """Bytes and counts are added up; of what is a share or a mean, the greatest is told."""
    sums = dict(one)
    for name, value in other.items():
        known = sums.get(name)
        if known is None:
            sums[name] = value
        elif isinstance(value, list | dict):
            sums[name] = _added(pairs_of(known), pairs_of(value))
        elif isinstance(value, int) and name != b"keys.bytes-per-key":
            sums[name] = known + value
        else:
            sums[name] = max(known, value, key=float)
    return sums


def function_stats(argv: Sequence[bytes], values: Sequence[Any]) -> Any:
    """One of the functions that run, if any; libraries are the same everywhere."""
    reports = [pairs_of(value) for value in values]
    running = (report[b"running_script"] for report in reports)
    engines: dict[bytes, Any] = {}
    for report in reports:
        for name, counts in pairs_of(report[b"engines"]).items():
            known = engines.setdefault(name, pairs_of(counts))
            engines[name] = {what: max(known[what], n) for what, n in pairs_of(counts).items()}
    script = next(filter(None, running), None)
    return {b"running_script": pairs_of(script) if script else None, b"engines": engines}


def subscribers(argv: Sequence[bytes], values: Sequence[Any]) -> Any:
    """PUBSUB NUMSUB: channel, number, channel, number …"""
    counts = dict.fromkeys(argv[2:], 0)
    for value in values:
        for channel, number in pairs_of(value).items():
            counts[channel] += number
    return [item for channel in argv[2:] for item in (channel, counts[channel])]


def dataset_digest(argv: Sequence[bytes], values: Sequence[Any]) -> Any:
    """DEBUG DIGEST: each worker's is the exclusive or of its keys' digests, and if it has any key, of a
    constant that stands for database 0. That is to be in the result once, however many workers have keys."""
    digests = [digest for value in values if (digest := int(value, 16))]
    if digests and len(digests) % 2 == 0:
        digests.append(int(hashlib.sha1(hashlib.sha1(bytes(4)).digest()).hexdigest(), 16))
    return f"{reduce(xor, digests, 0):040x}"


REPORTS: dict[str, Report] = {
    "debug": dataset_digest,
    "slowlog|get": slow_log,
    "commandlog|get": slow_log,
    "acl|log": acl_log,
    "latency|latest": latency_latest,
    "latency|history": latency_history,
    "latency|histogram": latency_histogram,
    "latency|doctor": texts,
    "latency|graph": texts,
    "memory|doctor": texts,
    "memory|malloc-stats": texts,
    "memory|stats": memory_stats,
    "function|stats": function_stats,
    "hotkeys|stop": hot_keys.stopped,
    "hotkeys|get": hot_keys.found,
    "pubsub|numsub": subscribers,
    "pubsub|shardnumsub": subscribers,
}


def reporting(report: Report, argv: Sequence[bytes], resp: int) -> Merge:
    """`report` for raw replies: of those who answered without an error; if there is none, the error."""

    def merge(replies: Sequence[bytes]) -> bytes:
        answers = [codec.decode_reply(reply) for reply in replies if not codec.is_error(reply)]
        return codec.encode_reply(report(argv, answers), resp) if answers else replies[0]

    return merge
