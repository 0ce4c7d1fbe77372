"""A worker's settings: redis.conf directives from a file, flags and CONFIG SET.

`directives` is the table of all of them, `kinds` and `structured` say how values are read and shown,
`words` how lines are quoted, `sources` where lines come from, `rewrite` how a file is written back, and
`config` holds the values. Only `Config` and `ConfigError` concern the rest of the worker.
"""

from node.config.config import Config
from node.config.sources import ConfigError

__all__ = ["Config", "ConfigError"]
