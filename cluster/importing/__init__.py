"""Importing a whole dataset, live: from a server or a cluster in use, into a cluster, until clients switch.

    1. We become a replica of every primary of the source. Their snapshots go into files; from then on the
       stream of writes is read all the time, and of each write only its keys are noted: they are dirty.
    2. The keys of the snapshots are put into the target.
    3. Round by round, what is dirty is fetched from the source as it is then, and put into the target, until
       few are left, however much is written meanwhile.
    4. The source pauses writes. When its stream has come to its end and the last dirty keys are over, both
       hold the same. Then clients are switched.

That a write is only noted as "this key has changed" makes it all one rule: whatever the command, and whether
it goes to other slots or other databases, its keys are looked up afterwards. So the servers may be of
different kinds, versions and layouts; what it needs is that we know the keys of each command.

    dirty.py      which keys a write has touched; pure
    stream.py     the connection to one primary: snapshot into a file, then the stream
    importer.py   the steps above
"""
