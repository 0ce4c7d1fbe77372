"""What Python sees of values across Lua's border (lua_values.pyx)."""

from collections.abc import Callable
from typing import Any, Final

class Null: ...

NULL_VALUE: Final[Null]

class Table:
    type_name: str
    pairs: list[tuple[Any, Any]]
    def __init__(self, pairs: list[tuple[Any, Any]]) -> None: ...

class Opaque:
    type_name: str
    def __init__(self, type_name: str) -> None: ...

class Ref:
    type_name: str
    home: Any

class Function:
    def __init__(
        self,
        callable: Callable[..., Any] | None,
        depth: int = 1,
        too_deep: str | None = None,
        takes_functions: bool = False,
    ) -> None: ...
