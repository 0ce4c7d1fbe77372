"""Backups of whole clusters: an RDB file of each primary, and a manifest that says what they are.

    DIR/<id of the node>.rdb     what that primary sent as its snapshot, byte for byte
    DIR/manifest.json            written last: a directory without one is no backup, whatever else is in it

Everything goes over the ports of clients: snapshots are taken as a replica takes them, keys are put back with
RESTORE. So both directions work with shoal, Redis and Valkey, in a cluster or alone, and what was taken from
one can be loaded into another of any layout. Each primary's snapshot is of one moment, but theirs are not of
the same.

    layout.py      who holds which slots: a cluster's primaries, or one server alone
    ledger.py      counting and digesting entries
    manifest.py    the manifest, as a file and as an object
    snapshot.py    the snapshot of one server as a stream of bytes
    taking.py      `shoal backup`
    pipe.py        a connection on which commands run ahead of their replies
    courier.py     commands about keys, brought to whoever owns their slots
    restoring.py   `shoal restore`: putting the keys in
    verifying.py   reading them back
"""
