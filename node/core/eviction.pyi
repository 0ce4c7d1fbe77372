"""What Python sees of evicting (eviction.pyx)."""

from collections.abc import Callable

from node.core.engine import Client, Engine

NOTHING: int
ANY: int
IDLE_LONGEST: int
USED_LEAST: int
EXPIRES_FIRST: int

class Evictor:
    evicted: int
    is_simple: bool
    patience: int
    spent: int
    slowest: int
    def __init__(
        self,
        engine: Engine,
        client: Client,
        barring: int,
        leftovers: Callable[[], bool],
        further: Callable[[int], None],
    ) -> None: ...
    def choose(self, by: int, volatile: bool, samples: int, lazily: bool) -> None: ...
    def relieve(self) -> None: ...
    def evict(self, goal: int, until: int) -> int: ...
