"""The libraries of functions a worker knows: FUNCTION and FCALL.

Libraries belong to the dataset: they are in its snapshots, replicas get them, and the commands that change
them are writes. All live in one Lua state. Several are loaded together (RESTORE) into a `Libraries` of their
own, which takes the place of what is there, or joins it, only when all of them are sound.

A library's name is looked up as it is, a function's whatever its case.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from node.errors import ReplyError, one_line
from node.persistence.rdb import dump_functions, load_functions
from node.scripting.errors import Raised

if TYPE_CHECKING:
    from node.scripting.library import Library, LibraryFunction
    from node.scripting.sandbox import Sandbox
    from node.worker import Worker

LOAD_TIMEOUT_MS = 500
OVERHEAD = 200
"""Bytes a library or a function takes beside its text: INFO's estimate."""

MOST_KNOWN = 1024
"""Spellings of functions' names that are remembered."""

NOT_FOUND = ReplyError("ERR Function not found")
NO_LIBRARY = ReplyError("ERR Library not found")
NOTHING_REGISTERED = ReplyError("ERR No functions registered")


class Libraries:
    def __init__(self) -> None:
        self.by_name: dict[bytes, Library] = {}
        self.functions: dict[bytes, LibraryFunction] = {}
        """By name in lower case."""

    def add(self, library: Library, *, replace: bool) -> None:
        """Raises ReplyError, and changes nothing, where a name is taken."""
        old = self.by_name.get(library.name)
        if old is not None:
            if not replace:
                raise _exists("Library", library.name)
            self.remove(old)
        try:
            for name in library.functions:
                if name.lower() in self.functions:
                    raise _exists("Function", name)
        except ReplyError:
            if old is not None:
                self._link(old)
            raise
        self._link(library)

    def join(self, others: Libraries, *, replace: bool) -> None:
        """Add all of `others`. Raises ReplyError, and changes nothing, where a name is taken."""
        before = dict(self.by_name), dict(self.functions)
        try:
            for name in others.by_name:
                if name in self.by_name:
                    if not replace:
                        raise _exists("Library", name)
                    self.remove(self.by_name[name])
            for library in others.by_name.values():
                self.add(library, replace=False)
        except ReplyError:
            self.by_name, self.functions = before
            raise

    def remove(self, library: Library) -> None:
        del self.by_name[library.name]
        for name in library.functions:
            del self.functions[name.lower()]

    def _link(self, library: Library) -> None:
        self.by_name[library.name] = library
        for name, function in library.functions.items():
            self.functions[name.lower()] = function


def _exists(what: str, name: bytes) -> ReplyError:
    return ReplyError(f"ERR {what} {_quoted(what, name)} already exists")


def _quoted(what: str, name: bytes) -> str:
    return f"'{name.decode()}'" if what == "Library" else name.decode()


class Functions:
    """The functions of one worker."""

    def __init__(self, worker: Worker) -> None:
        self._execution = worker.execution
        self._config = worker.config
        self._libraries = Libraries()
        self._sandbox: Sandbox | None = None
        self._loading: Library | None = None
        self.by_name: dict[bytes, LibraryFunction] = {}
        """Functions that were called, by name as it was spelled; emptied when the libraries change."""

    def __iter__(self) -> Iterator[Library]:
        return iter(self._libraries.by_name.values())

    @property
    def library_count(self) -> int:
        return len(self._libraries.by_name)

    @property
    def function_count(self) -> int:
        return len(self._libraries.functions)

    @property
    def memory(self) -> int:
        """Bytes that the libraries themselves take."""
        sizes = (
            OVERHEAD + len(library.name) + len(library.code) + OVERHEAD * len(library.functions)
            for library in self
        )
        return sum(sizes)

    @property
    def lua_memory(self) -> int:
        return self._sandbox.lua.memory if self._sandbox is not None else 0

    # --- running -------------------------------------------------------------------------------------

    def get(self, name: bytes) -> LibraryFunction:
        """Raises ReplyError."""
        function = self._libraries.functions.get(name.lower())
        if function is None:
            raise NOT_FOUND
        if len(self.by_name) < MOST_KNOWN:
            self.by_name[name] = function
        return function

    def declared(self, argv: list[bytes]) -> frozenset[str] | None:
        """The flags of the function that the FCALL `argv` names; None if there is no such function."""
        function = self._libraries.functions.get(argv[1].lower())
        return function.flags if function is not None else None

    # --- changing ------------------------------------------------------------------------------------

    def load(self, source: bytes, *, replace: bool, limited: bool = True) -> bytes:
        """Load a library, within LOAD_TIMEOUT_MS if `limited`; its name. Raises ReplyError."""
        library = self._made(source, self._libraries, replace, limited)
        self.by_name.clear()
        self._libraries.add(library, replace=replace)
        return library.name

    def load_from_file(self, source: bytes) -> None:
        """Load a library of a snapshot. Raises ReplyError."""
        self.load(source, replace=False, limited=False)

    def delete(self, name: bytes) -> None:
        """Raises ReplyError."""
        library = self._libraries.by_name.get(name)
        if library is None:
            raise NO_LIBRARY
        self.by_name.clear()
        self._libraries.remove(library)

    def flush(self) -> None:
        """Forget all libraries, and with them the Lua state."""
        self.by_name.clear()
        self._libraries = Libraries()
        if self._sandbox is not None:
            self._sandbox.lua.close()
        self._sandbox = None

    def dump(self) -> bytes:
        """All libraries, as FUNCTION DUMP replies them."""
        return dump_functions((library.code for library in self), self._config.rdbcompression)

    def restore(self, payload: bytes, policy: bytes, *, limited: bool = True) -> None:
        """Take the libraries of a dump; `policy`: b"append", b"replace" or b"flush". Raises ReplyError, and
        changes nothing."""
        restored = Libraries()
        for source in load_functions(payload):
            restored.add(self._made(source, restored, False, limited), replace=False)
        self.by_name.clear()
        if policy == b"flush":
            self._libraries = restored
        else:
            self._libraries.join(restored, replace=policy == b"replace")

    def _made(self, source: bytes, among: Libraries, replace: bool, limited: bool) -> Library:
        """The library of this source, not added yet. Raises ReplyError."""
        from node.scripting.library import Library, parse_header

        engine, name, code = parse_header(source)
        if engine.lower() != b"lua":
            raise ReplyError(f"ERR Engine '{one_line(engine)}' not found")
        if name in among.by_name and not replace:
            raise _exists("Library", name)
        sandbox = self._lua()
        main = sandbox.compile(code, b"@user_function")
        if isinstance(main, bytes):
            raise ReplyError(f"ERR Error compiling function: {one_line(main)}")
        library = self._loading = Library(name, source, sandbox.report)
        try:
            outcome = self._execution.load(sandbox, main, LOAD_TIMEOUT_MS if limited else 0)
        finally:
            self._loading = None
        if type(outcome) is Raised:
            raise ReplyError(f"ERR Error registering functions: {one_line(outcome.text)}")
        if not library.functions:
            raise NOTHING_REGISTERED
        return library

    def _register(self, *args: Any) -> None:
        assert self._loading is not None
        self._loading.register(*args)

    def _lua(self) -> Sandbox:
        if self._sandbox is None:
            self._sandbox = self._execution.sandbox(self._register)
        return self._sandbox
