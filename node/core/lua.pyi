"""What Python sees of a Lua state (lua.pyx)."""

from collections.abc import Callable
from typing import Any

from node.core.lua_values import Function, Ref
from node.core.script_calls import ScriptCalls

class Lua:
    memory: int
    interrupt_at: int
    resp: int
    failed: bool
    killed: bool
    on_interrupt: Callable[[], bytes | None]
    on_command: Callable[[list[bytes]], Any]
    def __init__(
        self,
        memory_limit: int,
        on_interrupt: Callable[[], bytes | None],
        on_command: Callable[[list[bytes]], Any],
        calls: ScriptCalls | None = None,
    ) -> None: ...
    def function(self, callable: Callable[..., Any] | None, **options: Any) -> Function: ...
    def keep(self, function: Function) -> Function: ...
    def command_function(self, protected: bool) -> Function: ...
    def globals(self) -> Ref: ...
    def load(self, source: bytes, name: bytes) -> Any: ...
    def call(self, function: Ref, *args: Any) -> Any: ...
    def run(
        self, handler: Ref, function: Ref, keys: list[bytes], args: list[bytes], globals_: Ref | None
    ) -> Any: ...
    def close(self) -> None: ...
    def collect(self) -> None: ...
