#!/usr/bin/env python3
"""A worker that joins a cluster, and does not help to form it: `shoal-later HOST:PORT PROGRAM [ARGUMENT...]`

Workers form a cluster of whoever is there once enough of them are. One that is meant to come on top must not
be among these. So if it is new, with no nodes.conf in the directory that the last `--dir` among the arguments
names, this waits until the member at HOST:PORT says that the cluster is up, and then becomes PROGRAM. One
that has been a member before starts at once: the others may need it.
"""

import os
import signal
import socket
import sys
import time
from itertools import pairwise
from types import FrameType

PAUSE, PATIENCE = 0.5, 4.0


def is_up(host: str, port: int) -> bool:
    """Whether the cluster is up, as its member at this address sees it."""
    password = os.environ.get("SHOAL_PASSWORD")
    questions = (f"AUTH {password}\r\n" if password else "") + "CLUSTER INFO\r\nQUIT\r\n"
    try:
        with socket.create_connection((host, port), PATIENCE) as talk:
            talk.sendall(questions.encode())
            answer = b""
            while part := talk.recv(4096):
                answer += part
    except OSError:
        return False
    return b"cluster_state:ok" in answer


def main(seed: str, program: list[str]) -> None:
    # The first process of a container gets no signal that it does not ask for.
    signal.signal(signal.SIGTERM, end)
    directories = [value for name, value in pairwise(program) if name == "--dir"]
    host, _, port = seed.rpartition(":")
    if not os.path.exists(os.path.join(directories[-1] if directories else ".", "nodes.conf")):
        print(f"Waiting for the cluster of {seed}", flush=True)
        while not is_up(host, int(port)):
            time.sleep(PAUSE)
    os.execvp(program[0], program)


def end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: shoal-later HOST:PORT PROGRAM [ARGUMENT...]")
    main(sys.argv[1], sys.argv[2:])
