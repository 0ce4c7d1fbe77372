"""`python -m cluster.founding_process HOST:PORT SIZE REPLICAS`: sees a worker into its cluster, and ends.

A worker starts it beside itself (`seeds.py`) if it has no place in a cluster yet. It is a process of its own
because it needs the client library, which the worker's memory is spared, and may take its time. It logs in
as SHOAL_USER with SHOAL_PASSWORD, by TLS if SHOAL_TLS has the fields of a `Tls` as JSON, and ends when its
worker does. Its lines are for the worker's log.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import closing

from cluster.addresses import parse_address
from cluster.operations.dialling import Tls
from cluster.operations.founding import Expected, settle
from cluster.operations.link import Credentials, NodeLink

USER, PASSWORD, TLS = "SHOAL_USER", "SHOAL_PASSWORD", "SHOAL_TLS"


def run(argv: list[str]) -> int:
    address, size, replicas = argv
    fields = os.environ.get(TLS)
    tls = Tls(**json.loads(fields)) if fields else None
    credentials = Credentials(os.environ.get(USER) or None, os.environ.get(PASSWORD) or None, tls)
    worker = os.getppid()

    def sleep(seconds: float) -> None:
        if os.getppid() != worker:
            sys.exit(1)
        time.sleep(seconds)

    with closing(NodeLink(*parse_address(address), credentials)) as own:
        settle(own, Expected(int(size), int(replicas)), lambda line: print(line, flush=True), sleep)
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
