"""Looking at files of data without loading them: are they whole, and if not, up to where?

An RDB file is read from its header to its checksum. An append-only file is read part by part: the base as it
is, the commands as frames, which nobody executes; that its transactions are complete is all that is asked of
them."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from node.core.request_reader import RequestReader
from node.persistence.aof.manifest import SUFFIX, parse
from node.persistence.aof.reader import SNAPSHOT_MAGICS
from node.persistence.rdb import RdbError, RdbReader

READ_SIZE: Final = 256 * 1024


@dataclass
class RdbReport:
    """What an RDB file holds, as far as it could be read."""

    path: Path
    size: int
    """Bytes of the file."""
    version: int = 0
    aux: dict[str, str] = field(default_factory=dict)
    keys: int = 0
    expiring: int = 0
    """Of the keys, those with an expiry; so `expired`: those whose time has passed."""
    expired: int = 0
    types: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)
    end: int = 0
    """Offset up to which it could be read: where the RDB ends, or the damage is."""
    error: str = ""
    """Why it is not whole; empty if it is."""


@dataclass
class PartReport:
    """One part of an append-only file. What stands behind `good` is no use."""

    path: Path
    size: int
    good: int = 0
    """Bytes from the beginning that are whole commands and transactions."""
    commands: int = 0
    error: str = ""
    torn: bool = False
    """It breaks off, as a power cut leaves it, rather than being damaged."""


class NotThere(Exception):
    """There is no append-only file where one was to be looked at. The text is for people."""


def inspect_rdb(path: Path) -> RdbReport:
    """Raises OSError."""
    with path.open("rb", buffering=0) as file:
        return _inspect_rdb(file, RdbReport(path, path.stat().st_size))


def _inspect_rdb(file: BinaryIO, report: RdbReport) -> RdbReport:
    reader = RdbReader(file, report.path.name, report.warnings.append)
    now = time.time() * 1000
    try:
        for entry in reader:
            report.keys += 1
            report.expiring += bool(entry.expire_at)
            report.expired += 0 < entry.expire_at < now
            report.types[getattr(entry.value, "type_name", "string")] += 1
    except RdbError as error:
        report.error = str(error)
    report.version, report.aux, report.end = reader.version, reader.aux, reader.offset
    return report


def inspect_aof(path: Path) -> list[PartReport]:
    """The parts of the append-only file in the directory `path`, or of the manifest `path`, or the single
    file.

    Raises NotThere, ManifestError and OSError.
    """
    if path.is_file() and not path.name.endswith(SUFFIX):
        return [_inspect_part(path)]
    manifest_path = path if path.is_file() else _manifest_in(path)
    manifest = parse(manifest_path.name.removesuffix(SUFFIX), manifest_path.read_bytes())
    return [_inspect_part(manifest_path.parent / part.name) for part in manifest.parts]


def cut(report: PartReport) -> None:
    """Take what is no use off the end of a part. Raises OSError."""
    os.truncate(report.path, report.good)


def _manifest_in(directory: Path) -> Path:
    found = sorted(directory.glob("*" + SUFFIX)) if directory.is_dir() else []
    if len(found) != 1:
        raise NotThere(f"{directory} holds {len(found) or 'no'} manifests of append-only files, not one")
    return found[0]


def _inspect_part(path: Path) -> PartReport:
    try:
        report = PartReport(path, path.stat().st_size)
    except FileNotFoundError:
        return PartReport(path, 0, error="it is missing")
    with path.open("rb", buffering=0) as file:
        if file.read(max(map(len, SNAPSHOT_MAGICS))).startswith(SNAPSHOT_MAGICS):
            file.seek(0)
            snapshot = _inspect_rdb(file, RdbReport(path, report.size))
            report.error = snapshot.error
            if report.error:
                return report
            report.good = snapshot.end
        file.seek(report.good)
        _inspect_commands(file, report)
    return report


def _inspect_commands(file: BinaryIO, report: PartReport) -> None:
    reader = RequestReader()
    position = report.good
    transaction = False
    while chunk := file.read(READ_SIZE):
        for argv, raw in reader.feed(chunk):
            if raw[:1] not in (b"*", b"#"):
                report.error = f"expected a command at offset {position}"
                return
            position += len(raw)
            if raw[:1] == b"*":
                name = argv[0].upper()
                if name == b"MULTI" and transaction:
                    report.error = f"MULTI inside a transaction at offset {position - len(raw)}"
                    return
                if name == b"EXEC" and not transaction:
                    report.error = f"EXEC without MULTI at offset {position - len(raw)}"
                    return
                transaction = name == b"MULTI" or (transaction and name != b"EXEC")
                report.commands += 1
            if not transaction:
                report.good = position
        if reader.error:
            report.error = f"{reader.error} at offset {position}"
            return
    if report.good < report.size:
        report.torn = True
        report.error = f"it breaks off inside a {'transaction' if transaction else 'command'}"
