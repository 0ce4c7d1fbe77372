"""A load generator for a look at dashboards: clients that read and write through a proxy, at a steady rate.

    python3 load.py HOST:PORT [--rate 500] [--clients 8] [--keys 100000] [--bytes 64] [--reads 0.8]
                              [--seconds 0]

`--rate` counts commands a second of all clients together; `--reads` is the share of GET among them, the
others are SET. A command that fails is counted and told. It runs until it is stopped, or for `--seconds`, and
prints a line every ten seconds. The password is that of SHOAL_PASSWORD.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import threading
import time

import redis

REPORT_SECONDS = 10.0


class Load:
    """The clients, and what they count."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.stopping = threading.Event()
        self.done = self.failed = 0
        self.slowest = 0.0
        self.problem = ""
        self._lock = threading.Lock()

    def client(self) -> None:
        options = self.options
        host, _, port = options.address.rpartition(":")
        connection = redis.Redis(host, int(port), password=os.environ.get("SHOAL_PASSWORD") or None)
        value, pause = os.urandom(options.bytes), options.clients / options.rate
        due = time.monotonic() + random.random() * pause
        while not self.stopping.wait(max(0.0, due - time.monotonic())):
            due = max(due + pause, time.monotonic() - 1.0)  # what was missed long ago is not made up for
            key, started, problem = f"load:{random.randrange(options.keys)}", time.monotonic(), ""
            try:
                if random.random() < options.reads:
                    connection.get(key)
                else:
                    connection.set(key, value)
            except redis.RedisError as error:
                problem = str(error) or type(error).__name__
            self.count(time.monotonic() - started, problem)

    def count(self, seconds: float, problem: str) -> None:
        with self._lock:
            self.done += not problem
            self.failed += bool(problem)
            self.slowest = max(self.slowest, seconds)
            self.problem = problem or self.problem

    def report(self) -> str:
        """What happened since the last report."""
        with self._lock:
            text = f"{self.done} done, {self.failed} failed, the slowest in {self.slowest * 1000:.1f} ms"
            text += f"; {self.problem}" if self.problem else ""
            self.done = self.failed = 0
            self.slowest, self.problem = 0.0, ""
        return text


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    for name, usual in (("rate", 500), ("clients", 8), ("keys", 100_000), ("bytes", 64), ("seconds", 0)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--reads", type=float, default=0.8)
    load = Load(parser.parse_args())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: load.stopping.set())
    ends_at = time.monotonic() + (load.options.seconds or float("inf"))
    clients = [threading.Thread(target=load.client) for _ in range(load.options.clients)]
    for client in clients:
        client.start()
    while not load.stopping.wait(min(REPORT_SECONDS, max(0.0, ends_at - time.monotonic()))):
        print(load.report(), flush=True)
        if time.monotonic() >= ends_at:
            load.stopping.set()
    for client in clients:
        client.join()
    print(load.report(), flush=True)


if __name__ == "__main__":
    main()
