"""Replication as Redis does it (PSYNC2): one primary, replicas that follow its stream of writes.

    history.py          who we are in the stream: replication ids and where one took over from another
    backlog.py          the stream's latest bytes, for replicas that were away for a moment
    peers.py            a replica of ours: its state, its queue
    primary.py          all replicas of ours: PSYNC, acknowledgements, WAIT
    acknowledgements.py  asking them how far they are
    full_sync.py        a snapshot from a forked child to the replicas that wait for one
    sync_planner.py     when, and for whom together
    replica.py          our side of the talk with a primary, without sockets
    primary_link.py     the socket to our primary
    incoming.py         the snapshot that comes over it: into a file, or at once into databases
    local_keys.py       what clients of a writable replica put there, and what expires of it
    primary_as_client.py  what CLIENT LIST shows of that socket
    roles.py            `worker.replication`: which role this worker has, and changing it

Both ends of the link count the bytes of the stream. An id names one history of writes; id and offset
together name one state of the data. So a replica that was cut off asks for "that history, from here on".
"""
