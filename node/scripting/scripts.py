"""The scripts a worker knows, and how one is run.

A script is known by the SHA1 of its source. SCRIPT LOAD keeps it until SCRIPT FLUSH; of those that only EVAL
brought, the last EVAL_KEPT are kept. A first line `#!lua flags=...` declares what the script will do
(https://redis.io/docs/latest/develop/programmability/lua-api/#script-flags); without one, it is judged by the
commands it calls, as before there were flags.

All its writes leave one trail, as those of a transaction. Nothing interrupts a running script.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from node import errors
from node.core.engine import (
    GATE_DISK_ERROR,
    GATE_FEW_REPLICAS,
    GATE_OUT_OF_MEMORY,
    GATE_READ_ONLY,
    GATE_STALE,
)
from node.errors import ReplyError, one_line

if TYPE_CHECKING:
    from node.scripting.calls import Calls
    from node.scripting.sandbox import Sandbox
    from node.session.session import Session
    from node.worker import Worker

EVAL_KEPT = 500
"""Scripts of EVAL that are kept, as in Redis since 7.4."""

FLAGS = frozenset(("no-writes", "allow-oom", "allow-stale", "no-cluster", "allow-cross-slot-keys"))

NO_SCRIPT = ReplyError("NOSCRIPT No matching script. Please use EVAL.")
BAD_SHEBANG = ReplyError("ERR Invalid script shebang")
WRITES_READ_ONLY = ReplyError("ERR Can not execute a script with write flag using *_ro command.")
WRITES_ON_REPLICA = ReplyError("READONLY You can not run script with write flag on readonly replica.")
NO_CLUSTER = ReplyError("ERR Can not run script on cluster, 'no-cluster' flag is set.")
OUT_OF_MEMORY = ReplyError(
    "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'"
)


class Script:
    __slots__ = ("flags", "function", "is_loaded", "sha", "source")

    def __init__(self, source: bytes, sha: str, flags: frozenset[str] | None, function: Any) -> None:
        self.source = source
        self.sha = sha
        self.flags = flags
        """None without a first line that declares them."""
        self.function = function
        """The compiled Lua function."""
        self.is_loaded = False
        """By SCRIPT LOAD: it stays."""

    def allows(self, flag: str) -> bool:
        """Scripts without declared flags may cross slots, and nothing else that a flag would allow."""
        if self.flags is None:
            return flag == "allow-cross-slot-keys"
        return flag in self.flags

    @property
    def is_read_only(self) -> bool:
        return self.flags is not None and "no-writes" in self.flags


class Scripts:
    """The scripts of one worker. Lua is loaded with the first of them."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._by_sha: dict[str, Script] = {}
        """In the order in which they came."""
        self._by_source: dict[bytes, Script] = {}
        self._sandbox: Sandbox | None = None
        self._calls: Calls | None = None

    def __len__(self) -> int:
        return len(self._by_sha)

    # --- keeping -------------------------------------------------------------------------------------

    def get(self, sha: bytes) -> Script:
        """By SHA1 in hexadecimal, whatever its case. Raises NOSCRIPT."""
        script = self.find(sha)
        if script is None:
            raise NO_SCRIPT
        return script

    def find(self, sha: bytes) -> Script | None:
        return self._by_sha.get(sha.decode("latin-1").lower())

    def load(self, source: bytes) -> Script:
        """SCRIPT LOAD: keep the script. Raises ReplyError if it does not compile."""
        script = self._by_source.get(source) or self._add(source)
        script.is_loaded = True
        return script

    def for_eval(self, source: bytes) -> Script:
        """The script with this source, remembered for EVALSHA. Raises ReplyError if it does not compile."""
        script = self._by_source.get(source)
        if script is None:
            script = self._add(source)
            self._forget_oldest()
        return script

    def flush(self) -> None:
        """Forget all scripts, and the Lua state with everything they left in it."""
        self._by_sha.clear()
        self._by_source.clear()
        self._sandbox = None
        self._calls = None

    def _add(self, source: bytes) -> Script:
        flags, body = split_shebang(source)
        function = self._lua().compile(body)
        if isinstance(function, bytes):
            raise ReplyError(f"ERR Error compiling script (new function): {one_line(function)}")
        sha = hashlib.sha1(source, usedforsecurity=False).hexdigest()
        script = Script(source, sha, flags, function)
        self._by_sha[sha] = self._by_source[source] = script
        return script

    def _forget_oldest(self) -> None:
        passing = [script for script in self._by_sha.values() if not script.is_loaded]
        for script in passing[: max(0, len(passing) - EVAL_KEPT)]:
            del self._by_sha[script.sha], self._by_source[script.source]

    def _lua(self) -> Sandbox:
        if self._sandbox is None:
            from node.scripting.api import RedisApi
            from node.scripting.calls import Calls
            from node.scripting.sandbox import Sandbox

            self._calls = Calls(self._worker)
            api = RedisApi(self._worker, self._calls)
            self._sandbox = Sandbox(api.library())
            self._calls.make_tables_with(self._sandbox.table)
            api.make_tables_with(self._sandbox.table)
        return self._sandbox

    # --- running -------------------------------------------------------------------------------------

    def run(
        self,
        caller: Session,
        script: Script,
        keys: list[bytes],
        args: list[bytes],
        *,
        read_only: bool = False,
    ) -> Any:
        """The script's reply value. Raises ReplyError if it may not be run now, or fails."""
        self._check(caller, script, read_only)
        sandbox, calls = self._lua(), self._calls
        assert calls is not None
        calls.begin(caller, script, read_only=read_only or script.is_read_only)
        trail = self._worker.trail
        nested = trail.in_transaction
        if not nested:
            trail.begin()
        try:
            result = sandbox.run(script.function, sandbox.table(keys), sandbox.table(args))
        finally:
            if not nested:
                trail.end()
        return self._reply(script, result, calls.client.resp)

    @staticmethod
    def _reply(script: Script, result: Any, resp: int) -> Any:
        from node.scripting.conversion import exported_to_reply, scalar_to_reply

        if result is None or isinstance(result, (bytes, int, float)):
            return scalar_to_reply(result, resp)
        tokens = list(result.values())
        if tokens[0] != b"raised":
            return exported_to_reply(iter(tokens), resp)
        text = one_line(tokens[1])
        if len(tokens) > 2:
            text += f" script: {script.sha}, on {one_line(tokens[2])}."
        return ReplyError(text)

    def _check(self, caller: Session, script: Script, read_only: bool) -> None:
        """Raise the reason why the script may not run now: Redis' scriptPrepareForRun."""
        gate = 0 if caller.is_privileged else self._worker.engine.gate
        stale = gate & GATE_STALE
        if script.flags is None:
            if stale:
                raise errors.MASTERDOWN
            return
        if self._worker.cluster.enabled and "no-cluster" in script.flags and not caller.is_privileged:
            raise NO_CLUSTER
        if stale and "allow-stale" not in script.flags:
            raise errors.MASTERDOWN
        if script.is_read_only:
            return
        if read_only:
            raise WRITES_READ_ONLY
        if gate & GATE_READ_ONLY:
            raise WRITES_ON_REPLICA
        if gate & GATE_DISK_ERROR:
            raise errors.MISCONF
        if gate & GATE_FEW_REPLICAS:
            raise errors.NOREPLICAS
        if gate & GATE_OUT_OF_MEMORY and "allow-oom" not in script.flags:
            raise OUT_OF_MEMORY


def split_shebang(source: bytes) -> tuple[frozenset[str] | None, bytes]:
    """The flags that the first line declares, None without one, and what is to be compiled. The line is left
    empty, so that errors count lines as the author does."""
    if not source.startswith(b"#!"):
        return None, source
    line, newline, _ = source.partition(b"\n")
    if not newline:
        raise BAD_SHEBANG
    words = line.split()
    if words[0] != b"#!lua":
        raise ReplyError(f"ERR Unexpected engine in script shebang: {one_line(words[0])}")
    flags: set[str] = set()
    for word in words[1:]:
        if not word.startswith(b"flags="):
            raise ReplyError(f"ERR Unknown lua shebang option: {one_line(word)}")
        for flag in word.removeprefix(b"flags=").split(b","):
            name = flag.decode("latin-1")
            if name not in FLAGS:
                if name:
                    raise ReplyError(f"ERR Unexpected flag in script shebang: {one_line(flag)}")
                continue
            flags.add(name)
    return frozenset(flags), source[len(line) :]
