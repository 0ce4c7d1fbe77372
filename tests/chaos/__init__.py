"""Load that remembers, and the harm done to a cluster under it.

What shoal promises of failures and of moving slots can only be seen by clients that are at work meanwhile
and that know, for every key, which values it may have. So every value written here is a version, and

    ledger.py     what is known of each key: acknowledged, doubtful, seen; judges every value that is read
    script.py     decides what one worker of the load does next, and books what became of it (no I/O)
    load.py       runs scripts on real clients: redis-py in threads, or redis.asyncio in tasks
    failover.py   a primary is killed and comes back while a load runs; measures the window
    scale.py      small by default, so that it fits CI; `SHOAL_FULL=1` for the numbers that are promised

The tests are tests/integration/test_promises_*.py.
"""
