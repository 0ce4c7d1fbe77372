"""Planners: what to do with slots and nodes, decided without doing it.

Each planner takes plain values and returns a plan to show, test or carry out; none opens a connection, reads
a clock or rolls a die, so the same cluster always gets the same plan. `cluster/cli` and `cluster/supervisor`
gather the values and carry the plans out.

    model.py      nodes, views, moves: what planners take and give
    places.py     what goes down together: hosts and zones
    create.py     who becomes primary, who replicates whom, who serves what
    remaining.py  what is left to do of that, where it was begun before
    membership.py who follows whom, and who gets what, when nodes come and go
    founding.py   who makes a cluster of workers that have found each other; homes.py: where latecomers belong
    tending.py    what is due in a cluster that is looked after
    reshard.py    N slots from some nodes to one
    rebalance.py  the fewest moves after which everyone holds its share
    load.py       the same by what slots cost, not by how many they are; scales.py: how it finds the moves;
                  steadiness.py: when to do it, for who does it again and again
    journal.py    a plan of moves as lines of a file; pace.py: how fast it may go
    check.py      what is wrong with a cluster
    fix.py        how to close slots that an interrupted move left open
    backup.py     which snapshots make a backup whole
"""
