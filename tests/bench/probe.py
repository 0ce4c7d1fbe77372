"""A client that only wants to know how long it is kept waiting.

    python -m tests.bench.probe PORT

It sends PING and GET in turns, each as soon as the last was answered, until its input ends, and then prints
how many there were, the longest wait and the 99.9th percentile, in ms, as JSON. It runs in a process of its
own, so that nothing else of the bench delays it; `Probe` is how the bench holds one. The first line it
prints says that it is connected and has been answered often enough for all that happens once to be over.
"""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

from tests.harness.servers import ROOT, die_with_parent

REQUESTS = (b"PING\r\n", b"GET nothing\r\n")
WARMING = 200
PATIENCE = 120.0
"""Seconds that one reply may take."""


@dataclass(frozen=True, slots=True)
class Waits:
    """Milliseconds."""

    longest: float
    p999: float


class Probe:
    """`with Probe(port) as probe: …` probes while the block runs; `probe.waits` is there afterwards."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.waits = Waits(0.0, 0.0)

    def __enter__(self) -> Probe:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.probe", str(self._port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True, preexec_fn=die_with_parent,
        )  # fmt: skip
        assert self._process.stdout is not None
        self._process.stdout.readline()
        return self

    def __exit__(self, *_: object) -> None:
        told, _ = self._process.communicate(timeout=PATIENCE)
        if told:
            self.waits = Waits(**json.loads(told))


def wait_for_reply(sock: socket.socket, request: bytes) -> float:
    """Seconds."""
    began = time.perf_counter()
    sock.sendall(request)
    reply = sock.recv(256)
    ended = time.perf_counter()
    if not reply:
        raise EOFError("the server closed the connection")
    return ended - began


def probe(port: int) -> Waits:
    waits: list[float] = []
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in range(WARMING):
            wait_for_reply(sock, REQUESTS[number % 2])
        print("ready", flush=True)
        while True:
            for request in REQUESTS:
                waits.append(wait_for_reply(sock, request))
            if select.select([sys.stdin], [], [], 0)[0]:
                break
    waits.sort()
    return Waits(waits[-1] * 1000, waits[int(len(waits) * 0.999)] * 1000)


if __name__ == "__main__":
    print(json.dumps(asdict(probe(int(sys.argv[1])))))
