"""Planners: what to do with slots and nodes, decided without doing it.

Each planner takes plain values and returns a plan to show, test or carry out; none opens a connection, reads
a clock or rolls a die, so the same cluster always gets the same plan. `cluster/cli` and `cluster/supervisor`
gather the values and carry the plans out.

    model.py      nodes, views, moves: what planners take and give
    create.py     who becomes primary, who replicates whom, who serves what
    reshard.py    N slots from some nodes to one
    rebalance.py  the fewest moves after which everyone holds its share
    check.py      what is wrong with a cluster
    fix.py        how to close slots that an interrupted move left open
"""
