"""Which Redis a worker presents itself as, and its own version.

Clients and tools decide by `redis_version` what they may use, so this names the Redis whose commands,
replies and files a worker follows, not the version of this project.
"""

from __future__ import annotations

REDIS_VERSION = "7.2.0"
SHOAL_VERSION = "0.1.0"
