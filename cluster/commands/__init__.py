"""The CLUSTER commands, and READONLY, READWRITE and ASKING. Importing this package registers their handlers.

A handler reads its arguments, lets the coordinator decide (`Member.turn`), and replies. A worker
without a cluster has these commands, too: each then says that cluster support is disabled.
"""

from cluster.commands import (
    debug,
    help,
    keys,
    membership,
    migration,
    migrations,
    modes,
    slot_keys,
    slots,
    views,
    witness,
)

__all__ = [
    "debug",
    "help",
    "keys",
    "membership",
    "migration",
    "migrations",
    "modes",
    "slot_keys",
    "slots",
    "views",
    "witness",
]
