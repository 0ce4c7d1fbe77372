"""Requests that take more than one request to answer.

A job belongs to one request of one client, whose place in the order of replies is kept by the client's ring.
It sends its own requests through the same shared connections as everybody (so what a client pipelines to one
worker stays in order), gathers raw replies, and completes the client's request exactly once.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from proxy.core.sinks import Job
from proxy.requests import codec, merger, splitter
from proxy.requests.merger import Merge

if TYPE_CHECKING:
    from proxy.core.client import Client
    from proxy.core.routes import SlotMap
    from proxy.core.upstream import Upstream

NULLS = (b"$-1\r\n", b"_\r\n")
UNBOUND = b"-CLUSTERDOWN Hash slot not served\r\n"
INTERNAL_ERROR = b"-ERR internal error of the proxy\r\n"


class ClientJob(Job):
    """A job that answers request `tag` of `client`."""

    def __init__(self, client: Client, tag: int) -> None:
        self.client = client
        self.tag = tag

    def answer(self, reply: bytes) -> None:
        self.client.complete(self.tag, reply)

    def failed(self) -> None:
        self.answer(INTERNAL_ERROR)


class Broadcast(ClientJob):
    """The same request to several workers, their replies merged into one."""

    def __init__(self, client: Client, tag: int, merge: Merge) -> None:
        super().__init__(client, tag)
        self.merge = merge
        self.replies: list[bytes] = []
        self.missing = 0

    def start(self, request: bytes, targets: Sequence[Upstream]) -> None:
        self.start_each([(upstream, request) for upstream in targets])

    def start_each(self, requests: Sequence[tuple[Upstream, bytes]]) -> None:
        """A request of its own for each worker."""
        if not requests:
            self.answer(UNBOUND)
            return
        self.missing = len(requests)
        self.replies = [b""] * len(requests)
        for index, (upstream, request) in enumerate(requests):
            upstream.send(request, self, index)

    def replied(self, tag: int, reply: bytes) -> None:
        self.replies[tag] = reply
        self.missing -= 1
        if self.missing == 0:
            self.answer(merger.fitting(self.merge, self.replies))


class Split(ClientJob):
    """MGET, MSET, DEL …: a part per slot. A part refused with TRYAGAIN is asked again key by key."""

    def __init__(
        self, client: Client, tag: int, argv: Sequence[bytes], width: int, slots: SlotMap, reads: bool
    ) -> None:
        """`reads`: replicas may answer."""
        super().__init__(client, tag)
        self.reads = reads
        self.argv = argv
        self.width = width
        self.slots = slots
        self.parts: list[splitter.Part] = []
        self.replies: list[bytes] = []
        self.missing = 0

    def start(self) -> None:
        self._send(splitter.split(self.argv, self.width))

    def _send(self, parts: list[splitter.Part]) -> None:
        first = len(self.parts)
        self.parts += parts
        self.replies += [b""] * len(parts)
        self.missing += len(parts)
        for index, part in enumerate(parts, first):
            if self.reads:
                upstream = self.slots.find_reader(part.slot, self.client.resp, self.client.id)
            else:
                upstream = self.slots.find(part.slot, self.client.resp)
            if upstream is None:
                self.replied(index, UNBOUND)
            else:
                upstream.send(part.request, self, index)

    def replied(self, tag: int, reply: bytes) -> None:
        part = self.parts[tag]
        if reply.startswith(b"-TRYAGAIN ") and len(part.items) > 1:
            self.replies[tag] = b""
            self.missing -= 1
            self._send(splitter.singly(self.argv, self.width, part))
            return
        self.replies[tag] = reply
        self.missing -= 1
        if self.missing == 0:
            self.answer(self._result())

    def _result(self) -> bytes:
        answered = [
            (part.items, reply) for part, reply in zip(self.parts, self.replies, strict=True) if reply
        ]
        name = self.argv[0].lower().decode("latin-1")
        return joined_parts(name, [items for items, _ in answered], [reply for _, reply in answered])


def joined_parts(name: str, positions: Sequence[Sequence[int]], replies: Sequence[bytes]) -> bytes:
    """The reply to a command that was split; `positions`: which keys of the request each reply is about."""
    match name:
        case "mget":
            return merger.fitting(lambda raw: merger.in_order(positions, raw), replies)
        case "mset":
            return merger.all_succeeded(replies)
        case _:
            return merger.fitting(merger.agg_sum, replies)


class RandomKey(Broadcast):
    """RANDOMKEY: DBSIZE of all shards first, so that each key is as likely as any other; then a shard by lot,
    and another if it has just become empty."""

    def __init__(self, client: Client, tag: int, request: bytes) -> None:
        super().__init__(client, tag, merger.concatenated)
        self.request = request
        self.sizes: dict[Upstream, int] = {}

    def start(self, request: bytes, targets: Sequence[Upstream]) -> None:
        self.sizes = dict.fromkeys(targets, 0)
        super().start(request, targets)

    def replied(self, tag: int, reply: bytes) -> None:
        if self.missing == 0:
            if reply in NULLS and self.sizes:
                self._ask_one()
            else:
                self.answer(reply)
            return
        self.replies[tag] = reply
        self.missing -= 1
        if self.missing == 0:
            if error := merger.first_error(self.replies):
                self.answer(error)
                return
            sizes = zip(self.sizes, map(codec.integer_of, self.replies), strict=True)
            self.sizes = {upstream: size for upstream, size in sizes if size}
            self._ask_one()

    def _ask_one(self) -> None:
        if not self.sizes:
            self.answer(codec.encode_reply(None, self.client.resp))
            return
        (chosen,) = random.choices(list(self.sizes), list(self.sizes.values()))
        del self.sizes[chosen]
        chosen.send(self.request, self)
