"""`shoal node [redis.conf] --name value ...`: a worker as redis-server is started, with or without cluster.

The process itself is `node/process.py`; here it is only given what it needs to be a member of a cluster.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import cluster.commands  # noqa: F401  registers the handlers of CLUSTER and its companions
from cluster.member import Member
from node import process


def run(argv: Sequence[str]) -> int:
    """Run a worker with redis-server's arguments until it is told to stop; returns the exit code."""
    return process.run(argv, Member)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
