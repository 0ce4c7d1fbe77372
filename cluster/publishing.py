"""What clients publish here, on its way to the other members.

Every member has to hear of it, for its own subscribers, and asking the coordinator for each message would
cost more than everything else about it. So it is collected (node/core/fanout.pyx) until the event loop's turn
ends, and asked for all together: one header, and one write per link for many. As long as this worker has
never looked for another, nothing is even collected.
"""

from __future__ import annotations

import asyncio
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from cluster.bus.wire import MAX_PUBLISHED
from node.core.reactor import at_turn_end
from node.errors import ReplyError

if TYPE_CHECKING:
    from cluster.member import Member
    from node.core.fanout import Fanout

TOO_LONG = ReplyError("ERR channel and message are too long to be published in a cluster")


class Publishing:
    def __init__(self, member: Member, fanout: Fanout) -> None:
        self._member = member
        self._fanout = fanout
        fanout.join_cluster(MAX_PUBLISHED)

    def publish(self, channel: bytes, message: bytes, sharded: bool) -> None:
        """Raises ReplyError for what is too long for one message of the bus."""
        if len(channel) + len(message) > MAX_PUBLISHED:
            raise TOO_LONG
        self._fanout.tell_members(channel, message, sharded)

    def meet_others(self) -> None:
        """There is somebody to tell from here on."""
        soon = at_turn_end(asyncio.get_running_loop())
        self._fanout.meet_members(self._tell, lambda: soon(self._tell_now))

    def _tell(self, published: list[tuple[bytes, bytes, bool]]) -> None:
        for sharded, run in groupby(published, itemgetter(2)):
            self._send(tuple((channel, message) for channel, message, _ in run), sharded)

    def _send(self, messages: tuple[tuple[bytes, bytes], ...], sharded: bool) -> None:
        self._member.command(lambda coordinator, now: coordinator.publish(messages, sharded, now))

    def _tell_now(self) -> None:
        self._fanout.tell_now()
        self._member.settle()
