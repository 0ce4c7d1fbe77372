"""What Python sees of the calls of scripts (script_calls.pyx)."""

from typing import Any

from node.core.engine import Client, Engine
from node.core.lua_values import Ref

class Runnable:
    name: str
    digest: bytes
    source: bytes
    function: Ref
    flags: frozenset[str] | None
    is_read_only: bool
    may_exceed_memory: bool
    may_cross_slots: bool
    kind: str
    def __init__(
        self,
        name: str,
        source: bytes,
        function: Ref,
        flags: frozenset[str] | None,
        report: Ref,
        globals_: Ref | None,
    ) -> None: ...

class ScriptCalls:
    engine: Engine
    client: Any
    caller: Any
    read_only: bool
    wrote: bool
    script: Any
    slot: int
    def __init__(self, client: Client, clustered: bool, *of_subclasses: Any) -> None: ...
    def prepare_once(self) -> None: ...
    def prepare(self) -> None: ...
    def dismiss(self) -> None: ...
