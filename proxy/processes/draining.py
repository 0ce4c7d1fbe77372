"""The end of a proxy process, without a request that stays unanswered.

New connections are not accepted any more. Those that are there go to the heir, if there is one (handover.py).
Without one each is closed as soon as it is idle, which is to say that all it has sent is answered and nothing
more has come: a client meets the end of the connection between two requests, where repeating is safe. Who is
never idle, because it always sends before it has read, is read no further after half of the time, and closed
behind the last reply. What then is still going on when the time is over, such as a blocking command, ends
with its connection.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from typing import TYPE_CHECKING

from proxy.processes.handover import announce, hand_over, movable

if TYPE_CHECKING:
    from proxy.core.client import Client
    from proxy.requests.commands import Commands

log = logging.getLogger("shoal.proxy")

LOOK_SECONDS = 0.002
"""Between looks at all clients"""
SHARE_FOR_MIRROR = 0.1
"""Of the time for draining: so long clients that are about to move wait for the mirror at most."""


async def drain(commands: Commands, seconds: float, heir: socket.socket | None = None) -> None:
    """Part with all clients within so many seconds, except those that will not come to an end."""
    started = time.monotonic()
    frozen: set[Client] = set()
    if heir is not None:
        heir = await _prepared(commands, heir)
    while commands.clients and time.monotonic() - started < seconds:
        late = time.monotonic() - started > seconds / 2
        for client in list(commands.clients.values()):
            if (late or (heir and movable(client))) and client not in frozen:
                client.freeze()
                frozen.add(client)
            if heir is None or not movable(client):
                _close_if_done(client, late)
            elif client.at_rest and _has_mirrored(commands, started + seconds * SHARE_FOR_MIRROR):
                try:
                    await hand_over(client, heir)
                except OSError as error:
                    log.warning("the heir is gone: %s", error.strerror)
                    heir = None
                    for each in frozen:
                        each.thaw()
                    frozen.clear()
                    break
        await asyncio.sleep(LOOK_SECONDS)


async def _prepared(commands: Commands, heir: socket.socket) -> socket.socket | None:
    """The heir, ready for our subscribers; None if it is gone."""
    try:
        await announce(commands.sessions.hub.topics, heir)
    except TimeoutError:
        log.warning("the heir is late to subscribe to what our clients listen to")
    except OSError as error:
        log.warning("the heir is gone: %s", error.strerror)
        return None
    return heir


def _has_mirrored(commands: Commands, until: float) -> bool:
    """Has a mirror got what clients have done here? Else what they do at the heir could overtake that. One
    that stands still is waited for `until` then."""
    mirroring = commands.mirroring
    return mirroring is None or not mirroring.core.held or time.monotonic() > until


def _close_if_done(client: Client, late: bool) -> None:
    session = client.session
    if session is not None and session.unfinished:
        return
    if client.idle or (late and client.at_rest):
        client.kill()
