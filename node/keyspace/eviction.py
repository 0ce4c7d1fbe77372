"""Eviction: `maxmemory` is kept to, by the keys that are missed least.

The engine compares the memory in use with a ceiling before each command, which is one comparison, and calls
the evictor (core/eviction) when it is above, which drops keys until it is below again, as `maxmemory-policy`
says:

    allkeys-lru, volatile-lru        the one not used for longest
    allkeys-lfu, volatile-lfu        the one used least
    allkeys-random, volatile-random  any
    volatile-ttl                     the one that expires first
    noeviction                       none

`volatile-` policies touch only keys with an expiry. Where no key may go, the gate GATE_OUT_OF_MEMORY closes:
commands that could need memory are refused. A command is not kept waiting for long: after the time that
`maxmemory-eviction-tenacity` allows, it runs all the same and the rest is done between commands.

The evictor alone does what is simple: there are keys to go, and nothing else to be looked at. The rest is
here, and when the time is up, or something left the keyspace and has yet to be freed (the graveyard), or
replicas are behind and what waits for them must not count, it asks (`relieve`).

Where there is a disk tier (node/storage), keys are spilled to it instead, whatever the policy's scope:
nothing is lost, nobody is told, and if there is nothing that can be spilled yet, writers wait.

Replicas leave it to their primary (`replica-ignore-maxmemory`), whose evictions come as DEL. Nothing is
evicted while clients are paused, because that is promised to be a time without changes, nor during loading.

Source: Redis' documentation "Key eviction", and the directives' own descriptions in redis.conf.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from node.core.command_rows import GATE_LOADING, GATE_OUT_OF_MEMORY, GATE_PAUSED_ALL, GATE_PAUSED_WRITES
from node.core.eviction import ANY, EXPIRES_FIRST, IDLE_LONGEST, NOTHING, USED_LEAST, Evictor

if TYPE_CHECKING:
    from node.worker import Worker

NO_CEILING: Final = 2**63 - 1
ALWAYS: Final = -1
"""A ceiling that everything is above: `relieve` is called before each command."""

BARRING: Final = GATE_LOADING | GATE_PAUSED_ALL | GATE_PAUSED_WRITES

KEYS_PER_ESTIMATE: Final = 256
"""Keys that are dropped between two looks at what is not counted."""

CHOICES: Final = {"lru": IDLE_LONGEST, "lfu": USED_LEAST, "ttl": EXPIRES_FIRST, "random": ANY}

SECOND: Final = 1_000_000_000
HOUR: Final = 3600 * SECOND


def patience(tenacity: int) -> int:
    """Nanoseconds that evicting may keep a command waiting: 50 µs for each step of tenacity up to 10, from
    there on 15 % more with each, up to two minutes; in effect without end at 100."""
    if tenacity <= 10:
        return tenacity * 50_000
    return round(500_000 * 1.15 ** (tenacity - 10)) if tenacity < 100 else HOUR


class Eviction:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._engine = worker.engine
        self._evictor = Evictor(
            self._engine,
            worker.internal_session(),
            BARRING | GATE_OUT_OF_MEMORY,
            worker.graveyard.is_busy,
            self.relieve,
        )
        self._estimated = 0
        """How many had been evicted when it was last looked at what is not counted."""
        self._short_since: int | None = None
        self._going_on = False
        self._exceeded = 0
        worker.engine.on_pressure = self._evictor.relieve
        worker.cron_jobs.append(self.look)
        for name in (
            "maxmemory-policy",
            "maxmemory-samples",
            "maxmemory-eviction-tenacity",
            "lazyfree-lazy-eviction",
            "import-mode",
        ):
            worker.config.on_change(name, self._choose)
        worker.config.on_change("maxmemory", self._limit_changed)
        worker.config.on_change("replica-ignore-maxmemory", self._limit_changed)
        self._choose()
        self._limit()

    # --- the limit -----------------------------------------------------------------------------------

    def _choose(self, value: object = None) -> None:
        """Apply the settings."""
        config = self._worker.config
        scope, _, kind = config.maxmemory_policy.rpartition("-")
        by = NOTHING if config.import_mode else CHOICES.get(kind, NOTHING)
        self._evictor.choose(by, scope == "volatile", config.maxmemory_samples, config.lazyfree_lazy_eviction)
        self._evictor.patience = patience(config.maxmemory_eviction_tenacity)

    def _limit_changed(self, value: object) -> None:
        self._limit()
        if self.applies and self.excess > 0:
            used, limit = self._worker.memory.used, self._worker.config.maxmemory
            self._worker.log.warning(
                f"WARNING: the new maxmemory value set via CONFIG SET ({limit}) is smaller than the current "
                f"memory usage ({used}). This will result in key eviction and/or the inability to accept new "
                "write commands depending on the maxmemory-policy."
            )

    def look(self) -> None:
        """Several times a second: what is not counted may have changed, or our role."""
        self._limit()
        if self._engine.memory_ceiling != NO_CEILING and self.excess > 0:
            self.relieve()

    @property
    def applies(self) -> bool:
        config = self._worker.config
        if not config.maxmemory:
            return False
        if self._worker.tier is not None:
            return True  # it costs no data
        return not (config.replica_ignore_maxmemory and self._worker.replication.role == "slave")

    @property
    def excess(self) -> int:
        """Bytes in use beyond `maxmemory`; negative while there is room. What waits for replicas is not
        counted: evicting would only make it more."""
        memory = self._worker.memory
        return memory.used - self._worker.replication.primary.unsent - self._worker.config.maxmemory

    def _limit(self) -> None:
        """Tell the engine above which counted memory it must ask, and the evictor whether to ask more."""
        self._evictor.is_simple = self._worker.tier is None and not self._worker.replication.primary.peers
        if not self.applies:
            self._engine.memory_ceiling = NO_CEILING
            self._relieved()
        elif not self._engine.gate & GATE_OUT_OF_MEMORY:
            self._engine.memory_ceiling = self._worker.memory.counted - self.excess

    # --- keeping to it -------------------------------------------------------------------------------

    def relieve(self, began: int | None = None) -> None:
        """Bring the memory in use below the limit, as far as it can be done in the time allowed, which is
        counted from `began`, in monotonic ns."""
        if self._worker.tier is not None and self.applies:
            self._worker.tier.spill(self.excess)
            return
        if self._engine.gate & BARRING or not self.applies:
            self._relieved()
            return
        if began is None:
            began = time.monotonic_ns()
        self._relieve_until(began + self._evictor.patience)
        slowness = self._worker.slowness
        slowness.note("eviction-cycle", (time.monotonic_ns() - began) / SECOND)
        slowness.note("eviction-del", self._evictor.slowest / SECOND)
        self._evictor.slowest = 0

    def _relieve_until(self, until: int) -> None:
        while (excess := self.excess) > 0:
            if self._short_since is None:
                self._short_since = time.monotonic_ns()
            if not self._make_room(excess, until):
                self._refuse_writes()
                return
            if time.monotonic_ns() > until:
                self._open()
                self._go_on_later()
                return
        self._relieved()

    def _make_room(self, excess: int, until: int) -> bool:
        """Free something. What has left the keyspace already goes first, so that no more is evicted than must
        be. False if there is nothing."""
        memory = self._worker.memory
        if self._worker.graveyard.dig(0):
            return True
        gone = self._evictor.evict(memory.counted - excess, until)
        if self._evictor.evicted - self._estimated >= KEYS_PER_ESTIMATE:
            self._estimated = self._evictor.evicted
            memory.estimate()
        return gone > 0

    def _relieved(self) -> None:
        if self._short_since is not None:
            self._exceeded += time.monotonic_ns() - self._short_since
            self._short_since = None
        self._open()

    def _open(self) -> None:
        """Commands may take memory again."""
        if self._engine.gate & GATE_OUT_OF_MEMORY:
            self._engine.gate &= ~GATE_OUT_OF_MEMORY
            self._limit()

    def _refuse_writes(self) -> None:
        """Nothing may be evicted. Ask again before each command, because any may free memory."""
        self._engine.gate |= GATE_OUT_OF_MEMORY
        self._engine.memory_ceiling = ALWAYS

    def _go_on_later(self) -> None:
        if not self._going_on:
            self._going_on = True
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._going_on = False
        self._engine.tick()
        self.relieve()
        self._engine.trail.flush()

    # --- figures -------------------------------------------------------------------------------------

    def forget(self) -> None:
        """CONFIG RESETSTAT."""
        self._evictor.evicted = self._estimated = 0
        self._evictor.spent = self._exceeded = 0
        if self._short_since is not None:
            self._short_since = time.monotonic_ns()

    def stats(self) -> dict[str, int]:
        """Fields of INFO stats; times in ms."""
        current = 0 if self._short_since is None else time.monotonic_ns() - self._short_since
        return {
            "evicted_keys": self._evictor.evicted,
            "total_eviction_exceeded_time": (self._exceeded + self._evictor.spent + current) // 1_000_000,
            "current_eviction_exceeded_time": current // 1_000_000,
        }
