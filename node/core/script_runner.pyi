"""What Python sees of how scripts are run (script_runner.pyx)."""

from typing import Any

from node.core.engine import Client, Engine
from node.core.script_calls import Runnable, ScriptCalls

class Runner:
    engine: Engine
    calls: Any
    undisturbed: int
    latest: Runnable | None
    def __init__(
        self, engine: Engine, calls: ScriptCalls, owner: Any, scripts: Any, functions: Any
    ) -> None: ...
    def perform(
        self,
        script: Runnable,
        caller: Client,
        argv: list[bytes],
        keys: list[bytes],
        args: list[bytes],
        read_only: bool,
    ) -> Any: ...
    def current(self) -> Any: ...
