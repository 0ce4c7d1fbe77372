#!/usr/bin/env python3
"""Whether an installed shoal works: a cluster is started, written to through its proxy, read, and stopped.

`python deploy/smoke.py`; each wheel is tried by it (`tool.cibuildwheel` in pyproject.toml).
"""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
from contextlib import ExitStack
from pathlib import Path

import redis

WORKERS = 3
PATIENCE = 60.0


def free_ports() -> tuple[int, int]:
    """The first of a row for workers, whose bus ports lie 10000 above, and one for the proxy."""
    for first in range(20001, 50000, 10):
        wanted = [first + i for i in range(WORKERS + 1)]
        with ExitStack() as stack:
            try:
                for port in (*wanted, *(port + 10000 for port in wanted)):
                    stack.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            return first, wanted[-1]
    raise SystemExit("no free ports")


def main() -> None:
    shoal = shutil.which("shoal", path=sysconfig.get_path("scripts")) or shutil.which("shoal")
    if shoal is None:
        sys.exit("shoal is not installed")
    subprocess.run([shoal, "--version"], check=True)
    first, proxy = free_ports()
    with tempfile.TemporaryDirectory() as directory:
        settings = ["--workers", str(WORKERS), "--port", str(first), "--proxy-port", str(proxy)]
        up = subprocess.Popen(
            [shoal, "up", "--json", "--dir", str(Path(directory, "cluster")), *settings],
            stdout=subprocess.PIPE,
        )
        try:
            assert up.stdout is not None
            told = json.loads(up.stdout.readline())
            client = redis.Redis(port=proxy, socket_timeout=PATIENCE)
            for i in range(100):
                client.set(f"key:{i}", i)
            assert sorted(map(int, client.mget([f"key:{i}" for i in range(100)]))) == list(range(100))
            assert client.eval("return redis.call('get', KEYS[1])", 1, "key:7") == b"7"
            subprocess.run([shoal, "check", f"127.0.0.1:{first}"], check=True)
        finally:
            up.send_signal(signal.SIGINT)
            code = up.wait(PATIENCE)
    print(f"{told['slots_served']} slots served; ended with {code}")
    sys.exit(code)


if __name__ == "__main__":
    main()
