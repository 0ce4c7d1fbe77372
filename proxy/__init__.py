"""A routing proxy: plain clients use a Redis, Valkey or shoal cluster as if it were one server.

The compiled part forwards (read it in this order: frames, sinks, buffers, reactor, upstream, routes, client;
each .pxd is the contents page of its .pyx). Plain Python decides (routing, commands), splits and gathers
(jobs, splitter, merger, reports, worker_info, scanning), joins keys of several slots (cross_slot and its
parts, slot_calls), answers locally (local_commands, info, settings, own), poses as a cluster (facade), keeps
clients within bounds (limits, rules, limit_options), counts what they ask (tallies, slow_requests, metrics),
and knows the cluster behind it (topology, upstreams, failover, dialogue, worker_sockets, redirection) and its
replicas (replica_reads, replica_links). Conversations with a state (session, sessions, transactions,
blocking) borrow connections of their own (dedicated); subscriptions and monitors of all clients share lines
on which the proxy listens (listener, lines, hub, subscriptions, monitors), as do clients that track keys
(invalidations, tracking) and the cache of hot keys (hot_reads). pause and catalogue answer CLIENT PAUSE and
COMMAND. server.py joins them, behind the sockets of listening.py. Of several such processes (keeper, place,
siblings) each has its clients, and hands them over when it is replaced (draining, handover); trimming gives
back memory that idle clients hold.
"""
