"""CLUSTER HELP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cluster.commands.common import cluster_command

if TYPE_CHECKING:
    from cluster.member import Member

HELP = [
    "CLUSTER <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "ADDSLOTS <slot> [<slot> ...]",
    "    Take slots that no node owns.",
    "ADDSLOTSRANGE <first> <last> [<first> <last> ...]",
    "    The same for ranges of slots.",
    "BUMPEPOCH",
    "    Take a new configuration epoch, unless this node has the greatest.",
    "CANCELSLOTMIGRATIONS",
    "    Give up all migrations of whole slots from this node.",
    "COUNT-FAILURE-REPORTS <node-id>",
    "    How many nodes say that a node does not answer.",
    "COUNTKEYSINSLOT <slot>",
    "    How many keys this node holds in a slot.",
    "DELSLOTS <slot> [<slot> ...]",
    "    Hold slots for owned by nobody.",
    "DELSLOTSRANGE <first> <last> [<first> <last> ...]",
    "    The same for ranges of slots.",
    "FAILOVER [FORCE|TAKEOVER]",
    "    Sent to a replica: take the place of its primary.",
    "FLUSHSLOT <slot> [ASYNC|SYNC]",
    "    Delete the keys of a slot.",
    "FLUSHSLOTS",
    "    Give up all slots of this node.",
    "FORGET <node-id>",
    "    Remove a node from this node's view of the cluster.",
    "GETKEYSINSLOT <slot> <count>",
    "    Names of keys this node holds in a slot.",
    "GETSLOTMIGRATIONS",
    "    Migrations of whole slots from and to this node, those that have ended included.",
    "INFO",
    "    The state of the cluster in numbers.",
    "KEYSLOT <key>",
    "    The slot of a key.",
    "LINKS",
    "    The connections of the cluster bus.",
    "MEET <ip> <port> [<bus-port>]",
    "    Join this node's cluster and another node's.",
    "MIGRATESLOTS SLOTSRANGE <first> <last> [<first> <last> ...] NODE <node-id>",
    "             [SLOTSRANGE ... NODE <node-id> ...]",
    "    Move whole slots at once, while they are served, to another primary.",
    "MIGRATION (IMPORT <first> <last> [<first> <last> ...]|STATUS (ID <id>|ALL)|CANCEL (ID <id>|ALL))",
    "    Let whole slots of another primary move here; what becomes of such moves; end them.",
    "MYID",
    "    The id of this node.",
    "MYSHARDID",
    "    The id of the shard this node belongs to.",
    "NODES",
    "    A line for each node:",
    "    <id> <ip:port@bus-port[,hostname]> <flags> <master> <pings> <pongs> <epoch> <link> <slot> ...",
    "REPLICAS <node-id>",
    "    The replicas of a primary, as lines of NODES.",
    "REPLICATE (<node-id>|NO ONE)",
    "    Make this node a replica of a primary, or an empty primary.",
    "RESET [SOFT|HARD]",
    "    Forget the cluster; HARD: take a new id, too.",
    "SAVECONFIG",
    "    Write the cluster's configuration file.",
    "SET-CONFIG-EPOCH <epoch>",
    "    Give a new node its configuration epoch.",
    "SETSLOT <slot> (IMPORTING <node-id>|MIGRATING <node-id>|STABLE|NODE <node-id>)",
    "    Begin, end or give up the move of a slot.",
    "SHARDS",
    "    Slots and nodes of each shard.",
    "SLAVES <node-id>",
    "    The same as REPLICAS.",
    "SLOT-STATS SLOTSRANGE <first> <last>",
    "    What these slots hold, and what their commands cost.",
    "SLOT-STATS ORDERBY <metric> [LIMIT <count>] [ASC|DESC]",
    "    The same of all slots of this shard, in the order of key-count, cpu-usec, network-bytes-in or",
    "    network-bytes-out.",
    "SLOTS",
    "    Ranges of slots, with the addresses of their primary and replicas.",
    "WITNESS (DEAD <node-id>|BUSY <node-id> <milliseconds>)",
    "    Sent by who runs the node's process: it has ended, or is only busy for so long.",
    "HELP",
    "    Print this help.",
]


@cluster_command("cluster|help")
def help_(member: Member, ctx: Any, args: list[bytes]) -> list[str]:
    return HELP
