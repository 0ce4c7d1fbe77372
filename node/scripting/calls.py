"""redis.call and redis.pcall: the commands of a script, and what must hold before one is executed.

A script's commands are those of a client of its own, the worker's one script session, which takes over
database and rights of whoever sent the script and is always in a transaction (nothing may block). They run
by `Session.run` like all commands; the checks before are Redis' for scripts, in its order and words. Once a
script has written, it is no longer stopped for reasons that came up meanwhile (memory, disk, replicas), so
that it is not left half done.

What is usual does not come here: `core/script_calls` does it without Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node import errors
from node.commands.model import Command
from node.core.command_rows import (
    GATE_DISK_ERROR,
    GATE_FEW_REPLICAS,
    GATE_OUT_OF_MEMORY,
    GATE_READ_ONLY,
    GATE_RESTRICTED,
    GATE_STALE,
)
from node.core.key_slot import key_slot
from node.core.script_calls import ScriptCalls
from node.errors import ReplyError
from node.scripting.conversion import format_number
from node.scripting.errors import BAD_ARGUMENTS, NO_COMMAND, CallError

if TYPE_CHECKING:
    from node.session.session import Session
    from node.worker import Worker

UNKNOWN = ReplyError("ERR Unknown Redis command called from script")
WRONG_ARITY = ReplyError("ERR Wrong number of args calling Redis command from script")
NOT_ALLOWED = ReplyError("ERR This Redis command is not allowed from script")
STALE = ReplyError("ERR Can not execute the command on a stale replica")
READ_ONLY_SCRIPT = ReplyError("ERR Write commands are not allowed from read-only scripts.")
CLUSTER_DOWN = ReplyError("ERR Script attempted to execute a command while the cluster is down")
CLUSTER_READ_ONLY = ReplyError(
    "ERR Script attempted to execute a write command while the cluster is down and readonly"
)
NOT_SERVED = ReplyError("ERR Script attempted to access a slot not served")
NON_LOCAL_KEY = ReplyError("ERR Script attempted to access a non local key in a cluster node")
CROSS_SLOT = ReplyError("ERR Script attempted to access keys that do not hash to the same slot")

MOST_KNOWN = 1024
"""Spellings of command names that are remembered."""


class Calls(ScriptCalls):
    """What `redis.call` executes, and the state of the script that is running."""

    client: Session
    caller: Session

    def __init__(self, client: Session, clustered: bool, worker: Worker) -> None:
        self._worker = worker
        self._known: dict[bytes, Command] = {}
        """Commands that scripts may call, those without subcommands, by name, as scripts spelled it."""
        self._clustered = clustered
        client.begin_transaction()
        client.kind = "script"

    def prepare(self) -> None:
        """Let what Python handlers see of the caller be seen of `client`."""
        client, caller = self.client, self.caller
        client.user = caller.user
        client.asking, client.readonly = caller.asking, caller.readonly
        client.tracking = caller.tracking

    def dismiss(self) -> None:
        client = self.client
        client.user = client.tracking = None
        client.asking = client.readonly = False

    def replicate(self, wanted: bool) -> None:
        """redis.set_repl: whether what follows leaves a trail."""
        self.client.replicated = not wanted

    def execute(self, argv: list[bytes]) -> Any:
        """redis.call: the reply value, errors included."""
        try:
            command = self._known.get(argv[0])
            if command is None or not command.accepts(len(argv)):
                command, rest = self._resolve(argv)
                self._check(command, argv)
            else:
                rest = argv[1:]
                if (
                    self.read_only
                    or self._clustered
                    or self.engine.gate
                    or self.caller.gate & GATE_RESTRICTED
                ):
                    self._check(command, argv)
        except ReplyError as error:
            self._worker.count_error(error.text)
            return error.with_traceback(None)
        if command.is_write:
            self.wrote = True
        return self.client.run(command, argv, rest)

    def may_call(self, *args: Any) -> bool:
        """redis.acl_check_cmd: whether the caller's user may execute this command."""
        argv = [argument(each) for each in args]
        if not argv:
            raise NO_COMMAND
        command = self._worker.find(argv)
        if command is None:
            raise CallError("ERR Invalid command passed to redis.acl_check_cmd()")
        user = self.caller.user
        return user is None or user.judge(command, argv) is None

    def _resolve(self, argv: list[bytes]) -> tuple[Command, list[bytes]]:
        try:
            command, rest = self._worker.resolve(argv)
        except ReplyError as error:
            raise (WRONG_ARITY if "number of arguments" in error.text else UNKNOWN) from None
        if not command.accepts(len(argv)):
            raise WRONG_ARITY
        plain = not command.subcommands and "noscript" not in command.flags and "|" not in command.name
        if plain and len(self._known) < MOST_KNOWN:
            self._known[argv[0]] = command
        return command, rest

    def _check(self, command: Command, argv: list[bytes]) -> None:
        flags = command.flags
        if "noscript" in flags:
            raise NOT_ALLOWED
        gate = self._worker.engine.gate
        obeyed = self.client.is_privileged
        if gate & GATE_STALE and "stale" not in flags and not obeyed:
            raise STALE
        if self.caller.gate & GATE_RESTRICTED:
            self._worker.access.check_in_script(self.caller, command, argv)
        if self.read_only and (command.is_write or command.may_replicate):
            raise READ_ONLY_SCRIPT
        if gate and not self.wrote and not obeyed:
            self._check_gates(command, gate)
        if self._worker.cluster.enabled and not obeyed:
            self._check_slots(command, argv)

    def _check_gates(self, command: Command, gate: int) -> None:
        if command.is_write:
            if gate & GATE_READ_ONLY:
                raise errors.READONLY
            if gate & GATE_DISK_ERROR:
                raise self._worker.durability.refusal
            if gate & GATE_FEW_REPLICAS:
                raise errors.NOREPLICAS
        if gate & GATE_OUT_OF_MEMORY and "denyoom" in command.flags and not self.script.may_exceed_memory:
            raise errors.OOM

    def _check_slots(self, command: Command, argv: list[bytes]) -> None:
        keys = [argv[i] for i in command.key_positions(argv)]
        if not keys:
            return
        try:
            self._worker.cluster.redirect(self.client, command, argv, keys)
        except ReplyError as refusal:
            raise _in_script_words(refusal, command) from None
        slot = key_slot(keys[0])
        if self.slot not in (-1, slot) and not self.script.may_cross_slots:
            raise CROSS_SLOT
        self.slot = slot


def _in_script_words(refusal: ReplyError, command: Command) -> ReplyError:
    """What a script is told where a client would be redirected."""
    if refusal is errors.CROSSSLOT:
        name = command.name
        return ReplyError(
            f"ERR Command '{name}' in script attempted to access keys that don't hash to the same slot"
        )
    if refusal is errors.CLUSTERDOWN_READONLY:
        return CLUSTER_READ_ONLY
    if refusal is errors.CLUSTERDOWN_UNBOUND:
        return NOT_SERVED
    return CLUSTER_DOWN if refusal is errors.CLUSTERDOWN else NON_LOCAL_KEY


def argument(value: Any) -> bytes:
    """A Lua string or number as the argument of a command."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BAD_ARGUMENTS
    return format_number(value)
