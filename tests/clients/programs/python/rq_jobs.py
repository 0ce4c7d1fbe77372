"""RQ: a queue, a job, and a worker that empties the queue. Its transactions touch keys of several slots."""

import operator
import sys

import redis
from rq import Queue, SimpleWorker

_, host, port, prefix, _ = sys.argv[1:]
connection = redis.Redis(host, int(port))
queue = Queue(prefix, connection=connection)
job = queue.enqueue(operator.add, 2, 3)
failing = queue.enqueue(operator.truediv, 1, 0)
SimpleWorker([queue], connection=connection).work(burst=True, logging_level="ERROR")
print(f"job={job.return_value(refresh=True)}")
print(f"failed={failing.get_status(refresh=True).value}")
