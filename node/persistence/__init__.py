"""What a worker keeps on disk: snapshots, and the append-only file."""
