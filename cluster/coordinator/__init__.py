"""The brain of a member: pure decisions, messages and time in, effects out.

    coordinator.py        the way in: step, tick, commands; what a turn is
    messages.py           what members say to each other
    effects.py            what the coordinator asks its shell to do
    surroundings.py       what it is told: settings, local facts, randomness
    state.py              what it remembers, and the verbs of its rules

    receive.py            the way of a message
    membership.py         meeting, handshake, addresses, forgetting
    heartbeat.py          who is pinged when, and what heartbeats carry
    gossip.py             what heartbeats tell about others
    announce.py           what this node says of itself
    failure_detector.py   silence, suspicion, agreement
    witness.py            what the supervisor of a node's host knows: it is dead, it is only busy
    epochs.py             the logical clock
    elections.py          candidates
    voting.py             voters
    lease.py, tenancy.py  whether a primary may have been replaced without knowing
    fences.py             who has every acknowledged write
    manual_failover.py    a failover on demand that loses nothing
    roles.py              who is primary, who replica
    slot_claims.py        who owns a slot
    replica_migration.py  spare replicas move to orphans
    cluster_state.py      is the cluster ok?

    node_commands.py      CLUSTER MEET, FORGET, REPLICATE, FAILOVER, RESET …
    slot_commands.py      CLUSTER ADDSLOTS, DELSLOTS, SETSLOT …
    report.py             CLUSTER INFO

The rules are Redis Cluster's, learned from its specification and from what Redis 7.2+ and Valkey do, because
their servers are members of the same cluster. `tests/simulation` runs whole clusters of these brains in
virtual time.
"""
