"""One client's conversation: who it is, what state it is in, and the order in which its commands are checked.

The engine executes commands itself as long as nothing stands in their way (`core/engine`); everything else
comes to `Session.execute`, which is the complete way, in the order of Redis' processCommand: does the command
exist, is its arity right, is the client authenticated, may this run inside MULTI, may its user do this, are
the keys ours, may we write now, are we loading or paused, is it to be queued. Then it runs.

Handlers get the session as their `ctx`. It has no socket: its connection is `link`, which is None for
sessions that apply a replication stream or load a file (`Worker.internal_session`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node import errors
from node.commands.model import Command
from node.core.command_rows import (
    GATE_ASKING,
    GATE_AUTH,
    GATE_BUSY,
    GATE_DISK_ERROR,
    GATE_FEW_REPLICAS,
    GATE_LOADING,
    GATE_MONITORED,
    GATE_NO_TOUCH,
    GATE_OUT_OF_MEMORY,
    GATE_PARTICULAR,
    GATE_PAUSED_ALL,
    GATE_PAUSED_WRITES,
    GATE_READ_ONLY,
    GATE_REPLY,
    GATE_RESTRICTED,
    GATE_STALE,
    GATE_SUBSCRIBED,
    GATE_TRACKING,
    NOT_QUEUED,
)
from node.core.engine import Client
from node.errors import ReplyError
from node.keyspace import events
from node.replies import NO_REPLY, QUEUED, Replies

if TYPE_CHECKING:
    from node.acl import User
    from node.session.pubsub import Frame, Subscriptions
    from node.session.tracking_mode import Mode
    from node.worker import Worker

ABOUT_SLOTS = ("MOVED", "ASK", "CROSSSLOT", "TRYAGAIN", "CLUSTERDOWN")
"""Prefixes of errors that a client of a cluster must see as they are, from EXEC as well."""

FOR_SUBSCRIBERS = frozenset(
    (
        "subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe", "sunsubscribe",
        "ping", "quit", "reset",
    )
)  # fmt: skip
"""All that a RESP2 client may send while it listens: it could not tell other replies from messages."""


ACCESS = frozenset(("readonly", "write"))

RUN_GATES = GATE_NO_TOUCH | GATE_TRACKING | GATE_PARTICULAR
"""What must be looked at around the run of a command."""

CROSS_PROTOCOL = frozenset((b"post", b"host:"))
"""What begins the lines of an HTTP request."""


class Session(Client):
    __slots__ = (
        "asking",
        "authenticated",
        "created_at",
        "id",
        "imports",
        "kind",
        "lib_name",
        "lib_ver",
        "name",
        "no_evict",
        "readonly",
        "redirects",
        "reply_mode",
        "sends_slots",
        "subscriptions",
        "tracking",
        "user",
        "worker",
    )

    def __init__(self, engine: Any, worker: Worker, session_id: int, link: Any = None) -> None:
        self.worker = worker
        self.id = session_id
        self.link = link
        self.kind = "normal"
        """As CLIENT LIST TYPE has it: normal, master, replica or pubsub; or script, which is not listed."""
        self.created_at = engine.now
        self.name = b""
        self.lib_name = b""
        self.lib_ver = b""
        self.user: User | None = None
        """Whose rights it has; None for internal sessions, which are not judged. Kept by `session/access`."""
        self.authenticated = True
        self.no_evict = False
        self.readonly = False
        """READONLY was sent: reads of slots that our primary owns are served."""
        self.redirects = False
        """CLIENT CAPA redirect: it can be sent from a replica to its primary. Set by `be_particular`."""
        self.imports = False
        """CLIENT IMPORT-SOURCE: to it, no key is too old. Set by `be_particular`."""
        self.sends_slots = False
        """It turned out to be a server from which slots move here."""
        self.asking = False
        """ASKING preceded the command that is being executed."""
        self.reply_mode = "on"
        """CLIENT REPLY: on, off, or skip (the next reply only)."""
        self.subscriptions: Subscriptions | None = None
        """What this client listens to, None while it does not. Kept by `session/pubsub`."""
        self.tracking: Mode | None = None
        """How this client tracks keys, None while it does not. Kept by `session/tracking`."""

    @property
    def config(self) -> Any:
        return self.worker.config

    @property
    def databases(self) -> list[Any]:
        """Those that SELECT, MOVE and COPY can name."""
        return self.engine.databases

    # --- executing -----------------------------------------------------------------------------------

    def execute(self, argv: list[bytes]) -> Any:
        """Carry out a command with all checks; returns the reply value, errors included."""
        self.asking = bool(self.gate & GATE_ASKING)
        self.gate &= ~GATE_ASKING
        reply_mode = self.reply_mode
        if reply_mode == "skip":
            self.set_reply_mode("on")
        self.executing = True
        try:
            value = self._execute(argv)
        except ReplyError as error:
            self.worker.count_error(error.text)
            if self.in_transaction:
                self.queue_broken = True
            value = error.with_traceback(None)
        if self.asking and self.in_transaction:
            self.gate |= GATE_ASKING  # one ASKING before MULTI is for the whole transaction
        self.asking = self.executing = False
        if self.gate & GATE_TRACKING:
            self.worker.tracking.command_done(self, argv)
        if reply_mode == "skip" and self.suspended:
            self.set_reply_mode("skip")  # it is the reply that comes later which is skipped
        muted = reply_mode == "skip" or (reply_mode == "off" and self.reply_mode == "off")
        if muted and type(value) is not Replies:  # what is pushed, confirmations included, always comes
            value = NO_REPLY
        if self.kind == "replica" and value is not NO_REPLY:
            return self._refuse_to_reply(argv)
        if self.pushes:
            value = Replies([value, *self.pushes])
            self.pushes = []
        return value

    def _execute(self, argv: list[bytes]) -> Any:
        if argv[0].lower() in CROSS_PROTOCOL:
            return self._refuse_cross_protocol()
        command, args = self.worker.resolve(argv)
        try:
            self._check(command, argv)
        except ReplyError as reason:
            self.engine.reject(command.name)
            if command.name == "exec" and not reason.text.startswith(ABOUT_SLOTS):
                self.leave_transaction()
                raise errors.transaction_discarded(reason) from None
            raise
        gate = self.engine.gate
        paused = gate & GATE_PAUSED_ALL or (
            gate & GATE_PAUSED_WRITES
            and self._waits_with_writes(command, argv)
            and self.worker.pause.concerns(command.name, self._keys_of(command, argv))
        )
        if paused and self.link is not None and not self.is_privileged:
            self.worker.pause.wait(self, argv)
            return NO_REPLY
        if self.in_transaction and command.name not in NOT_QUEUED:
            self.enqueue(command, argv)
            return QUEUED
        if self._waits_for_keys(command, argv):
            return NO_REPLY
        return self.run(command, argv, args)

    def execute_queued(self, command: Command, argv: list[bytes]) -> Any:
        """One command of a transaction, which has been checked. Its user's rights may have changed since."""
        if self.gate & GATE_RESTRICTED:
            refusal = self.worker.access.lost_since_queued(self, command, argv)
            if refusal is not None:
                self.worker.count_error(refusal.text)
                return refusal
        return self.run(command, argv, argv[2:] if "|" in command.name else argv[1:])

    def be_replica(self) -> None:
        """It has asked for our stream. Nothing else may go to it: what calls for a reply ends it."""
        self.kind = "replica"
        self.gate |= GATE_REPLY  # all that it says comes to `execute`

    def _refuse_to_reply(self, argv: list[bytes]) -> Any:
        name = argv[0].decode("latin-1")[:128]
        self.worker.log.warning(f"Replica generated a reply to command '{name}', disconnecting it")
        self.close()
        return NO_REPLY

    def _waits_for_keys(self, command: Command, argv: list[bytes]) -> bool:
        tier = self.worker.tier
        if tier is None or self.link is None or self.is_privileged:
            return False
        return tier.bringing.postpones(self, argv, self._keys_of(command, argv))

    def _refuse_cross_protocol(self) -> Any:
        """A web browser was made to talk to us: hang up before it gets to its request's body."""
        self.worker.log.warning(
            "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to "
            "Redis. This is likely due to an attacker attempting to use Cross Protocol Scripting to "
            "compromise your Redis instance. Connection aborted."
        )
        self.close()
        return NO_REPLY

    def run(self, command: Command, argv: list[bytes], args: list[bytes]) -> Any:
        """Run a handler after all checks; the one place through which sessions do."""
        if not self.gate & RUN_GATES and not self.engine.gate & GATE_MONITORED:
            return self.engine.call(self, command.name, argv, args)
        monitors = self.worker.monitors if self.engine.gate & GATE_MONITORED else None
        if self.worker.blocking.is_waking(self):
            monitors = None  # they saw it when it began to wait
        calls_others = "skip_monitor" in command.flags
        if monitors is not None and calls_others:
            monitors.show(self, command, argv)
        db = self.db
        db.keeps_clocks = bool(self.gate & GATE_NO_TOUCH) and command.name != "touch"
        shown = db.shows_expired
        db.shows_expired = shown or (self.imports and self.config.import_mode)
        try:
            return self.engine.call(self, command.name, argv, args)
        finally:
            db.keeps_clocks = False
            db.shows_expired = shown
            if self.gate & GATE_TRACKING and "readonly" in command.flags and not calls_others:
                self.worker.tracking.remember(self, command, argv)
            if monitors is not None and not calls_others:
                monitors.show(self, command, argv)

    def _check(self, command: Command, argv: list[bytes]) -> None:
        """Raise the first reason, in Redis' order, why this client may not execute this command now."""
        flags = command.flags
        if not command.accepts(len(argv)):
            raise errors.wrong_arity(command.name)
        if self.gate & GATE_AUTH and "no_auth" not in flags:
            raise errors.NOAUTH
        if self.in_transaction and "no_multi" in flags:
            raise errors.NO_MULTI
        if self.gate & GATE_RESTRICTED:
            self.worker.access.check(self, command, argv)
        if self.is_privileged:
            return
        self._check_slot(command, argv)
        if self.redirects:
            self._check_role(command)
        gate = self.engine.gate
        if gate & GATE_OUT_OF_MEMORY and self._may_take_memory(command):
            raise errors.OOM
        writes = self._may_write(command)
        if gate & GATE_DISK_ERROR and (writes or command.name == "ping"):
            raise self.worker.durability.refusal
        if writes:
            if gate & GATE_FEW_REPLICAS:
                raise errors.NOREPLICAS
            if gate & GATE_READ_ONLY:
                raise errors.READONLY
        if self.gate & GATE_SUBSCRIBED and self.resp == 2 and command.name not in FOR_SUBSCRIBERS:
            raise errors.not_for_subscribers(command.name)
        if gate & GATE_STALE and not self._bears("stale", command):
            raise errors.MASTERDOWN
        if gate & GATE_LOADING and not self._bears("loading", command):
            raise errors.LOADING
        if gate & GATE_BUSY and "allow_busy" not in flags:
            raise self.worker.execution.refusal
        if gate and self.in_transaction:
            declared = self._declared(command, argv)
            if declared is not None:
                self.worker.execution.check(self, declared)
        if gate & GATE_MONITORED and flags & ACCESS and self in self.worker.monitors:
            raise errors.MONITORS_ACCESS_NO_KEYS

    def _check_slot(self, command: Command, argv: list[bytes]) -> None:
        if not self.worker.cluster.enabled:
            return
        keys = self._keys_of(command, argv)
        if not keys:
            return
        try:
            self.worker.cluster.redirect(self, command, argv, keys)
        except ReplyError:
            if command.name == "exec":
                self.leave_transaction()
            raise

    def _keys_of(self, command: Command, argv: list[bytes]) -> list[bytes]:
        """The keys of a command, or of all that EXEC would execute."""
        if command.name == "exec":
            return [queued[i] for row, queued in self.queue for i in row.key_positions(queued)]
        return [argv[i] for i in command.key_positions(argv)]

    def keys_of(self, argv: list[bytes]) -> list[bytes]:
        command = self.worker.find(argv)
        return self._keys_of(command, argv) if command is not None else []

    def _check_role(self, command: Command) -> None:
        """Outside of clusters, send a client that understands it from us, a replica, to our primary."""
        primary = self.worker.replication.primary_address
        if primary is None or self.worker.cluster.enabled:
            return
        rows = [row for row, _ in self.queue] if command.name == "exec" else [command]
        if self._may_write(command) or (not self.readonly and any("readonly" in row.flags for row in rows)):
            raise errors.redirect(*primary)

    def _may_take_memory(self, command: Command) -> bool:
        if command.name == "exec":
            return any("denyoom" in row.flags for row, _ in self.queue)
        return "denyoom" in command.flags

    def _bears(self, flag: str, command: Command) -> bool:
        """Whether a command, or all that EXEC would execute, has the flag `stale` or `loading`."""
        if command.name == "exec":
            return all(flag in row.flags for row, _ in self.queue)
        return flag in command.flags

    def _may_write(self, command: Command) -> bool:
        if command.name == "exec":
            return any(row.is_write for row, _ in self.queue)
        return command.is_write

    def is_judged_as_write(self, command: Command, argv: list[bytes]) -> bool:
        """Whether a cluster that is down, or a replica asked to read, refuses it as a write: also scripts
        that say how they are, and not that they do not write. Those that say nothing are judged by what they
        call."""
        declared = None if command.name == "exec" else self._declared(command, argv)
        return self._may_write(command) if declared is None else "no-writes" not in declared

    def _waits_with_writes(self, command: Command, argv: list[bytes]) -> bool:
        """Whether CLIENT PAUSE WRITE concerns it: scripts too, unless they declare that they do not write."""
        if command.name == "exec":
            return any(self._waits_with_writes(row, queued) for row, queued in self.queue)
        if command.name in ("eval", "evalsha", "fcall"):
            flags = self._declared(command, argv)
            return flags is None or "no-writes" not in flags
        return command.is_write or command.may_replicate

    def _declared(self, command: Command, argv: list[bytes]) -> frozenset[str] | None:
        """What the script or function that `argv` runs declares; None for nothing, and for other commands."""
        if command.name in ("fcall", "fcall_ro"):
            return self.worker.functions.declared(argv)
        if command.name in ("eval", "eval_ro", "evalsha", "evalsha_ro"):
            return self.worker.scripts.declared(argv)
        return None

    @property
    def is_privileged(self) -> bool:
        """Commands of our primary, of a file being loaded, of slots that move here, are obeyed, not
        judged."""
        return self.obeyed

    def apply(self, argv: list[bytes]) -> Any:
        """Execute a command of a replication stream or a log; returns its reply value."""
        value = self.execute(argv)
        self.engine.finish_command()
        return value

    # --- what handlers use (the rest is in core/engine.Client) ---------------------------------------

    def clear_if_empty(self, key: bytes, value: Any) -> bool:
        """Remove a collection that has become empty, with its event. True if it was."""
        if len(value):
            return False
        self.db.delete(key)
        self.changed(key, events.DEL, 0)
        return True

    def discard(self, key: bytes) -> None:
        """The result to be stored at `key` is empty: what is there goes. As in Redis nobody asks how old it
        is, so that a key that has expired is deleted like any other."""
        if self.db.discard(key):
            self.changed(key, events.DEL)

    def be_particular(self, redirects: bool | None = None, imports: bool | None = None) -> None:
        """Take up what CLIENT CAPA or CLIENT IMPORT-SOURCE said; None for what stays."""
        self.redirects = self.redirects if redirects is None else redirects
        self.imports = self.imports if imports is None else imports
        if self.redirects or self.imports:
            self.gate |= GATE_PARTICULAR
        else:
            self.gate &= ~GATE_PARTICULAR

    def set_reply_mode(self, mode: str) -> None:
        self.reply_mode = mode
        if mode == "on":
            self.gate &= ~GATE_REPLY
        else:
            self.gate |= GATE_REPLY

    def suspend(self) -> None:
        """The handler's reply comes later, through `resume`; until then it returns NO_REPLY. Not inside a
        transaction."""
        self.suspended = True

    def resume(self, value: Any) -> None:
        """Give the reply a suspended session waits for."""
        if self.link is None:
            return
        if isinstance(value, ReplyError):
            self.worker.count_error(value.text)
        muted = self.reply_mode != "on"
        if self.reply_mode == "skip":
            self.set_reply_mode("on")
        self.link.resume(NO_REPLY if muted else value)

    def resume_with(self, argv: list[bytes], *, asking: bool = False) -> None:
        """Execute the command a paused or blocked session waits with, and reply, unless it has to wait on.
        `asking`: ASKING preceded it."""
        if self.link is None or self.link.is_closing:
            return
        self.suspended = False
        if asking:
            self.gate |= GATE_ASKING
        value = self.execute(argv)
        if not self.suspended:
            self.suspended = True
            self.link.resume(value)
        self.engine.finish_command()

    def leave_transaction(self) -> None:
        """Forget queue and watched keys: what EXEC and DISCARD end with."""
        self.end_transaction()
        self.worker.watches.remove_all(self)

    def send(self, data: bytes) -> None:
        """Send encoded bytes that are no reply to a command."""
        if self.link is not None:
            self.link.send(data)

    def push(self, frame: Frame) -> None:
        """Send a frame out of band: at once, or behind the reply of this client's command that caused it."""
        if self.executing:
            self.pushes.append(frame.push)
        elif self.link is not None:
            self.link.send(frame.encoded(self.resp))

    def deliver(self, frame: Frame) -> None:
        """As `push`, but by the end of the event loop's turn, with what others cause in the same turn."""
        if self.executing:
            self.pushes.append(frame.push)
        elif self.link is not None:
            self.link.deliver_soon(frame.encoded(self.resp))

    def close(self) -> None:
        """Close the connection once everything written has been sent."""
        self.closing = True
        if self.link is not None:
            self.link.close()
