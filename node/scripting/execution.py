"""How a script or a function is run: what must hold before, what it leaves, and how it is stopped.

At most one runs at a time. All its writes leave one trail, as those of a transaction. Once it has run for
`busy-reply-threshold`, `session/busy` serves the other clients, from inside the script and with little more
than the commands that stop it; it can be killed as long as it has not written.

Flags declare what it will do (https://redis.io/docs/latest/develop/programmability/lua-api/#script-flags).
A script without a first line that declares any is judged by the commands it calls, as before there were
flags.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from node import errors
from node.core.command_rows import (
    GATE_DISK_ERROR,
    GATE_FEW_REPLICAS,
    GATE_OUT_OF_MEMORY,
    GATE_READ_ONLY,
    GATE_STALE,
)
from node.errors import ReplyError, one_line
from node.session.busy import BusyService

if TYPE_CHECKING:
    from node.core.script_calls import Runnable
    from node.core.script_runner import Runner
    from node.scripting.sandbox import Outcome, Sandbox
    from node.session.session import Session
    from node.worker import Worker

FLAGS = ("no-writes", "allow-oom", "allow-stale", "no-cluster", "allow-cross-slot-keys")
"""In the order in which FUNCTION LIST tells them."""

SERVICE_INTERVAL = 1_000_000
"""ns between two looks at the other clients of a busy worker."""
CLUSTER_INTERVAL = 50_000_000
"""ns between two looks at the rest of the cluster, long before clients would complain."""
NEVER = 2**62

WRITES_READ_ONLY = ReplyError("ERR Can not execute a script with write flag using *_ro command.")
NO_CLUSTER = ReplyError("ERR Can not run script on cluster, 'no-cluster' flag is set.")
NOT_BUSY = ReplyError("NOTBUSY No scripts in execution right now.")
FROM_PRIMARY = ReplyError(
    "UNKILLABLE The busy script was sent by a master instance in the context of replication and cannot be "
    "killed."
)
HAS_WRITTEN = ReplyError(
    "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait "
    "the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command."
)


class Running:
    """What is being run. `kind`: "SCRIPT" or "FUNCTION", the command that kills it."""

    __slots__ = ("argv", "caller", "heard_cluster", "is_busy", "kind", "lua", "name", "started", "verdict")

    def __init__(
        self, kind: str, name: str, caller: Session, argv: list[bytes], lua: Any, started: int
    ) -> None:
        self.kind = kind
        self.name = name
        self.caller = caller
        self.argv = argv
        self.lua = lua
        self.started = started
        self.is_busy = False
        self.heard_cluster = self.started
        self.verdict: bytes | None = None
        """The error it is to end with."""

    @property
    def milliseconds(self) -> int:
        return (time.monotonic_ns() - self.started) // 1_000_000


class Execution:
    """The one place from which a worker's Lua runs. Lua is loaded with the first sandbox."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.runner: Runner | None = None
        """What runs scripts, once there may be some."""
        self._load_deadline = 0
        self._patience = NEVER
        """ns for which a script runs undisturbed."""
        self._deafness = CLUSTER_INTERVAL if worker.config.cluster_enabled else NEVER
        """ns for which a script runs without a look at the cluster."""
        self._set_patience(worker.config.busy_reply_threshold)
        worker.config.on_change("busy-reply-threshold", self._set_patience)
        self._busy = BusyService(worker)

    def sandbox(self, register: Callable[..., None] | None = None) -> Sandbox:
        """A Lua state: for functions with what redis.register_function calls, otherwise for scripts."""
        from node.core.lua_values import Function
        from node.core.script_runner import Runner
        from node.scripting.api import RedisApi
        from node.scripting.calls import Calls
        from node.scripting.sandbox import Sandbox

        worker = self._worker
        if self.runner is None:
            client = worker.internal_session(replicated=False)
            calls = Calls(client, worker.config.cluster_enabled, worker)
            self.runner = Runner(worker.engine, calls, self, worker.scripts, worker.functions)
            self.runner.undisturbed = self._undisturbed
        calls = self.runner.calls
        api = RedisApi(worker, calls, self._choose_protocol)
        at_load = dict(api.for_libraries())
        if register is not None:
            at_load["register_function"] = Function(register, depth=2, takes_functions=True)
        offered = api.for_scripts() if register is None else api.for_functions()
        return Sandbox(offered, at_load, calls.execute, self._interrupt, calls=calls)

    def judge(
        self,
        script: Runnable,
        caller: Session,
        argv: list[bytes],
        keys: list[bytes],
        args: list[bytes],
        *,
        read_only: bool = False,
    ) -> Any:
        """Run a script with these keys and arguments, `argv` being the command: its reply value, errors
        included. Raises ReplyError if it may not run now."""
        if script.flags is not None or self._worker.engine.gate:
            self.check(caller, script.flags)
            self._check_place(caller, script, read_only)
        assert self.runner is not None
        return self.runner.perform(script, caller, argv, keys, args, read_only)

    def told(self, script: Runnable, error: Any) -> ReplyError:
        """The reply to a script that ended with an error."""
        from node.scripting.sandbox import told

        raised = told(error)
        text = one_line(raised.text)
        if raised.place is not None:
            text += f" script: {script.name}, on {one_line(raised.place)}."
        return ReplyError(text, counted=raised.counted)

    def load(self, sandbox: Sandbox, main: Any, limit_ms: int) -> Outcome:
        """Run a library's main chunk, for `limit_ms` at most; 0 for as long as it takes."""
        self._load_deadline = time.monotonic_ns() + limit_ms * 1_000_000 if limit_ms else NEVER
        sandbox.lua.interrupt_at = self._load_deadline
        return sandbox.load(main)

    def _set_patience(self, milliseconds: int) -> None:
        self._patience = milliseconds * 1_000_000 if milliseconds > 0 else NEVER
        self._undisturbed = min(self._patience, self._deafness)
        if self.runner is not None:
            self.runner.undisturbed = self._undisturbed

    def _choose_protocol(self, resp: int) -> None:
        assert self.runner is not None and self.running is not None
        self.runner.calls.client.resp = self.running.lua.resp = resp

    def check(self, caller: Session, flags: frozenset[str] | None) -> None:
        """Raise the reason why a script with these flags may not run now, or not be queued. They make it a
        command that writes or not, may run out of memory or stale, and it is refused in the order and words
        of such commands."""
        gate = 0 if caller.is_privileged else self._worker.engine.gate
        if flags is None:
            if gate & GATE_STALE:
                raise errors.MASTERDOWN
            return
        if gate & GATE_OUT_OF_MEMORY and not flags & {"allow-oom", "no-writes"}:
            raise errors.OOM
        if "no-writes" not in flags:
            if gate & GATE_DISK_ERROR:
                raise self._worker.durability.refusal
            if gate & GATE_FEW_REPLICAS:
                raise errors.NOREPLICAS
            if gate & GATE_READ_ONLY:
                raise errors.READONLY
        if gate & GATE_STALE and "allow-stale" not in flags:
            raise errors.MASTERDOWN

    def _check_place(self, caller: Session, script: Runnable, read_only: bool) -> None:
        """Raise the reason why the script may not run in this worker, or by the command that called it."""
        if script.flags is None:
            return
        if self._worker.cluster.enabled and "no-cluster" in script.flags and not caller.is_privileged:
            raise NO_CLUSTER
        if read_only and not script.is_read_only:
            raise WRITES_READ_ONLY

    # --- what runs long ------------------------------------------------------------------------------

    @property
    def running(self) -> Running | None:
        """What is being run, or None."""
        return self.runner.current() if self.runner is not None else None

    def describe(self, script: Runnable, caller: Session, argv: list[bytes], started: int) -> Running:
        """What `running` is while this runs."""
        return Running(script.kind, script.name, caller, argv, script.function.home, started)

    def finished(self, running: Running) -> None:
        """What somebody has asked for has come to its end."""
        if running.is_busy:
            self._busy.end()

    def _interrupt(self) -> bytes | None:
        """Lua asks, in the middle of a script: serve the others. The error that the script is to end with, or
        None."""
        running = self.running
        if running is None:
            return b"ERR FUNCTION LOAD timeout"
        self._serve(running)
        if running.verdict is None and self._worker.is_stopping:
            self._worker.trail.forget()
            return b"ERR The server is shutting down"
        return running.verdict

    def _serve(self, running: Running) -> None:
        """Look at who waits, the clients or the cluster, and choose the time of the next look."""
        now = time.monotonic_ns()
        if now - running.heard_cluster >= self._deafness:
            running.heard_cluster = now
            self._busy.serve_cluster()
        if now - running.started >= self._patience:
            self._serve_clients(running)
            running.lua.interrupt_at = time.monotonic_ns() + SERVICE_INTERVAL
        else:
            running.lua.interrupt_at = min(running.started + self._patience, now + self._deafness)

    def _serve_clients(self, running: Running) -> None:
        if not running.is_busy:
            self._worker.log.warning(
                f"Slow script detected: still in execution after {running.milliseconds} milliseconds. You "
                f"can try killing the script using the {running.kind} KILL command. Script name is: "
                f"{running.name}."
            )
            running.is_busy = True
            self._busy.begin(running.caller)
        self._busy.serve()

    @property
    def refusal(self) -> ReplyError:
        """What commands are answered that must wait for the end of what is being run."""
        assert self.running is not None
        return errors.BUSY_SCRIPT if self.running.kind == "SCRIPT" else errors.BUSY_FUNCTION

    def kill(self, kind: str) -> None:
        """SCRIPT KILL, FUNCTION KILL: end what is being run. Raises ReplyError if there is nothing to end, or
        it has written."""
        running = self.running
        if running is None:
            raise NOT_BUSY
        if running.caller.is_privileged:
            raise FROM_PRIMARY
        assert self.runner is not None
        if self.runner.calls.wrote:
            raise HAS_WRITTEN
        if running.kind != kind:
            raise self.refusal
        running.verdict = f"ERR Script killed by user with {kind} KILL...".encode()
        self._worker.log.notice(f"Lua script killed by user with {kind} KILL.")
