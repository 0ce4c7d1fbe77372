"""What an operator does to a cluster, over the same port as every client.

Used by the command line, by the supervisor, and by the process that sees a worker into its cluster, never by
a worker itself. All of it speaks plain Redis commands, so it works on any cluster that does: shoal, Redis,
Valkey, or a mix.

    dialling.py     sockets: TCP, TLS, unix
    link.py         one connection to one node, with errors that name the node
    server_info.py  the fields of INFO
    survey.py       asking every member for its view of the cluster
    gauges.py       what all members are doing, again and again (what is told: cluster/readings)
    forming.py      carrying out a create plan
    founding.py     seeing one worker into the cluster that its seeds tell of
    tending.py      looking after a cluster: one thing that is due at a time
    membership.py   letting nodes in, out, and into each other's place
    repair.py       carrying out a fix plan
    settings.py     one setting on all members
    atomic.py       asking nodes to move whole slots, and watching them
    moving.py       carrying out a plan of moves, from its journal on (journals.py)
    slot_loads.py   what each slot costs
    balancer.py     evening that out, again and again
    governor.py     slowing a move down when clients feel it (latency.py)
"""
