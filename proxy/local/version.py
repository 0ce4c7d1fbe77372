"""What the proxy says it is compatible with, where clients choose features by it."""

REDIS_VERSION = "7.2.4"
