"""The table `redis` of a script.

https://redis.io/docs/latest/develop/programmability/lua-api/ describes it. Functions of debugging
are there for scripts that call them and do nothing without a debugger, as in Redis.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from node.scripting.conversion import format_number
from node.scripting.errors import CallError
from node.version import REDIS_VERSION

if TYPE_CHECKING:
    from node.scripting.calls import Calls
    from node.worker import Worker

LOG_LEVELS = {"LOG_DEBUG": 0, "LOG_VERBOSE": 1, "LOG_NOTICE": 2, "LOG_WARNING": 3}
WRONG_ARGUMENTS = {b"err": b"ERR wrong number or type of arguments"}
REPL_MODES = {"REPL_NONE": 0, "REPL_AOF": 1, "REPL_SLAVE": 2, "REPL_REPLICA": 2, "REPL_ALL": 3}


class RedisApi:
    """`choose_protocol(resp)` is told what redis.setresp asks for."""

    def __init__(self, worker: Worker, calls: Calls, choose_protocol: Callable[[int], None]) -> None:
        self._worker = worker
        self._calls = calls
        self._choose_protocol = choose_protocol

    def for_functions(self) -> Mapping[str, Any]:
        """name → function or constant; `call` and `pcall` are the sandbox's own."""
        return {
            "acl_check_cmd": self._calls.may_call,
            **self.for_libraries(),
            "error_reply": error_reply,
            "status_reply": status_reply,
            "sha1hex": sha1hex,
            "setresp": self.setresp,
            "set_repl": self.set_repl,
            **REPL_MODES,
        }

    def for_scripts(self) -> Mapping[str, Any]:
        return {
            **self.for_functions(),
            "replicate_commands": lambda *_: True,
            "breakpoint": lambda *_: False,
            "debug": lambda *_: None,
        }

    def for_libraries(self) -> Mapping[str, Any]:
        """While a library of functions is loaded; redis.register_function comes to it."""
        major, minor, patch = map(int, REDIS_VERSION.split("."))
        return {
            "log": self.log,
            "REDIS_VERSION": REDIS_VERSION.encode(),
            "REDIS_VERSION_NUM": major << 16 | minor << 8 | patch,
            **LOG_LEVELS,
        }

    def log(self, *args: Any) -> None:
        if len(args) < 2:
            raise CallError("ERR redis.log() requires two arguments or more.")
        level = args[0]
        if isinstance(level, bool) or not isinstance(level, (int, float)):
            raise CallError("ERR First argument must be a number (log level).")
        log = self._worker.log
        writers = (log.debug, log.verbose, log.notice, log.warning)
        if not 0 <= int(level) < len(writers):
            raise CallError("ERR Invalid log level.")
        words = (_text(each) for each in args[1:] if isinstance(each, (bytes, int, float)))
        writers[int(level)](b" ".join(words).decode("latin-1"))

    def setresp(self, *args: Any) -> None:
        if len(args) != 1:
            raise CallError("ERR redis.setresp() requires one argument.")
        if args[0] not in (2, 3, b"2", b"3"):
            raise CallError("ERR RESP version must be 2 or 3.")
        self._choose_protocol(int(args[0]))

    def set_repl(self, *args: Any) -> None:
        """One stream feeds replicas and log here, so that any mode but REPL_NONE means both."""
        if len(args) != 1:
            raise CallError("ERR redis.set_repl() requires one argument.")
        if args[0] not in REPL_MODES.values():
            raise CallError(
                "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE."
            )
        self._calls.replicate(args[0] != 0)


def error_reply(*args: Any) -> Any:
    """A table that is an error as a result. `-CODE words` and `CODE words` keep their code."""
    if len(args) != 1 or not isinstance(args[0], bytes):
        return WRONG_ARGUMENTS
    text = args[0].removeprefix(b"-").rstrip(b"\r\n")
    return {b"err": text if b" " in text else b"ERR " + text}


def status_reply(*args: Any) -> Any:
    if len(args) != 1 or not isinstance(args[0], bytes):
        return WRONG_ARGUMENTS
    return {b"ok": args[0]}


def sha1hex(*args: Any) -> bytes:
    if len(args) != 1:
        raise CallError("ERR wrong number of arguments")
    text = _text(args[0]) if isinstance(args[0], (bytes, int, float)) else b""
    return hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()


def _text(value: bytes | int | float) -> bytes:
    """As Lua's own tostring, which does not print all digits."""
    if isinstance(value, bytes):
        return value
    return b"%.14g" % value if value == value else format_number(value)
