"""Cluster: texts of COMMAND DOCS, in the form that the package describes."""

TEXT = """
asking: Lets the next command through to a slot that is being imported here.
    time      O(1)
cluster: Groups the commands about the cluster.
    time      Depends on the subcommand.
cluster addslots: Takes on hash slots.
    time      O(N)
    syntax    slot ...
cluster addslotsrange: Takes on ranges of hash slots.
    time      O(N)
    syntax    range=(start-slot end-slot) ...
cluster bumpepoch: Moves on the cluster's configuration epoch.
    time      O(1)
cluster cancelslotmigrations: Stops the slot migrations that this node runs.
    time      O(N)
cluster count-failure-reports: Counts the members that hold a node for failing.
    time      O(N)
    syntax    node-id
cluster countkeysinslot: Counts the keys of a hash slot.
    time      O(1)
    syntax    slot
cluster delslots: Gives up hash slots.
    time      O(N)
    syntax    slot ...
cluster delslotsrange: Gives up ranges of hash slots.
    time      O(N)
    syntax    range=(start-slot end-slot) ...
cluster failover: Makes this replica take its primary's place.
    time      O(1)
    syntax    [options=(FORCE | TAKEOVER)]
cluster flushslot: Removes all keys of a hash slot.
    time      O(N)
    syntax    slot [flush-type=(ASYNC | SYNC)]
cluster flushslots: Gives up all hash slots of this node.
    time      O(1)
cluster forget: Strikes a node off the list of members.
    time      O(1)
    syntax    node-id
cluster getkeysinslot: Names keys of a hash slot.
    time      O(N)
    syntax    slot count
cluster getslotmigrations: Describes slot migrations, running and done.
    time      O(N)
cluster help: Explains the subcommands of CLUSTER.
    time      O(1)
cluster info: Shows the state of the cluster as this node sees it.
    time      O(1)
cluster keyslot: Tells the hash slot of a key.
    time      O(N)
    syntax    key:string
cluster links: Describes the connections of the cluster bus.
    time      O(N)
cluster meet: Makes another node a member.
    time      O(1)
    syntax    ip port [cluster-bus-port]@4.0.0
    4.0.0     Port of the bus.
cluster migrateslots: Starts to move ranges of slots to another node.
    time      O(N)
    syntax    migration-group=(slotsrange-token=SLOTSRANGE, range=(start-slot end-slot) ... node-token=NODE,
              node-id) ...
cluster migration: Starts, shows and cancels migrations of whole slots, asked for by their new owner.
    time      O(N)
    syntax    subcommand=(import=(IMPORT range=(start-slot end-slot) ...) |
              cancel=(CANCEL which=(ID task-id:string | ALL)) |
              status=(STATUS which=(ID task-id:string | ALL)))
cluster myid: Shows this node's id.
    time      O(1)
cluster myshardid: Shows the id of this node's shard.
    time      O(1)
cluster nodes: Shows all members, in the form of the node configuration file.
    time      O(N)
cluster replicas: Describes the replicas of a primary.
    time      O(N)
    syntax    node-id
cluster replicate: Makes this node a replica of another, or an empty primary.
    time      O(1)
    syntax    args=(node-id | no-one=(NO, ONE)@9.0.0)
    9.0.0     NO ONE.
cluster reset: Makes this node forget the cluster.
    time      O(N)
    syntax    [reset-type=(HARD | SOFT)]
cluster saveconfig: Writes the node configuration file.
    time      O(1)
cluster set-config-epoch: Sets the configuration epoch of a new node.
    time      O(1)
    syntax    config-epoch
cluster setslot: Assigns a hash slot, or marks it as being moved.
    time      O(1)
    syntax    slot subcommand=(IMPORTING importing/node-id | MIGRATING migrating/node-id | NODE node/node-id |
              STABLE) [TIMEOUT timeout:integer]@8.0.0
    8.0.0     TIMEOUT.
cluster shards: Shows shards with their slots and nodes.
    time      O(N)
cluster slaves: Describes the replicas of a primary.
    time      O(N)
    syntax    node-id
    replaced  5.0.0 by CLUSTER REPLICAS
cluster slot-stats: Shows statistics of hash slots.
    time      O(N)
    syntax    filter=(SLOTSRANGE slotsrange=(start-slot end-slot) | ORDERBY orderby=(metric [LIMIT limit]
              [order=(ASC | DESC)]))
cluster slots: Shows ranges of slots with the nodes that serve them.
    time      O(N)
    4.0.0     Shows node ids.
    7.0.0     Shows more about the network.
    replaced  7.0.0 by CLUSTER SHARDS
cluster syncslots: Carries out slot migrations between nodes.
    time      Depends on the subcommand.
    internal
cluster witness: Tells the cluster that a node is dead, or only busy.
    time      O(N)
    syntax    news=(dead=(DEAD, node-id) | busy=(BUSY, node-id milliseconds))
clusterscan: Walks over the keys of a whole cluster.
    time      O(N)
    syntax    cursor:string [MATCH match-pattern] [COUNT count] [TYPE type] [SLOT slot]
readonly: Allows reading from a replica of the cluster.
    time      O(1)
readwrite: Ends what READONLY allowed.
    time      O(1)
"""
