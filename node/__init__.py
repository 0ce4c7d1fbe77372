"""One worker: a Redis-compatible server that knows nothing of clusters."""
