"""Our proxy beside twemproxy (nutcracker), each with three Valkey workers behind it, driven in alternation.

    python -m tests.bench.proxy_bench                       GET and SET, pipeline 1 and 16
    python -m tests.bench.proxy_bench --unix                to workers by unix sockets, as under `shoal up`
    python -m tests.bench.proxy_bench --share 0.2           with a fifth of a CPU, to be the limit
    python -m tests.bench.proxy_bench --json result.json    the same figures for a machine

Only the proxies' own CPU counts. Without --share, throughput is what redis-benchmark, the proxy and three
workers reach together on however few CPUs there are, and tells little of the proxy. twemproxy shards over
plain servers, as it cannot follow a cluster; what it does per request is the same. Figures are medians; a
ratio is ours to twemproxy's (of CPU: below 1, we cost less).
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench.cpu_share import cpu_share
from tests.bench.measure import Load, Sample, fill, run_load
from tests.harness.clusters import cluster_of
from tests.harness.proxies import ShoalProxy
from tests.harness.servers import Process, Server, server

CPU_BARS = {1: 0.7, 16: 0.5}
"""Pipeline -> the most CPU per operation we may use, as a ratio to twemproxy."""
THROUGHPUT_BAR = 1.5
"""The least throughput where each proxy has the same share of a CPU, at pipeline 16."""


class Twemproxy(Process):
    """nutcracker with its default settings over plain servers."""

    kind = "twemproxy"

    def __init__(self, workers: list[str]) -> None:
        super().__init__()
        lines = ["pool:", f"  listen: {self.address}", "  redis: true", "  servers:"]
        lines += [f"    - {worker}:1" for worker in workers]
        self.settings = self.directory / "nutcracker.yml"
        self.settings.write_text("\n".join(lines) + "\n")

    def command(self) -> list[str]:
        program = shutil.which("nutcracker")
        assert program, "nutcracker is missing: install it (Debian: apt install nutcracker)"
        # its statistics listen on a port too: the one a worker's cluster bus would have
        return [program, "-c", str(self.settings), "-s", str(self.port + 10000), "-v", "0"]


def with_socket(node: Server) -> Server:
    node.config["unixsocket"] = str(node.directory / "socket")
    return node


def run_bench(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row per command and pipeline depth."""
    with ExitStack() as stack:
        prepare = with_socket if options.unix else lambda node: node
        cluster = stack.enter_context(cluster_of(3, kind=options.workers, prepare=prepare))
        plain = [stack.enter_context(prepare(server("valkey", appendonly="no"))) for _ in range(3)]
        places = [str(each.config.get("unixsocket", each.address)) for each in plain]
        proxies: dict[str, Process] = {
            "shoal": stack.enter_context(ShoalProxy(cluster.addresses)),
            "twemproxy": stack.enter_context(Twemproxy(places)),
        }
        for proxy in proxies.values():
            fill(proxy.port, options.keys)
        if options.share:
            stack.enter_context(cpu_share([proxy.pid for proxy in proxies.values()], options.share))
        rows = []
        for command in options.commands.split(","):
            for pipeline in map(int, options.pipelines.split(",")):
                requests = options.requests * (1 if pipeline == 1 else 5)
                load = Load(command, pipeline, requests, options.clients, keyspace=options.keys)
                samples: dict[str, list[Sample]] = {kind: [] for kind in proxies}
                for _ in range(options.rounds):
                    for kind, proxy in proxies.items():
                        samples[kind].append(run_load(proxy.port, [proxy.pid], load))
                rows.append(_row(load, samples))
                print(_text(rows[-1]), flush=True)
        return rows


def _row(load: Load, samples: dict[str, list[Sample]]) -> dict[str, Any]:
    cpu = {kind: statistics.median(each.cpu for each in found) for kind, found in samples.items()}
    pairs = zip(samples["shoal"], samples["twemproxy"], strict=True)
    throughput = {
        kind: statistics.median(each.throughput for each in found) for kind, found in samples.items()
    }
    return {
        **asdict(load),
        "cpu_us": cpu,
        "throughput": throughput,
        "cpu_ratio": cpu["shoal"] / cpu["twemproxy"],
        "throughput_ratio": throughput["shoal"] / throughput["twemproxy"],
        "cpu_ratio_by_pairs": statistics.median(ours.cpu / theirs.cpu for ours, theirs in pairs),
    }


def _text(row: dict[str, Any]) -> str:
    cpu, throughput = row["cpu_us"], row["throughput"]
    return (
        f"{row['command'].upper()} P={row['pipeline']}: {cpu['shoal']:.2f} µs/op, twemproxy "
        f"{cpu['twemproxy']:.2f}; ratio {row['cpu_ratio']:.2f} ({row['cpu_ratio_by_pairs']:.2f} by pairs); "
        f"{throughput['shoal'] / 1000:.0f} against {throughput['twemproxy'] / 1000:.0f} kops/s, "
        f"{row['throughput_ratio']:.2f} times"
    )


def misses(row: dict[str, Any], *, limited: bool) -> bool:
    """`limited`: the proxies had a share of a CPU."""
    if limited:
        return bool(row["pipeline"] == 16 and row["throughput_ratio"] < THROUGHPUT_BAR)
    return bool(row["cpu_ratio"] > CPU_BARS.get(row["pipeline"], 1.0))


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.bench.proxy_bench")
    parser.add_argument("--workers", default="valkey", choices=("valkey", "redis", "shoal"))
    parser.add_argument("--unix", action="store_true", help="both proxies reach workers by unix sockets")
    parser.add_argument("--commands", default="set,get")
    parser.add_argument("--pipelines", default="1,16")
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=100_000, help="per run, at pipeline 1")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--share", type=float, help="of one CPU, for each proxy")
    parser.add_argument("--bars", action="store_true", help="fail where the bar is missed")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = run_bench(options)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))
    return 1 if options.bars and any(misses(row, limited=options.share is not None) for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
