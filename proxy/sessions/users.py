"""Users that the workers know: `--auth-by-workers`.

AUTH, and HELLO with AUTH, are asked of a worker, whose answer the client gets; then its commands run under
that user, over connections that all clients of the user share (service.py). So what a user may do is decided
by the workers, in their words. The proxy logs in under an account of its own to learn the map, and serves
nobody under it: who has not logged in may do nothing else.

What never reaches a worker (CLIENT KILL, CONFIG SET maxclients …) is asked about, by ACL DRYRUN under the
proxy's account, if Redis counts it among the dangerous commands; other commands that the proxy answers itself
(PING, CLIENT SETNAME …) are for everybody.

The password that was right last is kept in memory, for connections that must be made later.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from node.commands import Command
from node.errors import NO_MULTI, ReplyError
from proxy.local.local_commands import hello_options
from proxy.local.own import NAME
from proxy.requests import codec
from proxy.requests.questions import ask_all
from proxy.requests.routing import Way, route_of
from proxy.sessions.session import LATER, PASS
from proxy.workers.dialogue import Line, open_line, raw_replies

if TYPE_CHECKING:
    from proxy.core.client import Client
    from proxy.requests.commands import Commands
    from proxy.workers.service import Service

log = logging.getLogger("shoal.proxy")

ASK_TIMEOUT = 2.0
IDLE_SECONDS = 60.0
"""A service without clients is kept for that long, and at most twice."""
MOST_SERVICES = 1000
NOBODY = ReplyError("CLUSTERDOWN no worker can check who you are")
TOO_MANY = ReplyError("ERR too many users are logged in at the proxy")
WRITTEN_HERE = frozenset(("config|set", "info"))
"""Of commands that workers are asked, those that concern the proxy as well"""


class Users:
    """`make(credentials)` makes a service; `front` are the commands of the proxy's own account."""

    def __init__(self, front: Commands, make: Callable[[tuple[bytes, ...]], Service]) -> None:
        self.front = front
        self.make = make
        self._services: dict[bytes, Service] = {}
        self._line: Line | None = None
        self._turn = asyncio.Lock()

    def gate(
        self, commands: Commands, client: Client, tag: int, command: Command, argv: list[bytes], node: str,
        go_on: Callable[[], Any],
    ) -> Any:  # fmt: skip
        """PASS for what needs no more than the workers' own checks; else LATER. Raises ReplyError."""
        session = client.session
        login = _login_of(command, argv)
        if login is None and not _is_asked_about(command, argv, node):
            return PASS
        if session is not None and session.transaction is not None:
            raise NO_MULTI
        if session is not None and session.subscriptions and client.resp == 2:
            return PASS  # which refuses it
        if client.postpone(tag):
            return LATER
        client.hold()
        if login is not None:
            work = self._log_in(client, login, go_on)
        else:
            work = self._permitted(client, argv, go_on)
        commands.begin(commands.answer(client, tag, work))
        return LATER

    def become(self, client: Client, user: bytes, credentials: tuple[bytes, ...]) -> None:
        """Serve `client` as this user from now on; who it is has been checked. Raises ReplyError."""
        service = self._services.get(user)
        if service is None:
            if len(self._services) >= MOST_SERVICES:
                raise TOO_MANY
            service = self._services[user] = self.make(credentials)
        service.log_in_as(credentials)
        self._leave_state(client)
        client.serve_under(service.commands, service.slots)
        client.facts.user = user
        client.authenticated = True

    def forget(self, client: Client) -> None:
        """It starts afresh: RESET."""
        self._leave_state(client)
        client.serve_under(self.front, self.front.slots)
        client.facts.user = b"default"
        client.authenticated = False

    def credentials_of(self, client: Client) -> tuple[bytes, ...]:
        """Under which it is served; empty if it has not logged in."""
        return () if client.service is self.front else client.service.pool.login.words

    @property
    def services(self) -> list[Service]:
        return list(self._services.values())

    def map_changed(self) -> None:
        for service in self._services.values():
            service.map_changed()

    async def close_idle(self) -> None:
        """Give up services that nobody uses. Runs for ever."""
        unused: set[bytes] = set()
        while True:
            await asyncio.sleep(IDLE_SECONDS)
            used = {client.service for client in self.front.clients.values()}
            idle = {user for user, service in self._services.items() if service.commands not in used}
            for user in idle & unused:
                self._services.pop(user).close()
            unused = idle - unused

    def close(self) -> None:
        for service in self._services.values():
            service.close()
        self._services.clear()
        if self._line is not None:
            self._line.close()

    # Asking

    async def _log_in(self, client: Client, login: Sequence[bytes], go_on: Callable[[], Any]) -> Any:
        reply = codec.decode_reply(await self._ask_worker([b"AUTH", *login]))
        if isinstance(reply, ReplyError):
            raise reply
        if client.is_open:
            self.become(client, login[0] if len(login) == 2 else b"default", tuple(login))
        return go_on()

    async def _permitted(self, client: Client, argv: Sequence[bytes], go_on: Callable[[], Any]) -> Any:
        worker = self.front.sessions.anyone(2)
        if worker is None:
            raise NOBODY
        question = codec.encode_request([b"ACL", b"DRYRUN", client.facts.user, *argv])
        answer = codec.decode_reply((await ask_all(worker, [question]))[0])
        if isinstance(answer, ReplyError):
            raise answer
        if answer != "OK":
            raise ReplyError(f"NOPERM {answer.decode('latin-1')}")
        return go_on()

    async def _ask_worker(self, request: Sequence[bytes]) -> bytes:
        """The raw reply over one connection that all logins share: each replaces the former."""
        async with self._turn:
            for _ in range(2):  # a kept connection may be gone, as when its last user was deleted
                kept = self._line is not None
                with contextlib.suppress(OSError, EOFError, TimeoutError, ValueError):
                    async with asyncio.timeout(ASK_TIMEOUT):
                        if self._line is None:
                            self._line = await self._open()
                        return (await raw_replies(self._line, request))[0]
                if self._line is not None:
                    self._line.close()
                    self._line = None
                if not kept:
                    break
        raise NOBODY

    async def _open(self) -> Line:
        """To any worker that is there. Raises OSError."""
        addresses = [(upstream.host, upstream.port) for _, upstream in self.front.pool.shards(2)]
        for address in addresses:
            with contextlib.suppress(OSError, EOFError):
                return await open_line(address, self.front.pool.login)
        raise OSError("no worker can be reached")

    def _leave_state(self, client: Client) -> None:
        """What it had begun as another user ends: its connections are that user's."""
        if client.session is not None:
            client.service.sessions.ended(client)


def _login_of(command: Command, argv: Sequence[bytes]) -> Sequence[bytes] | None:
    """The arguments of AUTH, if the request logs in and is well-formed."""
    if command.name == "auth" and len(argv) <= 3:
        return argv[1:]
    if command.name == "hello" and len(argv) > 1 and argv[1] in (b"2", b"3"):
        return hello_options(list(argv[2:]))[1]
    return None


def _is_asked_about(command: Command, argv: Sequence[bytes], node: str) -> bool:
    here = node.upper() == NAME or command.name in WRITTEN_HERE
    return here or (route_of(command).way is Way.LOCAL and "dangerous" in command.categories)
