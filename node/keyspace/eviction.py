"""Eviction: `maxmemory` is kept to, by the keys that are missed least.

The engine compares the memory in use with a ceiling before each command, which is one comparison, and calls
`relieve` when it is above. There keys are dropped until it is below again, as `maxmemory-policy` says:

    allkeys-lru, volatile-lru        the one not used for longest
    allkeys-lfu, volatile-lfu        the one used least
    allkeys-random, volatile-random  any
    volatile-ttl                     the one that expires first
    noeviction                       none

`volatile-` policies touch only keys with an expiry. Where no key may go, the gate GATE_OUT_OF_MEMORY closes:
commands that could need memory are refused. A command is not kept waiting for long: after the time that
`maxmemory-eviction-tenacity` allows, it runs all the same and the rest is done between commands.

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
from node.core.eviction import EXPIRES_FIRST, IDLE_LONGEST, USED_LEAST, Pool, Sampler
from node.keyspace import events

if TYPE_CHECKING:
    from node.worker import Worker

NO_CEILING: Final = 2**63 - 1
ALWAYS: Final = -1
"""A ceiling that everything is above: `relieve` is called before each command."""

KEYS_PER_LOOK: Final = 16
"""Keys that are dropped between two looks at the clock."""

CHOICES: Final = {"lru": IDLE_LONGEST, "lfu": USED_LEAST, "ttl": EXPIRES_FIRST}


def patience(tenacity: int) -> float:
    """Seconds that evicting may keep a command waiting: 50 µs for each step of tenacity up to 10, from there
    on 15 % more with each, up to two minutes; without end at 100."""
    if tenacity <= 10:
        return tenacity * 50e-6
    return 500e-6 * 1.15 ** (tenacity - 10) if tenacity < 100 else float("inf")


class Eviction:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._engine = worker.engine
        self._pool = Pool()
        self._samplers: list[Sampler] = []
        self._turn = 0
        """The database whose turn it is to lose a random key."""
        self._client = worker.internal_session()
        self._short_since: float | None = None
        self._going_on = False
        self.evicted_keys = 0
        self._exceeded = 0.0
        worker.engine.on_pressure = self.relieve
        worker.cron_jobs.append(self.look)
        worker.config.on_change("maxmemory", self._limit_changed)
        worker.config.on_change("maxmemory-policy", self._policy_changed)
        worker.config.on_change("replica-ignore-maxmemory", self._limit_changed)
        self._limit()

    # --- the limit -----------------------------------------------------------------------------------

    def _policy_changed(self, policy: str) -> None:
        """What was judged by the old policy is void."""
        self._samplers = []
        self._pool.clear()

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
        """Tell the engine above which counted memory it must ask."""
        if not self.applies:
            self._engine.memory_ceiling = NO_CEILING
            self._relieved()
        elif not self._engine.gate & GATE_OUT_OF_MEMORY:
            self._engine.memory_ceiling = self._worker.memory.counted - self.excess

    # --- keeping to it -------------------------------------------------------------------------------

    def relieve(self) -> None:
        """Bring the memory in use below the limit, as far as it can be done in the time allowed."""
        engine = self._engine
        paused = engine.gate & (GATE_LOADING | GATE_PAUSED_ALL | GATE_PAUSED_WRITES)
        if self._worker.tier is not None and self.applies:
            self._worker.tier.spill(self.excess)
            return
        if paused or not self.applies or self.excess <= 0:
            self._relieved()
            return
        began = time.monotonic()
        if self._short_since is None:
            self._short_since = began
        until = began + patience(self._worker.config.maxmemory_eviction_tenacity)
        dropped = 0
        while self.excess > 0:
            if not self._make_room():
                self._refuse_writes()
                return
            dropped += 1
            if dropped % KEYS_PER_LOOK == 0:
                self._worker.memory.estimate()
                now = time.monotonic()
                if now > until:
                    self._open()
                    self._go_on_later()
                    self._worker.slowness.note("eviction-cycle", now - began)
                    return
        self._relieved()
        self._worker.slowness.note("eviction-cycle", time.monotonic() - began)

    def _relieved(self) -> None:
        if self._short_since is not None:
            self._exceeded += time.monotonic() - self._short_since
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

    # --- one key -------------------------------------------------------------------------------------

    def _make_room(self) -> bool:
        """Free something. What has left the keyspace already goes first, so that no more is evicted than must
        be."""
        return self._worker.graveyard.dig(0) or self._evict_one()

    def _evict_one(self) -> bool:
        """Drop the key that is missed least. False if none may be dropped."""
        policy = self._worker.config.maxmemory_policy
        if policy == "noeviction" or self._worker.config.import_mode:
            return False
        if not self._samplers:
            volatile = policy.startswith("volatile")
            self._samplers = [Sampler(db, volatile) for db in self._worker.databases]
        kind = policy.rpartition("-")[2]
        chosen = self._any_key() if kind == "random" else self._best_key(CHOICES[kind])
        if chosen is None:
            return False
        self._drop(*chosen)
        return True

    def _any_key(self) -> tuple[int, bytes] | None:
        for _ in self._samplers:
            self._turn = (self._turn + 1) % len(self._samplers)
            key = self._samplers[self._turn].random_key()
            if key is not None:
                return self._turn, key
        return None

    def _best_key(self, by: int) -> tuple[int, bytes] | None:
        databases = self._worker.databases
        volatile = self._worker.config.maxmemory_policy.startswith("volatile")
        samples = self._worker.config.maxmemory_samples
        while any(db.volatile_count if volatile else len(db) for db in databases):
            for sampler, db in zip(self._samplers, databases, strict=True):
                if db.size:
                    self._pool.fill(sampler, samples, by)
            while (candidate := self._pool.pop()) is not None:
                index, key = candidate
                expiry = databases[index].expiry(key)
                if expiry >= 0 or (expiry == -1 and not volatile):
                    return candidate
        return None

    def _drop(self, index: int, key: bytes) -> None:
        began = time.monotonic()
        db = self._worker.databases[index]
        lazily = self._worker.config.lazyfree_lazy_eviction
        db.delete(key, lazily)
        word = b"UNLINK" if lazily else b"DEL"
        self._worker.trail.add(index, [word, key])
        self.evicted_keys += 1
        self._client.db = db
        self._client.changed(key, events.EVICTED, 0)
        self._worker.slowness.note("eviction-del", time.monotonic() - began)

    # --- figures -------------------------------------------------------------------------------------

    def forget(self) -> None:
        """CONFIG RESETSTAT."""
        self.evicted_keys = 0
        self._exceeded = 0.0
        if self._short_since is not None:
            self._short_since = time.monotonic()

    def stats(self) -> dict[str, int]:
        """Fields of INFO stats; times in ms."""
        current = 0.0 if self._short_since is None else time.monotonic() - self._short_since
        return {
            "evicted_keys": self.evicted_keys,
            "total_eviction_exceeded_time": round((self._exceeded + current) * 1000),
            "current_eviction_exceeded_time": round(current * 1000),
        }
