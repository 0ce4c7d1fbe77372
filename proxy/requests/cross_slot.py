"""Commands whose keys are of several slots, which no worker carries out: `--cross-slot reads|all`.

Copies of the keys are brought to one slot, and the very command is carried out there, with the names of the
copies in place of the keys'. So all options, errors and forms of replies are the worker's own, and nothing
here is about a particular command:

1. MEMORY USAGE of each key. A command that writes is carried out in the slot of the key it writes, and
   changes that at one moment; one that reads where most of the data is. Keys of that slot stay as they are.
2. DUMP and expiry of the others, each at a moment of its own.
3. One step at the worker: RESTORE the copies, the command, DEL the copies. For a command that reads that is a
   transaction, so that the reply is untouched; one that writes is called by a script, because it must not be
   carried out if a copy could not be made. Nobody sees the copies, and whoever dies, none is left.

Which commands is decided by the table: those that read all their keys, and those that write one. Some write
two, where something is moved from one key to another: cross_slot_moves.py. SORT with patterns:
cross_slot_sort.py. Everything else is refused as without the option: what would change several keys
independently (MSETNX), may block, or runs programs.

Memory: the keys on their way, of all clients together, are at most `--cross-slot-memory` bytes by what
MEMORY USAGE says; commands wait for each other in turn, and one that needs more by itself is refused.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from cluster.slot_tags import tag_of
from node.commands import Command
from node.core.key_slot import key_slot
from node.errors import CROSSSLOT, ReplyError
from proxy.requests import codec
from proxy.requests.cross_slot_moves import MOVES, carry_out
from proxy.requests.cross_slot_sort import CrossSort, has_patterns
from proxy.requests.slot_calls import SlotCalls

if TYPE_CHECKING:
    from proxy.core.client import Client
    from proxy.requests.commands import Commands

KEYS_MAX = 1000
"""Of one command; the script passes so many arguments on."""
SCRIPT = b"""
local copies = tonumber(ARGV[1])
local function forget(last)
  for i = 1, last do redis.call('DEL', KEYS[i]) end
end
for i = 1, copies do
  local made = redis.pcall('RESTORE', KEYS[i], ARGV[2 * i], ARGV[2 * i + 1], 'ABSTTL')
  if made.err then
    forget(i - 1)
    return made
  end
end
local reply = redis.pcall(unpack(ARGV, 2 * copies + 2))
forget(copies)
return reply
"""
"""KEYS: the copies, then the keys that are used in place. ARGV: the number of copies, expiry and payload of
each, the command."""


class Copy(NamedTuple):
    name: bytes
    expiry: bytes
    """Unix time in ms, 0 for none"""
    payload: bytes


class Budget:
    """Bytes that may be on their way at once. Whoever needs some waits in turn."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._free = size
        self._turn = asyncio.Lock()
        self._given_back = asyncio.Event()

    @asynccontextmanager
    async def taken(self, size: int) -> AsyncIterator[None]:
        """Raises ReplyError for what would never fit."""
        if size > self.size:
            raise ReplyError(f"ERR the keys take {size} bytes, more than cross-slot-memory ({self.size})")
        async with self._turn:
            while self._free < size:
                self._given_back.clear()
                await self._given_back.wait()
            self._free -= size
        try:
            yield
        finally:
            self._free += size
            self._given_back.set()


class CrossSlot:
    """What the options allow; one per proxy that allows anything."""

    def __init__(self, commands: Commands, writes: bool, memory: int) -> None:
        self.calls = SlotCalls(commands)
        self.writes = writes
        self.budget = Budget(memory)

    def takes(self, command: Command, argv: Sequence[bytes], slots: set[int]) -> bool:
        """Is the request one of ours? Raises CROSSSLOT if it has keys of several slots and is not allowed."""
        if len(slots) < 2 and not sorts_by_patterns(command, argv):
            return False
        if not is_possible(command, argv) or (written(command, argv) and not self.writes):
            raise CROSSSLOT
        return True

    async def run(self, client: Client, command: Command, argv: list[bytes]) -> bytes:
        """The raw reply. Raises ReplyError."""
        if command.name in MOVES:
            value = await carry_out(self.calls, MOVES[command.name](argv))
            return codec.encode_reply(value, client.resp)
        if sorts_by_patterns(command, argv):
            value = await CrossSort(self.calls, self.budget, argv).run()
            return codec.encode_reply(value, client.resp)
        return await self._gathered(client.resp, command, argv)

    async def _gathered(self, resp: int, command: Command, argv: list[bytes]) -> bytes:
        keys = list(dict.fromkeys(argv[position] for position in command.key_positions(argv)))
        if len(keys) > KEYS_MAX:
            raise ReplyError(f"ERR more than {KEYS_MAX} keys of different slots")
        sizes = await memory_usage(self.calls, keys)
        if changed := written(command, argv):
            return await self._carried_out(key_slot(changed[0]), resp, command, argv, sizes)
        *first, last = slots_by_weight(sizes)
        for slot in first:
            try:
                return await self._carried_out(slot, resp, command, argv, sizes, patient=False)
            except ReplyError as error:
                if not error.text.startswith("TRYAGAIN"):  # the slot is on its way; any other is as good
                    raise
        return await self._carried_out(last, resp, command, argv, sizes)

    async def _carried_out(
        self, slot: int, resp: int, command: Command, argv: Sequence[bytes], sizes: dict[bytes, int],
        patient: bool = True,
    ) -> bytes:  # fmt: skip
        """... in `slot`. `sizes` are those of all keys."""
        away = [key for key in sizes if key_slot(key) != slot]
        names = dict(zip(away, names_in(slot, len(away)), strict=True))
        words = list(argv)
        for position in command.key_positions(argv):
            words[position] = names.get(words[position], words[position])
        async with self.budget.taken(sum(sizes[key] for key in away)):
            copies = await self._copies({key: name for key, name in names.items() if sizes[key]})
            if written(command, argv):
                return await self._write(slot, resp, command, words, copies)
            return await self._read(slot, resp, words, copies, patient)

    async def _copies(self, names: dict[bytes, bytes]) -> list[Copy]:
        """What to make the copies from, of those keys that are there. `names`: key -> name of its copy."""
        found = await asyncio.gather(*(read_whole(self.calls, key) for key in names))
        return [Copy(name, *each) for name, each in zip(names.values(), found, strict=True) if each]

    async def _read(
        self, slot: int, resp: int, words: list[bytes], copies: Sequence[Copy], patient: bool
    ) -> bytes:
        made = [[b"RESTORE", copy.name, copy.expiry, copy.payload, b"ABSTTL"] for copy in copies]
        deleted = [[b"DEL", copy.name] for copy in copies]
        replies = await self.calls.transact(slot, resp, [*made, words, *deleted], patient)
        return next(filter(codec.is_error, replies[: len(copies)]), replies[len(copies)])

    async def _write(
        self, slot: int, resp: int, command: Command, words: list[bytes], copies: Sequence[Copy]
    ) -> bytes:
        names = [copy.name for copy in copies]
        others = {words[position] for position in command.key_positions(words)}.difference(names)
        request = [b"EVAL", SCRIPT, b"%d" % (len(names) + len(others)), *names, *others]
        request.append(b"%d" % len(copies))
        for copy in copies:
            request += copy.expiry, copy.payload
        return await self.calls.call(slot, resp, [*request, *words])


def is_possible(command: Command, argv: Sequence[bytes]) -> bool:
    """May the keys of this request be of several slots?"""
    if "scripting" in command.categories or "blocking" in command.flags:
        return False
    return command.name in MOVES or len(written(command, argv)) < 2


def sorts_by_patterns(command: Command, argv: Sequence[bytes]) -> bool:
    return command.name in ("sort", "sort_ro") and has_patterns(argv)


def written(command: Command, argv: Sequence[bytes]) -> list[bytes]:
    """The keys that the request changes. (PFCOUNT may change what it remembers of a key, not its value.)"""
    uses = command.key_uses(argv) if command.is_write else None
    return [argv[use.position] for use in uses or () if "RO" not in use.flags]


def slots_by_weight(sizes: dict[bytes, int]) -> list[int]:
    """The slots of these keys, that with most bytes first."""
    weights: Counter[int] = Counter()
    for key, size in sizes.items():
        weights[key_slot(key)] += size
    return [slot for slot, _ in weights.most_common()]


def names_in(slot: int, count: int) -> list[bytes]:
    """Names in `slot` that no client has thought of."""
    token = secrets.token_hex(12).encode()
    return [b"{%b}shoal-copy:%b:%d" % (tag_of(slot), token, number) for number in range(count)]


async def memory_usage(calls: SlotCalls, keys: Sequence[bytes]) -> dict[bytes, int]:
    """Bytes of each key; 0 if there is none."""
    replies = await calls.each(2, [(key_slot(key), [b"MEMORY", b"USAGE", key]) for key in keys])
    return {key: codec.decode_reply(reply) or 0 for key, reply in zip(keys, replies, strict=True)}


async def read_whole(calls: SlotCalls, key: bytes) -> tuple[bytes, bytes] | None:
    """(expiry in Unix ms or 0, what DUMP gives), None if there is no key."""
    replies = await calls.transact(key_slot(key), 2, [[b"DUMP", key], [b"PEXPIRETIME", key]])
    values = [codec.decode_reply(reply) for reply in replies]
    for value in values:
        if isinstance(value, ReplyError):
            raise value
    payload, expiry = values
    return None if payload is None else (b"%d" % max(expiry, 0), payload)
