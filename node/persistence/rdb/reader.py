"""Reading RDB files: a stream of bytes becomes a stream of entries. The grammar is in format.py.

    reader = RdbReader(stream, "dump.rdb", log.warning)
    for entry in reader:
        ...
    reader.aux, reader.offset

Nothing is held but the entry at hand, so a file of any size is read in little memory, and the consumer may
stop between entries to let others work. Whatever is damaged, cut short or cannot be held raises RdbError
with name, offset and reason; what can be left out without loss of keys (data of modules, empty collections
that old bugs left) is skipped, with a word to `warn`. Libraries of functions go to `take_function`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from node.errors import ReplyError
from node.persistence.rdb import format as rdb
from node.persistence.rdb.format import Malformed, RdbError
from node.persistence.rdb.primitives import load_length, load_string
from node.persistence.rdb.source import Readable, Source
from node.persistence.rdb.values import EmptyValue, load_value

Warn = Callable[[str], object]
"""Told, in one line, of each thing that is skipped."""
TakeFunction = Callable[[bytes], object]
"""Given the source of each library of functions; raises ReplyError for one that does not load."""


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
        self, stream: Readable, name: str, warn: Warn, take_function: TakeFunction | None = None
    ) -> None:
        self._source = Source(stream, name)
        self._warn = warn
        self._take_function = take_function
        self.version = 0
        self.aux: dict[str, str] = {}
        """Facts the writer left, complete once the first entry is out."""
        self.keys_expected = 0
        """The writer's own count of keys, from its hints so far."""
        self.empty_keys_skipped = 0

    @property
    def offset(self) -> int:
        """How far it has read: at the end of the iteration, where the RDB ends."""
        return self._source.offset

    def rest(self) -> bytes:
        """What was read from the stream beyond the RDB's end: an AOF continues there after its preamble."""
        return self._source.rest()

    def __iter__(self) -> Iterator[Entry]:
        source = self._source
        self._read_header()
        database = 0
        expire_at = 0
        idle: int | None = None
        frequency: int | None = None
        while True:
            code = source.byte()
            if code < rdb.LOWEST_OPCODE:
                entry = self._read_entry(code, database, expire_at, idle, frequency)
                if entry is not None:
                    yield entry
                expire_at, idle, frequency = 0, None, None
            elif code == rdb.OP_EXPIRE_MS:
                expire_at = int.from_bytes(source.take(8), "little", signed=True)
            elif code == rdb.OP_EXPIRE_S:
                expire_at = int.from_bytes(source.take(4), "little", signed=True) * 1000
            elif code == rdb.OP_IDLE:
                idle = load_length(source)
            elif code == rdb.OP_FREQ:
                frequency = source.byte()
            elif code == rdb.OP_SELECTDB:
                database = load_length(source)
            elif code == rdb.OP_EOF:
                break
            else:
                self._read_section(code)
        self._check_end()

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

    def _read_entry(
        self, code: int, database: int, expire_at: int, idle: int | None, frequency: int | None
    ) -> Entry | None:
        key = load_string(self._source)
        try:
            value = load_value(self._source, code, self.version)
        except EmptyValue as empty:
            self.empty_keys_skipped += 1
            self._warn(f"{self._source.name}: skipping key {key[:128]!r}: {empty}")
            return None
        except Malformed as malformed:
            raise self._source.error(f"key {key[:128]!r}: {malformed}") from malformed
        return Entry(database, key, value, expire_at, idle, frequency)

    def _read_section(self, code: int) -> None:
        source = self._source
        match code:
            case rdb.OP_AUX:
                name = load_string(source)
                self.aux[name.decode(errors="replace")] = load_string(source).decode(errors="replace")
            case rdb.OP_RESIZEDB:
                self.keys_expected += load_length(source)
                load_length(source)
            case rdb.OP_SLOT_INFO:
                for _ in range(3):
                    load_length(source)
            case rdb.OP_FUNCTION2:
                self._read_function(load_string(source))
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
        identity = load_length(source)
        while True:
            kind = load_length(source)
            if kind == rdb.MODULE_EOF:
                return _module_name(identity)
            if kind in (rdb.MODULE_SINT, rdb.MODULE_UINT):
                load_length(source)
            elif kind == rdb.MODULE_STRING:
                load_string(source)
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
