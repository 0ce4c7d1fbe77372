"""Celery: the server is broker and result backend, for a worker that runs beside the caller.

Celery touches several keys in one transaction, so on a cluster all of its keys get one hash tag: the option
`global_keyprefix`, as with any Redis Cluster.
"""

import sys

from celery import Celery, chord, group
from celery.contrib.testing.worker import start_worker

_, host, port, prefix, _ = sys.argv[1:]
server = f"redis://{host}:{port}/0"
app = Celery("recital", broker=server, backend=server)
tagged = {"global_keyprefix": f"{{{prefix}}}:"}
app.conf.update(
    broker_transport_options=tagged,
    result_backend_transport_options=tagged,
    task_default_queue="recital",
    worker_hijack_root_logger=False,
)


@app.task
def add(x: int, y: int) -> int:
    return x + y


@app.task
def total(numbers: list[int]) -> int:
    return sum(numbers)


with start_worker(app, pool="solo", perform_ping_check=False, loglevel="ERROR"):
    print(f"task={add.delay(2, 3).get(timeout=20)}")
    print(f"group={group(add.s(n, n) for n in range(5))().get(timeout=20)}")
    print(f"chord={chord((add.s(n, n) for n in range(5)), total.s())().get(timeout=20)}")
