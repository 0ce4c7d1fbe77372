"""Requests whose replies a coroutine waits for, over the connections that all share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from proxy.core.sinks import Job
from proxy.core.upstream import FINAL
from proxy.requests.jobs import UNBOUND

if TYPE_CHECKING:
    from proxy.core.routes import SlotMap
    from proxy.core.upstream import Upstream


class _Questions(Job):
    def __init__(self, count: int) -> None:
        self.replies = [b""] * count
        self.missing = count
        self.answered: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()

    def replied(self, tag: int, reply: bytes) -> None:
        self.replies[tag] = reply
        self.missing -= 1
        if not self.missing and not self.answered.done():
            self.answered.set_result(self.replies)

    def failed(self) -> None:
        self.answered.cancel()


async def ask_all(worker: Upstream, requests: Sequence[bytes], asking: int = 0) -> list[bytes]:
    """The raw replies of one worker, in order; redirections are not followed. ASKING precedes each of the
    first `asking` requests."""
    questions = _Questions(len(requests))
    for index, request in enumerate(requests):
        worker.send(request, questions, index, FINAL, index < asking)
    return await questions.answered


async def ask_owners(slots: SlotMap, version: int, requests: Sequence[tuple[int, bytes]]) -> list[bytes]:
    """The raw replies to (slot, request), in order, each from the owner of its slot: redirections are
    followed and failovers waited for, as with any request."""
    questions = _Questions(len(requests))
    for index, (slot, request) in enumerate(requests):
        owner = slots.find(slot, version)
        if owner is None:
            questions.replied(index, UNBOUND)
        else:
            owner.send(request, questions, index)
    return await questions.answered if requests else []
