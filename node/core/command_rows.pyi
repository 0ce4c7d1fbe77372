from collections.abc import Iterable
from typing import Any

from node.core.engine import Engine

GATE_AUTH: int
GATE_TRANSACTION: int
GATE_ASKING: int
GATE_REPLY: int
GATE_SUBSCRIBED: int
GATE_NO_TOUCH: int
GATE_TRACKING: int
GATE_RESTRICTED: int
GATE_PARTICULAR: int
GATE_LOADING: int
GATE_PAUSED_WRITES: int
GATE_PAUSED_ALL: int
GATE_READ_ONLY: int
GATE_OUT_OF_MEMORY: int
GATE_FEW_REPLICAS: int
GATE_DISK_ERROR: int
GATE_STALE: int
GATE_TIMED: int
GATE_MONITORED: int
GATE_BUSY: int
NOT_QUEUED: frozenset[str]

def load_rows(engine: Engine, commands: Iterable[tuple[str, Any, Any]], looks_at_keys: bool) -> None: ...
