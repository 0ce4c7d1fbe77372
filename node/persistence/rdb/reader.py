"""Reading RDB files: a stream of bytes becomes a stream of entries. The grammar is in format.py.

    reader = RdbReader(stream, "dump.rdb", log.warning)
    for entry in reader:
        ...
    reader.aux, reader.offset

A worker that loads a file lets `fill` put most entries into its databases without making any such object of
them (node/core/rdb_fill.pyx), and reads here what is left.

Nothing is held but the entry at hand, so a file of any size is read in little memory, and the consumer may
stop between entries to let others work. Whatever is damaged, cut short or cannot be held raises RdbError
with name, offset and reason; what can be left out without loss of keys (data of modules, empty collections
that old bugs left) is skipped, with a word to `warn`. Libraries of functions go to `take_function`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from node.core.key_slot import key_slot
from node.core.rdb_fill import Filler
from node.core.rdb_load import EmptyValue
from node.core.rdb_source import Source
from node.errors import ReplyError
from node.persistence.rdb import format as rdb
from node.persistence.rdb.format import Malformed, RdbError
from node.persistence.rdb.values import load_value

Warn = Callable[[str], object]
"""Told, in one line, of each thing that is skipped."""
TakeFunction = Callable[[bytes], object]
"""Given the source of each library of functions; raises ReplyError for one that does not load."""
SHOWN_OF_KEY = 128
"""Bytes of a key that messages show at most."""


class Readable(Protocol):
    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; empty at the end only."""


class Entry(NamedTuple):
    """One key. `idle` in seconds and `frequency` (0..255) where the file tells them."""

    database: int
    key: bytes
    value: Any
    expire_at: int
    """Unix time in ms, 0 for none."""
    idle: int | None = None
    frequency: int | None = None


class RdbReader:
    """Iterates over the entries of `stream`, from its header to its checksum. `name` is used in errors."""

    def __init__(
        self,
        stream: Readable,
        name: str,
        warn: Warn,
        take_function: TakeFunction | None = None,
        *,
        resumable: bool = False,
        show_key: Callable[[bytes], str] = repr,
    ) -> None:
        self._source = Source(stream, name, resumable)
        self._warn = warn
        self._show_key = show_key
        self._take_function = take_function
        self.version = 0
        self.database = 0
        """Whose entries come."""
        self.aux: dict[str, str] = {}
        """Facts the writer left, complete once the first entry is out."""
        self.keys_expected = 0
        """The writer's own count of keys, from its hints so far."""
        self.empty_keys_skipped = 0
        self.arrivals: list[tuple[bytes, list[tuple[int, int]]]] = []
        """Moves of slots that were under way to the writer: name, and ranges of slots."""

    @property
    def offset(self) -> int:
        """How far it has read: at the end of the iteration, where the RDB ends."""
        return self._source.offset

    def rest(self) -> bytes:
        """What was read from the stream beyond the RDB's end: an AOF continues there after its preamble."""
        return self._source.rest()

    def rewind(self) -> int:
        """The stream raised Starved: back to the beginning of the entry at hand, of which this many bytes are
        there."""
        return self._source.rewind()

    def __iter__(self) -> Iterator[Entry]:
        """All entries but those that were still on their way to the writer: they are another server's."""
        while (entry := self.read_entry()) is not None:
            if not (self.arrivals and self._arrives(entry.key)):
                yield entry

    def _arrives(self, key: bytes) -> bool:
        slot = key_slot(key)
        return any(first <= slot <= last for _, ranges in self.arrivals for first, last in ranges)

    def fill(self, filler: Filler, databases: Sequence[Any], most: int) -> int:
        """Let `filler` put up to `most` entries that come next into their database; returns how many came.

        Fewer: `read_entry` has to read what comes next. To be called after it only, and not at the end."""
        if self.database >= len(databases):
            return 0
        before = filler.loaded + filler.expired
        try:
            return filler.run(self._source, databases[self.database], most)
        except EmptyValue as empty:
            self._skip(empty)
        except Malformed as malformed:
            raise self._error(malformed) from malformed
        return filler.loaded + filler.expired - before

    def read_entry(self) -> Entry | None:
        """The next entry; None at the end of the RDB, whose checksum was right."""
        source = self._source
        if not self.version:
            self._read_header()
        expire_at = 0
        idle: int | None = None
        frequency: int | None = None
        while True:
            if not expire_at and idle is None and frequency is None:
                source.mark()
            code = source.byte()
            if code < rdb.LOWEST_OPCODE:
                value = self._read_value(code)
                if value is not None:
                    return Entry(self.database, source.last_key, value, expire_at, idle, frequency)
                expire_at, idle, frequency = 0, None, None
            elif code == rdb.OP_EXPIRE_MS:
                expire_at = int.from_bytes(source.take(8), "little", signed=True)
            elif code == rdb.OP_EXPIRE_S:
                expire_at = int.from_bytes(source.take(4), "little", signed=True) * 1000
            elif code == rdb.OP_IDLE:
                idle = source.load_length()
            elif code == rdb.OP_FREQ:
                frequency = source.byte()
            elif code == rdb.OP_SELECTDB:
                self.database = source.load_length()
            elif code == rdb.OP_EOF:
                self._check_end()
                return None
            else:
                self._read_section(code)

    def _read_header(self) -> None:
        header = self._source.take(rdb.HEADER_LENGTH)
        magic = next((m for m in (rdb.REDIS_MAGIC, rdb.VALKEY_MAGIC) if header.startswith(m)), None)
        digits = header[len(magic) :] if magic else b""
        if not digits.isdigit():
            raise RdbError(self._source.name, 0, "not an RDB file: wrong signature")
        self.version = int(digits)
        is_valkey = self.version >= rdb.VALKEY_VERSION_MIN
        if not rdb.is_readable_version(self.version) or is_valkey != (magic == rdb.VALKEY_MAGIC):
            raise RdbError(self._source.name, 0, f"RDB version {header.decode()} cannot be read")

    def _read_value(self, code: int) -> Any:
        """The value of the key that comes; None if it is to be skipped."""
        self._source.load_key()
        try:
            return load_value(self._source, code, self.version)
        except EmptyValue as empty:
            self._skip(empty)
            return None
        except Malformed as malformed:
            raise self._error(malformed) from malformed

    def _skip(self, empty: EmptyValue) -> None:
        self.empty_keys_skipped += 1
        self._warn(f"{self._source.name}: skipping {self.name_of(self._source.last_key)}: {empty}")

    def _error(self, malformed: Malformed) -> RdbError:
        return self._source.error(f"{self.name_of(self._source.last_key)}: {malformed}")

    def name_of(self, key: bytes) -> str:
        """As messages name it."""
        return f"key {self._show_key(key[:SHOWN_OF_KEY])}"

    def _read_section(self, code: int) -> None:
        source = self._source
        match code:
            case rdb.OP_AUX:
                name = source.load_string()
                self.aux[name.decode(errors="replace")] = source.load_string().decode(errors="replace")
            case rdb.OP_RESIZEDB:
                self.keys_expected += source.load_length()
                source.load_length()
            case rdb.OP_SLOT_INFO:
                for _ in range(3):
                    source.load_length()
            case rdb.OP_SLOT_IMPORT:
                name, ranges = source.load_string(), source.load_length()
                slots = [(source.load_length(), source.load_length()) for _ in range(ranges)]
                self.arrivals.append((name, slots))
            case rdb.OP_FUNCTION2:
                self._read_function(source.load_string())
            case rdb.OP_MODULE_AUX:
                self._warn(f"{source.name}: skipping data of the module {self._skip_module_data()}")
            case _:
                raise source.error(f"opcode {code} is not supported")

    def _read_function(self, code: bytes) -> None:
        if self._take_function is None:
            return
        try:
            self._take_function(code)
        except ReplyError as refused:
            first_line = code.partition(b"\n")[0][:128].decode(errors="replace")
            raise self._source.error(f"function library {first_line}: {refused.text}") from refused

    def _skip_module_data(self) -> str:
        """Pass over a module's data and return the module's name, which its 64-bit id spells."""
        source = self._source
        identity = source.load_length()
        while True:
            kind = source.load_length()
            if kind == rdb.MODULE_EOF:
                return _module_name(identity)
            if kind in (rdb.MODULE_SINT, rdb.MODULE_UINT):
                source.load_length()
            elif kind == rdb.MODULE_STRING:
                source.load_string()
            elif kind in (rdb.MODULE_FLOAT, rdb.MODULE_DOUBLE):
                source.take(4 if kind == rdb.MODULE_FLOAT else 8)
            else:
                raise source.error(f"module data of unknown kind {kind}")

    def _check_end(self) -> None:
        if self.version < rdb.CHECKSUM_SINCE:
            return
        computed = self._source.crc
        stored = int.from_bytes(self._source.take(rdb.CHECKSUM_LENGTH), "little")
        if stored not in (0, computed):
            raise self._source.error(f"wrong checksum: {stored:016x} stored, {computed:016x} computed")


_MODULE_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def _module_name(identity: int) -> str:
    """Nine letters of 6 bits each, above 10 bits of version."""
    return "".join(_MODULE_LETTERS[identity >> shift & 63] for shift in range(58, 9, -6))
