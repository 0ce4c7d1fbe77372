"""SORT and SORT_RO with patterns (BY, GET), which name keys of any slots.

The elements are read, then the keys that BY names, then, for those elements that LIMIT leaves, the keys that
GET names; each at a moment of its own. The order is made here by the workers' own code
(node/handlers/sort.py), so its rules and errors are theirs. STORE replaces the destination at one moment.

What is read counts against `--cross-slot-memory`: the elements by MEMORY USAGE, the others as they come.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from node.core.key_slot import key_slot
from node.datatypes import Hash
from node.errors import WRONGTYPE, ReplyError
from node.handlers.sort import ITSELF, SortRequest, arrange, fetch, parse_request
from node.keyspace.glob import fixed_slot
from proxy.requests import codec
from proxy.requests.questions import ask_owners

if TYPE_CHECKING:
    from proxy.requests.cross_slot import Budget
    from proxy.requests.slot_calls import SlotCalls

BATCH = 1000
"""Keys asked for at once"""
PUSHED_AT_ONCE = 10000
"""Elements in one RPUSH of STORE"""


def request_of(argv: Sequence[bytes]) -> SortRequest:
    """Raises ReplyError for what makes no sense."""
    no_cluster = SimpleNamespace(config=SimpleNamespace(cluster_enabled=False), user=None)
    return parse_request(no_cluster, list(argv[1:]), may_store=argv[0].upper() == b"SORT")


def has_patterns(argv: Sequence[bytes]) -> bool:
    """Does it name keys that may be of other slots than that where a worker would sort? Raises ReplyError for
    what makes no sense: workers would complain of the patterns first."""
    request = request_of(argv)
    patterns = [pattern for pattern in request.gets if pattern != ITSELF]
    if request.by is not None and b"*" in request.by:
        patterns.append(request.by)
    place = key_slot(argv[1] if request.store is None else request.store)
    return any(fixed_slot(pattern) != place for pattern in patterns)


class CrossSort:
    """One request. As `ctx` of the workers' functions it is its own database: what was read by now."""

    def __init__(self, calls: SlotCalls, budget: Budget, argv: Sequence[bytes]) -> None:
        self.calls = calls
        self.budget = budget
        self.key = argv[1]
        self.request = request_of(argv)
        self.size = 0
        """Bytes read of the keys that patterns name"""
        self.known: dict[bytes, bytes | Hash | None] = {}

    @property
    def db(self) -> CrossSort:
        return self

    def lookup(self, key: bytes) -> bytes | Hash | None:
        return self.known.get(key)

    async def run(self) -> Any:
        """The reply value. Raises ReplyError."""
        request = self.request
        (size,) = await self.calls.each(2, [(key_slot(self.key), [b"MEMORY", b"USAGE", self.key])])
        async with self.budget.taken(codec.decode_reply(size) or 0):
            elements = await self._elements()
            if request.by is not None and not request.keeps_order:
                await self._read(request.by, elements)
            elements = arrange(self, elements, request)
            chosen = elements[request.cut(len(elements))]
            columns = [await self._column(pattern, chosen) for pattern in request.gets or [ITSELF]]
            found = [value for row in zip(*columns, strict=True) for value in row]
            return found if request.store is None else await self._store(request.store, found)

    async def _elements(self) -> list[bytes]:
        """In the order they have; a set has none, and gets one where the result is stored."""
        slot, request = key_slot(self.key), self.request
        (kind,) = await self.calls.each(2, [(slot, [b"TYPE", self.key])])
        reads: dict[str, list[bytes]] = {
            "list": [b"LRANGE", self.key, b"0", b"-1"],
            "zset": [b"ZRANGE", self.key, b"0", b"-1"],
            "set": [b"SMEMBERS", self.key],
        }
        name = codec.decode_reply(kind)
        if name == "none":
            return []
        if name not in reads:
            raise WRONGTYPE
        (reply,) = await self.calls.each(2, [(slot, reads[name])])
        elements: list[bytes] = codec.decode_reply(reply)
        if name == "set" and request.keeps_order and request.store is not None:
            request.by, request.alpha = None, True
        elif name != "set" and request.keeps_order and request.descending:
            elements.reverse()
        return elements

    async def _column(self, pattern: bytes, elements: Sequence[bytes]) -> list[bytes | None]:
        """What a GET pattern gives for each element."""
        if pattern != ITSELF and b"*" in pattern:
            await self._read(pattern, elements)
        return [fetch(self, pattern, element) for element in elements]

    async def _read(self, pattern: bytes, elements: Iterable[bytes]) -> None:
        """Ask for the keys that `pattern` names."""
        self.known.clear()
        head, _, tail = pattern.partition(b"*")
        arrow = tail.find(b"->")
        hash_field = tail[arrow + 2 :] if 0 <= arrow < len(tail) - 2 else b""
        if hash_field:
            tail = tail[:arrow]
        keys = iter(dict.fromkeys(head + element + tail for element in elements))
        while batch := list(islice(keys, BATCH)):
            await self._read_batch(batch, hash_field)

    async def _read_batch(self, keys: Sequence[bytes], hash_field: bytes) -> None:
        requests = [
            (key_slot(key), codec.encode_request([b"HGET", key, hash_field] if hash_field else [b"GET", key]))
            for key in keys
        ]
        replies = await ask_owners(self.calls.slots, 2, requests)
        self.size += sum(map(len, replies))
        if self.size > self.budget.size:
            most = self.budget.size
            raise ReplyError(f"ERR what the patterns name takes more than cross-slot-memory ({most})")
        for key, reply in zip(keys, replies, strict=True):
            value = codec.decode_reply(reply)
            if isinstance(value, ReplyError):
                if not value.text.startswith("WRONGTYPE"):
                    raise value
                value = None
            self.known[key] = Hash({hash_field: value}) if hash_field and value is not None else value

    async def _store(self, destination: bytes, values: Sequence[bytes | None]) -> int:
        present = [value or b"" for value in values]
        parts = [present[at : at + PUSHED_AT_ONCE] for at in range(0, len(present), PUSHED_AT_ONCE)]
        pushes = [[b"RPUSH", destination, *part] for part in parts]
        replies = await self.calls.transact(key_slot(destination), 2, [[b"DEL", destination], *pushes])
        for value in map(codec.decode_reply, replies):
            if isinstance(value, ReplyError):
                raise value
        return len(present)
