#!/usr/bin/env python3
"""A directory of its own for each of many equal containers: `shoal-claim ROOT PROGRAM [ARGUMENT...]`

Containers of one service that is scaled share one volume, and nothing tells them apart that outlives them.
So each takes the first of ROOT/1, ROOT/2, ... that nobody else has, and becomes PROGRAM, with `--dir ROOT/n`
behind its arguments. Which one it gets does not matter: a worker is who its directory says it is, wherever it
runs. The directory is held by a lock on a file in it, for as long as the process lives, and on this machine
only.
"""

import fcntl
import os
import sys
from itertools import count


def claim(root: str) -> str:
    """Returns the directory. The lock is never let go of: the descriptor stays open, also in PROGRAM."""
    for number in count(1):
        directory = os.path.join(root, str(number))
        os.makedirs(directory, exist_ok=True)
        lock = os.open(os.path.join(directory, "claimed"), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        os.set_inheritable(lock, True)
        return directory
    raise AssertionError("unreachable")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: shoal-claim ROOT PROGRAM [ARGUMENT...]")
    os.execvp(sys.argv[2], [*sys.argv[2:], "--dir", claim(sys.argv[1])])
