"""The scripts a worker knows.

A script is known by the SHA1 of its source. SCRIPT LOAD keeps it until SCRIPT FLUSH; of those that only
EVAL brought, the EVAL_KEPT are kept that were run last. A first line `#!lua flags=...` declares what the
script will do.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING

from node.errors import ReplyError, one_line
from node.scripting.execution import FLAGS

if TYPE_CHECKING:
    from node.core.script_calls import Runnable
    from node.scripting.sandbox import Sandbox
    from node.worker import Worker

EVAL_KEPT = 500
"""Scripts of EVAL that are kept, as in Redis since 7.4."""
OVERHEAD = 120
"""Bytes a script takes beside its source: INFO's estimate."""

NO_SCRIPT = ReplyError("NOSCRIPT No matching script. Please use EVAL.")
BAD_SHEBANG = ReplyError("ERR Invalid script shebang")


class Scripts:
    """The scripts of one worker."""

    def __init__(self, worker: Worker) -> None:
        self._execution = worker.execution
        self.by_sha: dict[bytes, Runnable] = {}
        """By SHA1 in hexadecimal, lower case."""
        self.by_source: dict[bytes, Runnable] = {}
        self._passing: OrderedDict[bytes, Runnable] = OrderedDict()
        """By SHA1, those that only EVAL brought, in the order in which they were run last."""
        self.evicted = 0
        """Since the start or CONFIG RESETSTAT."""
        self._sandbox: Sandbox | None = None

    def __len__(self) -> int:
        return len(self.by_sha)

    @property
    def memory(self) -> int:
        """Bytes that the scripts themselves take."""
        return sum(len(script.source) + OVERHEAD for script in self.by_sha.values())

    @property
    def lua_memory(self) -> int:
        return self._sandbox.lua.memory if self._sandbox is not None else 0

    def get(self, sha: bytes) -> Runnable:
        """To be run, by SHA1 in hexadecimal, whatever its case. Raises NOSCRIPT."""
        script = self.find(sha)
        if script is None:
            raise NO_SCRIPT
        self.used(script)
        return script

    def find(self, sha: bytes) -> Runnable | None:
        return self.by_sha.get(sha.lower())

    def load(self, source: bytes) -> Runnable:
        """SCRIPT LOAD: keep the script. Raises ReplyError if it does not compile."""
        script = self.by_source.get(source) or self._add(source)
        self._passing.pop(script.digest, None)
        return script

    def for_eval(self, source: bytes) -> Runnable:
        """The script with this source, remembered for EVALSHA. Raises ReplyError if it does not compile."""
        script = self.by_source.get(source)
        if script is None:
            script = self._add(source)
            self._passing[script.digest] = script
            if len(self._passing) > EVAL_KEPT:
                self._forget_oldest()
            self._remember(script)
        else:
            self.used(script)
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
        self.by_sha.clear()
        self.by_source.clear()
        self._passing.clear()
        self._remember(None)
        if self._sandbox is not None:
            self._sandbox.lua.close()
        self._sandbox = None

    def _add(self, source: bytes) -> Runnable:
        from node.core.script_calls import Runnable

        flags, code = split_shebang(source)
        sandbox = self._lua()
        function = sandbox.compile(code)
        if isinstance(function, bytes):
            raise ReplyError(f"ERR Error compiling script (new function): {one_line(function)}")
        sha = hashlib.sha1(source, usedforsecurity=False).hexdigest()
        script = Runnable(sha, source, function, flags, sandbox.report, sandbox.globals)
        self.by_sha[script.digest] = self.by_source[source] = script
        return script

    def used(self, script: Runnable) -> None:
        """It is about to be run, and another was the time before."""
        if script.digest in self._passing:
            self._passing.move_to_end(script.digest)
        self._remember(script)

    def _remember(self, script: Runnable | None) -> None:
        if self._execution.runner is not None:
            self._execution.runner.latest = script

    def _forget_oldest(self) -> None:
        _, script = self._passing.popitem(last=False)
        del self.by_sha[script.digest], self.by_source[script.source]
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
