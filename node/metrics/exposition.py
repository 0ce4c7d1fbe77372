"""Figures as Prometheus reads them, made by prometheus-client, which is loaded with this file and by nobody
else: it takes some MB that a process which tells nothing need not give.

A page is made in slices, and between two of them the event loop serves others; so clients of a worker do not
wait for a scrape, however many commands, databases or slots it tells of.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import CollectorRegistry

from node.metrics.figures import Figure, counter
from node.metrics.percentiles import Distribution
from node.metrics.web import Content, Page

SLICE = 100
"""Samples in a row: about half a millisecond."""
NS = 1_000_000_000
BOUNDS = [2**power * 1000 for power in range(4, 25)]
"""Upper ends of buckets, in ns: 16 µs to 17 s"""


class _One(CollectorRegistry):
    """What `generate_latest` wants of a registry."""

    def __init__(self, metric: Metric) -> None:
        super().__init__(auto_describe=False)
        self._metric = metric

    def collect(self) -> Iterator[Metric]:
        yield self._metric


def page_of(collect: Callable[[], Iterable[Metric]]) -> Page:
    """The page /metrics. `collect` gives the families one after the other, each as of when it is given; a
    large one may come in parts."""

    async def make() -> Content:
        parts: list[bytes] = []
        last = ""
        for metric in collect():
            for start in range(0, len(metric.samples), SLICE):
                parts.append(_text(metric, start, goes_on=bool(start) or metric.name == last))
                await asyncio.sleep(0)
            last = metric.name
        return Content(CONTENT_TYPE_LATEST, b"".join(parts))

    return make


def _text(metric: Metric, start: int, goes_on: bool) -> bytes:
    """Of a slice; the lines of help and type stand before the first only."""
    part = copy(metric)
    part.samples = metric.samples[start : start + SLICE]
    text = generate_latest(_One(part))
    return text.split(b"\n", 2)[2] if goes_on else text


def families(figures: Iterable[Figure]) -> Iterator[Metric]:
    """Of figures in any order, those of one name together."""
    found: dict[str, Metric] = {}
    for name, text, value, is_counter, labels in figures:
        if name not in found:
            kind = CounterMetricFamily if is_counter else GaugeMetricFamily
            found[name] = kind(name, text)
        metric = found[name]
        metric.add_sample(f"{name}_total" if is_counter else name, dict(labels), value)
    yield from found.values()


def histogram(name: str, text: str, labels: Sequence[str] = ()) -> HistogramMetricFamily:
    return HistogramMetricFamily(name, text, labels=labels)


_OF_COMMANDS = (
    ("", "Requests answered", 1),
    ("_rejected_calls", "Not carried out", 1),
    ("_failed_calls", "Answered by an error", 1),
    ("_duration_seconds", "", NS),
)


def of_requests(
    stats: Mapping[str, tuple[int, int, int, int]],
    errors: Mapping[str, int],
    latencies: Mapping[str, Distribution],
    what_is_timed: str,
) -> Iterator[Metric]:
    """`stats`: name -> (calls, rejected, failed, ns); `errors`: kind -> replies."""
    for column, (name, text, unit) in enumerate(_OF_COMMANDS):
        family = CounterMetricFamily(f"redis_commands{name}", text or what_is_timed, labels=["cmd"])
        for command, counts in stats.items():
            family.add_metric([command], counts[column] / unit)
        yield family
    yield from families(counter("redis_errors", "Error replies", errors[err], err=err) for err in errors)
    text = f"{what_is_timed}, in microseconds"
    for name, distribution in latencies.items():
        times = histogram("redis_commands_latencies_usec", text, ["cmd"])
        times.add_metric([name], buckets(distribution, 1000), stats[name][3] / 1000)
        yield times


def buckets(distribution: Iterable[tuple[int, int]], unit: int) -> list[tuple[str, float]]:
    """Of (longest time in ns, calls): cumulative, as Prometheus wants them; bounds in units of so many ns."""
    counts = [0] * (len(BOUNDS) + 1)
    for longest, calls in distribution:
        counts[bisect_left(BOUNDS, longest)] += calls
    found, seen = [], 0
    for bound, count in zip([*(f"{bound / unit:g}" for bound in BOUNDS), "+Inf"], counts, strict=True):
        seen += count
        found.append((bound, float(seen)))
    return found
