"""Restoring a backup: every key of its files to whoever owns its slot now, whatever the layout was then.

A key travels as RESTORE with a payload of RDB version 11, which Redis and Valkey take since their 7.2, so the
files may be of servers of any version that our reader knows. There is one thing that no payload says to both
of them: when fields of hashes expire. It is said with HPEXPIREAT behind the RESTORE.

Nothing is sent before all files are known to be whole, and the target to be one that takes this backup: it
has the databases, understands the payload, and holds no keys, unless it is to be emptied (`flush`) or they
may be overwritten (`replace`). Keys whose time has passed since stay away.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.backup.courier import Courier, Job
from cluster.backup.layout import Access
from cluster.backup.manifest import Manifest
from cluster.operations.link import ErrorReply, NodeLink, OperationError, Refused
from cluster.operations.server_info import keys_per_database, read_info
from cluster.plans.backup import Layout
from cluster.plans.model import lowest
from cluster.readings.info import server_version
from cluster.slot_tags import tag_of
from node.core.key_slot import key_slot
from node.core.reply_writer import encode_command
from node.datatypes import Hash
from node.persistence.rdb import Entry, RdbError, RdbReader, dump_functions, dump_payload

FIELDS_TOGETHER = 1000
"""In one HPEXPIREAT."""
_UNDERSTOOD_SINCE = "Redis 7.2 and Valkey 7.2 do"
_REPLACE = b"$7\r\nREPLACE\r\n"


@dataclass(frozen=True)
class How:
    """`replace`: keys of the backup overwrite those of the target; `flush`: the target is emptied before."""

    replace: bool = False
    flush: bool = False


@dataclass
class Restored:
    keys: int = 0
    """Which the target has taken."""
    expired: int = 0
    """Whose time had passed."""


# --- is the target fit?


def require_fit(manifest: Manifest, access: Access, layout: Layout, how: How) -> int:
    """How many keys the target holds. Raises OperationError when it does not take this backup."""
    held = examine(access, layout, manifest.databases)
    if held and not (how.replace or how.flush):
        raise OperationError(
            f"the target holds {held} keys",
            "--replace overwrites those of the backup, --flush empties it first",
        )
    return held


def examine(access: Access, layout: Layout, databases: Iterable[int]) -> int:
    """How many keys the target holds. Raises OperationError when it does not have these databases, or does
    not understand what we send."""
    held = 0
    for holder in layout.holders:
        with closing(access.link(holder)) as link:
            for database in databases:
                _require_database(link, database)
            _require_understanding(link, tag_of(lowest(holder.slots, 1)[0]))
            held += sum(keys_per_database(link).values())
    return held


def make_ready(libraries: list[bytes], access: Access, layout: Layout, how: How) -> None:
    """Empty the target, if it is to be emptied, and give it the functions. Raises OperationError."""
    policy = "REPLACE" if how.replace or how.flush else "APPEND"
    for holder in layout.holders:
        with closing(access.link(holder)) as link:
            if libraries:
                restore_functions(link, libraries, policy)
            if how.flush:
                link.call("FLUSHALL", "SYNC")


def restore_functions(link: NodeLink, libraries: list[bytes], policy: str) -> None:
    reply = link.pipeline([("FUNCTION", "RESTORE", dump_functions(libraries), policy)])[0]
    if isinstance(reply, ErrorReply):
        advice = "--replace overwrites it" if "already exists" in reply.text else ""
        raise Refused(link.address, "FUNCTION RESTORE", reply.text, advice)


def _require_understanding(link: NodeLink, tag: bytes) -> None:
    """With a key whose time has passed long ago, which no server keeps."""
    probe: tuple[bytes | str | int, ...] = ("RESTORE", b"{%b}" % tag, 1, dump_payload(b""), "ABSTTL")
    reply = link.pipeline([probe])[0]
    if not isinstance(reply, ErrorReply) or reply.text.startswith("BUSYKEY"):
        return
    if "payload version" in reply.text:
        raise OperationError(
            f"{link.address}, {server_version(read_info(link))}, does not take values of RDB version 11",
            _UNDERSTOOD_SINCE,
        )
    raise link.refused(probe, reply)


def _require_database(link: NodeLink, database: int) -> None:
    if not database:
        return
    try:
        with link.database(database):
            return
    except OperationError as error:
        raise OperationError(
            f"there are keys in database {database}, which {link.address} does not have: {error}"
        ) from error


def libraries_in(manifest: Manifest, directory: Path) -> list[bytes]:
    """The sources of the functions in all files, each once. Raises OperationError."""
    found: dict[bytes, None] = {}
    for file in manifest.files:
        if file.functions:
            with (directory / file.name).open("rb", buffering=0) as stream:
                reader = RdbReader(stream, file.name, _ignore, found.setdefault)
                try:
                    reader.read_entry()  # they come before the first
                except RdbError as error:
                    raise OperationError(str(error)) from error
    return list(found)


# --- the keys


def entries_in(manifest: Manifest, directory: Path) -> Iterator[Entry]:
    """Of all files. Raises OperationError."""
    for file in manifest.files:
        with (directory / file.name).open("rb", buffering=0) as stream:
            try:
                yield from RdbReader(stream, file.name, _ignore)
            except RdbError as error:
                raise OperationError(str(error)) from error


def _ignore(_warning: str) -> None:
    """It was told when the backup was taken."""


class Restorer:
    """`progress` grows as keys arrive; `on_progress` is called with it, every now and then."""

    def __init__(
        self, access: Access, layout: Layout, how: How, on_progress: Callable[[Restored], object]
    ) -> None:
        self._courier = Courier(access, layout, self._done, replacing)
        self._how = how
        self._on_progress = on_progress
        self.progress = Restored()

    def run(self, entries: Iterator[Entry]) -> Restored:
        """Raises OperationError; the target has a part of the keys then."""
        with closing(self._courier):
            for entry in entries:
                if 0 < entry.expire_at <= time.time() * 1000:
                    self.progress.expired += 1
                    continue
                self._courier.select(entry.database)
                self._courier.put(restore_job(entry, self._how.replace))
            self._courier.drain()
        self._on_progress(self.progress)
        return self.progress

    def _done(self, job: Job, address: str, replies: list[Any]) -> None:
        for number, reply in enumerate(replies):
            if isinstance(reply, ErrorReply):
                raise _refusal(job, address, reply.text, "RESTORE" if number == 0 else "HPEXPIREAT")
        self.progress.keys += 1
        if self.progress.keys % 1024 == 0:
            self._on_progress(self.progress)


def restore_job(entry: Entry, replace: bool) -> Job:
    """What puts the entry where it belongs."""
    value, expiries = _without_field_expiry(entry)
    payload = dump_payload(value, compress=False)
    restore = [b"RESTORE", entry.key, b"%d" % entry.expire_at, payload, b"ABSTTL"]
    if entry.idle is not None:
        restore += (b"IDLETIME", b"%d" % entry.idle)
    elif entry.frequency is not None:
        restore += (b"FREQ", b"%d" % entry.frequency)
    if replace:
        restore.append(b"REPLACE")
    return Job(key_slot(entry.key), entry.key, [encode_command(restore), *expiries])


def replacing(job: Job) -> list[bytes]:
    """RESTORE with one argument more, if it has not got that already."""
    restore, *expiries = job.commands
    if not restore.endswith(_REPLACE):
        restore = b"*%d%b%b" % (int(restore[1:2]) + 1, restore[2:], _REPLACE)
    return [restore, *expiries]


def _refusal(job: Job, address: str, reply: str, command: str) -> OperationError:
    shown = job.key[:128].decode("latin-1")
    if reply.startswith("BUSYKEY"):
        return OperationError(
            f"{address} has got the key {shown!r} meanwhile",
            "does somebody write to it? --replace overwrites",
        )
    if command == "HPEXPIREAT" and "unknown command" in reply:
        return OperationError(
            f"{address} cannot let fields of hashes expire, as those of {shown!r} do",
            "Redis 7.4 and Valkey 9.0 can",
        )
    return OperationError(f"{address} refused {command} of {shown!r}: {reply}")


def _without_field_expiry(entry: Entry) -> tuple[Any, list[bytes]]:
    """The value as all servers understand it, and the commands that let its fields expire."""
    value = entry.value
    if not isinstance(value, Hash) or not value.timed:
        return value, []
    plain: dict[bytes, bytes] = {}
    moments: dict[int, list[bytes]] = {}
    for name, text, expire_at in value.walk():
        plain[name] = text
        if expire_at:
            moments.setdefault(expire_at, []).append(name)
    commands = []
    for moment, names in moments.items():
        for start in range(0, len(names), FIELDS_TOGETHER):
            some = names[start : start + FIELDS_TOGETHER]
            head = [b"HPEXPIREAT", entry.key, b"%d" % moment, b"FIELDS", b"%d" % len(some)]
            commands.append(encode_command([*head, *some]))
    return Hash(plain), commands
