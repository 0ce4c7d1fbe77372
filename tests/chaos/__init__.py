"""Load that remembers, and the harm done to a cluster under it.

What shoal promises of failures and of moving slots can only be seen by clients that are at work meanwhile
and that know, for every key, which values it may have. There are two kits. One watches a single event as its
users feel it, with clients as they have them:

    ledger.py     what is known of each key: acknowledged, doubtful, seen; judges every value that is read
    script.py     decides what one worker of the load does next, and books what became of it (no I/O)
    load.py       runs scripts on real clients: redis-py in threads, or redis.asyncio in tasks
    failover.py   a primary is killed and comes back while a load runs; measures the window
    scale.py      small by default, so that it fits CI; `SHOAL_FULL=1` for the numbers that are promised

Its tests are tests/integration/test_promises_*.py. The other is the lab, `python -m tests.chaos`, which does
many kinds of harm by seed to clusters of ours, of others, and mixed, and counts what was lost:

    stage.py            the clusters: programs, shards, relays and small disks
    faults.py           kills, freezes, cuts of the network, full disks
    moves.py            slots on their way meanwhile
    clients.py          redis-py that repeats nothing by itself, in threads
    logs.py             lists that only grow: what was lost, and which reads were stale
    registers.py        keys that all write and read: histories, for
    linearizability.py  the checker
    prober.py, knocker.py   when did every slot accept writes?
    lab.py              a run: rounds of one fault each, and what fell into their time
    failover_times.py, safety.py, cost.py   the comparisons with Valkey that are promised
    table.py            figures for people and machines

Its test is tests/integration/test_chaos_lab.py. What one worker keeps through kill -9 is in test_*.py.
"""
