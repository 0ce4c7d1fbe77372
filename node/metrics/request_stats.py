"""How servers show what they have counted of requests: INFO commandstats, latencystats and errorstats, and
LATENCY HISTOGRAM. A worker's engine and a proxy count for themselves and have the same said of it.

Times are in ns, distributions those of percentiles.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from node.metrics.percentiles import Distribution, cumulative, percentiles


def command_lines(stats: Mapping[str, tuple[int, int, int, int]]) -> dict[str, str]:
    """Of name -> (calls, rejected, failed, time in all)."""
    return {
        f"cmdstat_{name}": f"calls={calls},usec={spent // 1000},"
        f"usec_per_call={spent / 1000 / max(calls, 1):.2f},"
        f"rejected_calls={rejected},failed_calls={failed}"
        for name, (calls, rejected, failed, spent) in stats.items()
    }


def latency_lines(latencies: Mapping[str, Distribution], shares: Sequence[float]) -> dict[str, str]:
    """Percentiles in microseconds, for these shares."""
    return {
        f"latency_percentiles_usec_{name}": percentiles(shares, calls) for name, calls in latencies.items()
    }


def error_lines(counts: Mapping[str, int]) -> dict[str, str]:
    return {f"errorstat_{kind}": f"count={count}" for kind, count in sorted(counts.items())}


def histograms(latencies: Mapping[str, Distribution], asked: Sequence[bytes]) -> dict[bytes, Any]:
    """LATENCY HISTOGRAM of the commands `asked` for; without any, of all. Of a container, all its
    subcommands. Names that are none, or were never called, are passed over."""
    words = [name.decode("latin-1").lower() for name in asked]
    names = [name for one in words for name in latencies if name == one or name.startswith(f"{one}|")]
    return {
        name.encode(): {
            b"calls": sum(count for _, count in latencies[name]),
            b"histogram_usec": dict(cumulative(latencies[name])),
        }
        for name in (names if asked else latencies)
    }
