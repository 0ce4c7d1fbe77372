"""What tests stand on: servers on free ports, awaited conditions, and a client that hides nothing.

    ports.py     ports nobody else in this machine's test runs is using
    servers.py   start, stop and kill one server: ours (`ShoalNode`) or an oracle (`Oracle("redis"|"valkey")`)
    forks.py     how hundreds of workers are started in little time
    clusters.py  `cluster_of(3, replicas=1, kind="shoal")`: a formed cluster of any of them, or of a mix
    cutter.py    the network between members, which can be cut, for each direction apart
    turns.py     which tests run beside others, and which alone
    wait.py      `eventually(condition, message)`: never sleep, wait for a condition
    resp.py      `Resp(port)`: raw bytes in, exactly typed replies out, RESP2 and RESP3
    commands.py  `redis_cli(...)` and other programs of the field
    shoal_command.py  `shoal("check", address)`: our own command line, as an operator runs it
    shoal_up.py  `RunningUp`: a running `shoal up`, and its processes

Every process is ended when its context manager is left, and by the kernel if the test run itself is killed.
"""
