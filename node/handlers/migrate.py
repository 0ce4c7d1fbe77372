"""MIGRATE: move keys to another server, so that each is always on exactly one of both.

A key goes as RESTORE with its DUMP payload, and is deleted here only when the other side has confirmed
it. Several keys (KEYS) go in batches: a batch is sent as a whole and its replies are read before the
next, so memory is bounded by a batch, not by the request. A refused key stays here, the others go on;
the first refusal is the reply. In a cluster RESTORE-ASKING is used, which the target accepts for a slot
it is importing. A target that cannot read the payload gets another, in the dialect of those that cannot:
Valkey of fields that expire, Redis 7.0 of anything.

Like Redis' it is synchronous: nobody else is served meanwhile, so nobody can change a key that is on its way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from node import errors
from node.core.hash import NEVER
from node.datatypes import Hash
from node.errors import ReplyError, one_line
from node.handlers.arguments import Options, as_int, parse_int
from node.handlers.migrate_link import LinkBroken, MigrateLink, MigrateLinks
from node.handlers.registry import command
from node.keyspace import events
from node.persistence.rdb.dialects import REDIS_7_0, REDIS_7_2, VALKEY_9, Dialect
from node.persistence.rdb.payload import dump_payload
from node.replies import OK

if TYPE_CHECKING:
    from node.worker import Worker

NO_KEY = "NOKEY"
BATCH_KEYS = 256
BATCH_BYTES = 4 * 1024 * 1024
"""A batch is closed by whichever comes first; one key alone may be larger."""
DEFAULT_TIMEOUT = 1000
UNREADABLE = b"-ERR DUMP payload version or checksum are wrong"

_KEY_NOT_EMPTY = ReplyError(
    "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string"
)
_CANNOT_CONNECT = ReplyError("IOERR error or timeout connecting to the client")

_links: WeakKeyDictionary[Worker, MigrateLinks] = WeakKeyDictionary()


@dataclass
class _Request:
    """MIGRATE host port key|"" db timeout [COPY] [REPLACE] [AUTH pw | AUTH2 user pw] [KEYS key ...]"""

    host: str
    port: int
    database: int
    timeout: float
    keys: list[bytes]
    copy: bool = False
    replace: bool = False
    credentials: list[bytes] = field(default_factory=list)


def _parse(args: list[bytes]) -> _Request:
    host, port, key, database, timeout = args[:5]
    keys = [key]
    copy = replace = False
    credentials: list[bytes] = []
    options = Options(args, start=5)
    for word in options:
        if word == b"COPY":
            copy = True
        elif word == b"REPLACE":
            replace = True
        elif word == b"AUTH":
            credentials = [options.value()]
        elif word == b"AUTH2":
            credentials = [options.value(), options.value()]
        elif word == b"KEYS":
            if key:
                raise _KEY_NOT_EMPTY
            keys = options.rest()
        else:
            raise errors.SYNTAX
    milliseconds = parse_int(timeout)
    number = parse_int(database)
    return _Request(
        one_line(host.decode("latin-1")),
        as_int(port) or 0,
        number,
        (milliseconds if milliseconds > 0 else DEFAULT_TIMEOUT) / 1000,
        keys,
        copy,
        replace,
        credentials,
    )


@command("migrate")
def migrate(ctx: Any, args: list[bytes]) -> str:
    request = _parse(args)
    present = [key for key in request.keys if ctx.db.exists(key)]
    if not present:
        return NO_KEY
    transfer = _Transfer(ctx, request)
    try:
        transfer.run(present)
    finally:
        if transfer.moved:
            ctx.propagate([b"DEL", *transfer.moved])
        else:
            ctx.propagate()
    if transfer.refusal is not None:
        raise transfer.refusal
    return OK


class _Transfer:
    """One execution of MIGRATE."""

    def __init__(self, ctx: Any, request: _Request) -> None:
        self.moved: list[bytes] = []
        """Keys that are on the target now and no longer here."""
        self.refusal: ReplyError | None = None
        """The first error the target replied."""
        self._ctx = ctx
        self._request = request
        self._links = _links_of(ctx.worker)
        self._confirmed = False
        """The target has answered something: an attempt after this may not be repeated."""
        self._dialect = REDIS_7_2
        """What the target is thought to read."""

    def run(self, keys: list[bytes]) -> None:
        """Move `keys`. Raises ReplyError IOERR; what was confirmed before it is moved nevertheless."""
        try:
            self._attempt(keys)
        except LinkBroken as broken:
            if broken.action == "connecting":
                raise _CANNOT_CONNECT from None
            raise ReplyError(f"IOERR error or timeout {broken.action} to target instance") from None

    def _attempt(self, keys: list[bytes]) -> None:
        request = self._request
        if not 0 < request.port < 65536:
            raise LinkBroken("connecting", timed_out=False)
        context = self._ctx.worker.tls.to_members
        link, kept = self._links.take((request.host, request.port), request.timeout, context)
        try:
            self._send_all(link, keys)
        except LinkBroken as broken:
            link.close()
            if not kept or broken.timed_out or self._confirmed:
                raise
            self._attempt(
                keys
            )  # the kept connection had been closed by the other side: once more on a new one
        except BaseException:
            link.close()
            raise
        else:
            self._links.give_back(link)

    def _send_all(self, link: MigrateLink, keys: list[bytes]) -> None:
        if not self._greet(link):
            return
        batch: list[bytes] = []
        commands: list[list[bytes]] = []
        size = 0
        for key in keys:
            restore = self._restore(key, self._dialect)
            if restore is None:
                continue
            batch.append(key)
            commands.append(restore)
            size += len(restore[3])
            if len(batch) == BATCH_KEYS or size >= BATCH_BYTES:
                self._send_batch(link, batch, commands)
                batch, commands, size = [], [], 0
        if batch:
            self._send_batch(link, batch, commands)

    def _greet(self, link: MigrateLink) -> bool:
        """Log in and select the database, where needed. If that is refused no key may be sent."""
        database = self._request.database
        greeting: list[list[bytes]] = []
        if self._request.credentials:
            greeting.append([b"AUTH", *self._request.credentials])
        if link.database != database:
            greeting.append([b"SELECT", b"%d" % database])
        if not greeting:
            return True
        link.send(greeting)
        accepted = [self._note(link.read_line()) for _ in greeting]
        link.database = database if accepted[-1] else -1
        return all(accepted)

    def _restore(self, key: bytes, dialect: Dialect) -> list[bytes] | None:
        """The command that makes `key` there; None if it expired just now."""
        db = self._ctx.db
        value = db.peek(key)
        if value is None:
            return None
        expire_at = db.expiry(key)
        ttl = max(1, expire_at - db.now) if expire_at > 0 else 0
        name = b"RESTORE-ASKING" if self._ctx.worker.cluster.enabled else b"RESTORE"
        payload = dump_payload(value, self._ctx.config.rdbcompression, dialect)
        restore = [name, key, b"%d" % ttl, payload]
        return [*restore, b"REPLACE"] if self._request.replace else restore

    def _send_batch(self, link: MigrateLink, keys: list[bytes], commands: list[list[bytes]]) -> None:
        link.send(commands)
        unreadable = []
        for key in keys:
            reply = link.read_line()
            if reply.startswith(UNREADABLE) and self._dialect is REDIS_7_2:
                unreadable.append(key)
            else:
                self._take_reply(key, reply)
        for key in unreadable:
            self._send_otherwise(link, key)

    def _send_otherwise(self, link: MigrateLink, key: bytes) -> None:
        """Once more, as the target may read it. One that is so old is not asked in vain for every key."""
        value = self._ctx.db.peek(key)
        expiring = type(value) is Hash and value.soonest != NEVER
        dialect = VALKEY_9 if expiring else REDIS_7_0
        restore = self._restore(key, dialect)
        if restore is not None:
            link.send([restore])
            reply = link.read_line()
            if not expiring and not reply.startswith(b"-"):
                self._dialect = dialect
            self._take_reply(key, reply)

    def _take_reply(self, key: bytes, reply: bytes) -> None:
        accepted = self._note(reply)
        if accepted and not self._request.copy:
            self._ctx.db.delete(key)
            self._ctx.changed(key, events.DEL)
            self.moved.append(key)

    def _note(self, reply: bytes) -> bool:
        """Take in one reply of the target; was it a yes?"""
        self._confirmed = True
        if not reply.startswith(b"-"):
            return True
        if self.refusal is None:
            text = one_line(reply[1:].decode("utf-8", "replace"))
            self.refusal = ReplyError(f"ERR Target instance replied with error: {text}")
        return False


def idle_link_count(worker: Worker) -> int:
    """Connections to other servers that are kept for the next MIGRATE."""
    return len(_links.get(worker, ()))


def _links_of(worker: Worker) -> MigrateLinks:
    links = _links.get(worker)
    if links is None:
        links = _links[worker] = MigrateLinks()
        worker.cron_jobs.append(links.close_idle)
    return links
