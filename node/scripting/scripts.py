"""The scripts a worker knows.

A script is known by the SHA1 of its source. SCRIPT LOAD keeps it until SCRIPT FLUSH; of those that only
EVAL brought, the EVAL_KEPT are kept that were run last. A first line `#!lua flags=...` declares what the
script will do.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from node.errors import ReplyError, one_line
from node.scripting.execution import FLAGS, Runnable

if TYPE_CHECKING:
    from node.scripting.sandbox import Sandbox
    from node.session.session import Session
    from node.worker import Worker

EVAL_KEPT = 500
"""Scripts of EVAL that are kept, as in Redis since 7.4."""
OVERHEAD = 120
"""Bytes a script takes beside its source: INFO's estimate."""

NO_SCRIPT = ReplyError("NOSCRIPT No matching script. Please use EVAL.")
BAD_SHEBANG = ReplyError("ERR Invalid script shebang")


class Script(Runnable):
    __slots__ = ("source",)

    def __init__(self, source: bytes, sha: str, flags: frozenset[str] | None, function: Any) -> None:
        super().__init__(sha, function, flags)
        self.source = source


class Scripts:
    """The scripts of one worker."""

    def __init__(self, worker: Worker) -> None:
        self._execution = worker.execution
        self._by_sha: dict[str, Script] = {}
        self._by_source: dict[bytes, Script] = {}
        self._passing: OrderedDict[str, Script] = OrderedDict()
        """By SHA1, those that only EVAL brought, in the order in which they were run last."""
        self.evicted = 0
        """Since the start or CONFIG RESETSTAT."""
        self._sandbox: Sandbox | None = None

    def __len__(self) -> int:
        return len(self._by_sha)

    @property
    def memory(self) -> int:
        """Bytes that the scripts themselves take."""
        return sum(len(script.source) + OVERHEAD for script in self._by_sha.values())

    @property
    def lua_memory(self) -> int:
        return self._sandbox.lua.memory if self._sandbox is not None else 0

    def get(self, sha: bytes) -> Script:
        """To be run, by SHA1 in hexadecimal, whatever its case. Raises NOSCRIPT."""
        script = self.find(sha)
        if script is None:
            raise NO_SCRIPT
        self._used(script)
        return script

    def find(self, sha: bytes) -> Script | None:
        return self._by_sha.get(sha.decode("latin-1").lower())

    def load(self, source: bytes) -> Script:
        """SCRIPT LOAD: keep the script. Raises ReplyError if it does not compile."""
        script = self._by_source.get(source) or self._add(source)
        self._passing.pop(script.name, None)
        return script

    def for_eval(self, source: bytes) -> Script:
        """The script with this source, remembered for EVALSHA. Raises ReplyError if it does not compile."""
        script = self._by_source.get(source)
        if script is None:
            script = self._add(source)
            self._passing[script.name] = script
            if len(self._passing) > EVAL_KEPT:
                self._forget_oldest()
        else:
            self._used(script)
        return script

    def declared(self, argv: list[bytes]) -> frozenset[str] | None:
        """The flags of the script that the EVAL or EVALSHA `argv` names; None without, or if it will fail."""
        try:
            if argv[0].lower().startswith(b"evalsha"):
                script = self.find(argv[1])
                return script.flags if script is not None else None
            return split_shebang(argv[1])[0]
        except ReplyError:  # a bad first line
            return None

    def flush(self) -> None:
        """Forget all scripts, and with them the Lua state."""
        self._by_sha.clear()
        self._by_source.clear()
        self._passing.clear()
        if self._sandbox is not None:
            self._sandbox.lua.close()
        self._sandbox = None

    def run(
        self,
        caller: Session,
        script: Script,
        argv: list[bytes],
        keys: list[bytes],
        args: list[bytes],
        *,
        read_only: bool = False,
    ) -> Any:
        """The script's reply value, errors included. Raises ReplyError if it may not be run now."""
        sandbox = self._lua()
        return self._execution.run(
            "SCRIPT", script, caller, argv, sandbox, sandbox.run, keys, args, read_only=read_only
        )

    def _add(self, source: bytes) -> Script:
        flags, code = split_shebang(source)
        function = self._lua().compile(code)
        if isinstance(function, bytes):
            raise ReplyError(f"ERR Error compiling script (new function): {one_line(function)}")
        sha = hashlib.sha1(source, usedforsecurity=False).hexdigest()
        script = Script(source, sha, flags, function)
        self._by_sha[sha] = self._by_source[source] = script
        return script

    def _used(self, script: Script) -> None:
        if script.name in self._passing:
            self._passing.move_to_end(script.name)

    def _forget_oldest(self) -> None:
        _, script = self._passing.popitem(last=False)
        del self._by_sha[script.name], self._by_source[script.source]
        self.evicted += 1

    def _lua(self) -> Sandbox:
        if self._sandbox is None:
            self._sandbox = self._execution.sandbox()
        return self._sandbox


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
