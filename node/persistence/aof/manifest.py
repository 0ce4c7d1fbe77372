"""The manifest of an append-only file: which files it is made of, in which order.

    file appendonly.aof.2.base.rdb seq 2 type b
    file appendonly.aof.1.incr.aof seq 1 type h
    file appendonly.aof.2.incr.aof seq 2 type i

One line a file; names with unusual characters are quoted as in redis.conf, lines that begin with # are
comments, keys that are not known are passed over. There is one *base* at the most (a snapshot of the data,
as RDB or as commands), then come the *increments* (the commands since), in ascending order. *History* is
what a rewrite has made superfluous and is to be deleted. A manifest is never changed in place: a new one is
renamed over it.

Source: aof.c of Redis 7, "AOF Manifest file".
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from node.words import UnbalancedQuotes, quote, split_words

LONGEST_LINE: Final = 1024
SUFFIX: Final = ".manifest"
STORE: Final = "store"
"""The suffix of a base that only says that the data is in the store of the disk tier."""

_PLAIN: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


class ManifestError(ValueError):
    """A manifest that cannot be read. `number` and `line` say where (0 and "": as a whole)."""

    def __init__(self, reason: str, number: int = 0, line: str = "") -> None:
        super().__init__(reason)
        self.number = number
        self.line = line


@dataclass(frozen=True, slots=True)
class Part:
    """One file. `kind`: b for the base, i for an increment, h for history."""

    name: str
    sequence: int
    kind: str

    def line(self) -> str:
        raw = self.name.encode("utf-8", "surrogateescape")
        name = self.name if raw and _PLAIN.issuperset(raw) else quote(raw)
        return f"file {name} seq {self.sequence} type {self.kind}\n"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What belongs to the append-only file `name` (the directive appendfilename)."""

    name: str
    base: Part | None = None
    increments: tuple[Part, ...] = ()
    history: tuple[Part, ...] = ()
    base_sequence: int = field(default=0)
    """The last one given to a base; so `increment_sequence` for increments."""
    increment_sequence: int = field(default=0)

    @property
    def file_name(self) -> str:
        return self.name + SUFFIX

    @property
    def continues_store(self) -> bool:
        """Whether what the increments continue is in a store rather than in the base."""
        return self.base is not None and self.base.name.endswith(f".base.{STORE}")

    @property
    def parts(self) -> tuple[Part, ...]:
        """What is to be read, in order."""
        return ((self.base,) if self.base else ()) + self.increments

    def encode(self) -> bytes:
        parts = (*((self.base,) if self.base else ()), *self.history, *self.increments)
        return "".join(part.line() for part in parts).encode("utf-8", "surrogateescape")

    def with_increment(self) -> Manifest:
        """One more increment at the end."""
        sequence = self.increment_sequence + 1
        part = Part(f"{self.name}.{sequence}.incr.aof", sequence, "i")
        return replace(self, increments=(*self.increments, part), increment_sequence=sequence)

    def with_base(self, kept: int, suffix: str) -> Manifest:
        """A new base instead of the old one and of all increments but the last `kept`. `suffix`: rdb, aof, or
        STORE."""
        sequence = self.base_sequence + 1
        base = Part(f"{self.name}.{sequence}.base.{suffix}", sequence, "b")
        split = len(self.increments) - kept
        old = ((self.base,) if self.base else ()) + self.increments[:split]
        return replace(
            self,
            base=base,
            increments=self.increments[split:],
            history=self.history + tuple(replace(part, kind="h") for part in old),
            base_sequence=sequence,
        )

    def with_foreign_base(self, name: str) -> Manifest:
        """A file that was there before becomes the base."""
        return replace(self, base=Part(name, 1, "b"), base_sequence=1)

    def without_history(self) -> Manifest:
        return replace(self, history=())


def parse(name: str, text: bytes) -> Manifest:
    """The manifest of the append-only file `name`. Raises ManifestError."""
    manifest = Manifest(name)
    if not text:
        raise ManifestError("Found an empty AOF manifest", 0, "")
    for number, raw in enumerate(text.split(b"\n"), 1):
        line = raw.decode("utf-8", "surrogateescape")
        if number == text.count(b"\n") + 1:
            if raw:
                raise ManifestError("The AOF manifest file contains too long line", number, line)
            break
        if raw.startswith(b"#"):
            continue
        try:
            if len(raw) >= LONGEST_LINE:
                raise ManifestError("The AOF manifest file contains too long line")
            manifest = _with(manifest, _part(raw))
        except ManifestError as error:
            raise ManifestError(str(error), number, line) from None
    return manifest


def _part(line: bytes) -> Part:
    try:
        words = split_words(line.strip(b" \t\r\n"))
    except UnbalancedQuotes:
        words = []
    if len(words) < 6 or len(words) % 2:
        raise ManifestError("Invalid AOF manifest file format")
    values = {key.lower(): value for key, value in zip(words[::2], words[1::2], strict=True)}
    file = values.get(b"file", b"").decode("utf-8", "surrogateescape")
    if "/" in file or "\\" in file:
        raise ManifestError("File can't be a path, just a filename")
    sequence = values.get(b"seq", b"")
    kind = values.get(b"type", b"").decode("latin-1")[:1]
    if not file or not kind or not sequence.isdigit() or not int(sequence):
        raise ManifestError("Invalid AOF manifest file format")
    return Part(file, int(sequence), kind)


def _with(manifest: Manifest, part: Part) -> Manifest:
    match part.kind:
        case "b":
            if manifest.base:
                raise ManifestError("Found duplicate base file information")
            return replace(manifest, base=part, base_sequence=part.sequence)
        case "h":
            return replace(manifest, history=(*manifest.history, part))
        case "i":
            if part.sequence <= manifest.increment_sequence:
                raise ManifestError("Found a non-monotonic sequence number")
            return replace(
                manifest, increments=(*manifest.increments, part), increment_sequence=part.sequence
            )
    raise ManifestError("Unknown AOF file type")
