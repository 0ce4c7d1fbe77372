"""A routing proxy: plain clients use a Redis, Valkey or shoal cluster as if it were one server.

core/         the compiled forwarder: most requests go through it and no further
requests/     those that need a decision, several workers, or replies joined
sessions/     conversations with a state, subscriptions, tracking
workers/      the cluster behind it
mirror/       a second cluster that gets what clients do here
local/        what it answers itself
processes/    its sockets, and several processes behind them
server.py     joins them; config.py and protection.py (TLS) are its options
"""
