"""manifest.json: what a backup consists of, and what it must add up to.

    {
      "format": 1,
      "clustered": true,
      "started_at": "2026-01-01T12:00:00.000Z", "finished_at": ...    each snapshot is of a moment between
      "keys": 3, "digest": "<32 hex digits>",                         of all files together
      "files": [
        {
          "name": "<node id>.rdb", "bytes": 123, "sha256": "<64 hex digits>",
          "node": "<node id>", "address": "127.0.0.1:7001", "server": "valkey 9.1.2", "rdb_version": 80,
          "slots": "0-5460", "epoch": 1,
          "keys": {"0": 1}, "expiring": 0, "functions": 0, "digest": "<32 hex digits>"
        }, ...
      ]
    }

`keys` of a file are by database. Digests are xors of fingerprints of keys (node/keyspace/fingerprint.py), so
that the same data has the same digest however it is spread over files.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cluster.operations.link import OperationError
from cluster.slots import ALL_SLOTS, NO_SLOTS, parse_ranges
from node.persistence.files import replace_file

FORMAT = 1
MANIFEST = "manifest.json"

_READ = 1024 * 1024
_FILE_NAME = re.compile(r"[0-9A-Za-z_-]+\.rdb")
_HEX = re.compile(r"[0-9a-f]+")


class NoBackup(OperationError):
    """The directory holds no backup, or one that is not whole."""


@dataclass(frozen=True)
class SnapshotFile:
    name: str
    bytes: int
    sha256: str
    node: str
    address: str
    server: str
    rdb_version: int
    slots: str
    epoch: int
    keys: dict[int, int]
    expiring: int
    functions: int
    digest: str

    @property
    def total(self) -> int:
        return sum(self.keys.values())


@dataclass(frozen=True)
class Manifest:
    clustered: bool
    started_at: str
    finished_at: str
    files: tuple[SnapshotFile, ...]

    @property
    def keys(self) -> int:
        return sum(file.total for file in self.files)

    @property
    def digest(self) -> str:
        whole = 0
        for file in self.files:
            whole ^= int(file.digest, 16)
        return digest_text(whole)

    @property
    def databases(self) -> list[int]:
        """Those with keys, ascending."""
        return sorted({number for file in self.files for number, count in file.keys.items() if count})


def digest_text(digest: int) -> str:
    return f"{digest:032x}"


# --- the file


def save(manifest: Manifest, directory: Path) -> None:
    """Raises OSError."""
    path = str(directory / MANIFEST)
    replace_file(path, path + ".part", (json.dumps(as_json(manifest), indent=2) + "\n").encode())


def as_json(manifest: Manifest) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "clustered": manifest.clustered,
        "started_at": manifest.started_at,
        "finished_at": manifest.finished_at,
        "keys": manifest.keys,
        "digest": manifest.digest,
        "files": [asdict(file) for file in manifest.files],
    }


def load(directory: Path) -> Manifest:
    """Raises NoBackup, in words that say what is wrong."""
    path = directory / MANIFEST
    try:
        told = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise NoBackup(
            f"{directory} has no {MANIFEST}: it holds no backup, or one that was not finished"
        ) from None
    except OSError as error:
        raise NoBackup(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise NoBackup(f"{path} is damaged: {error}") from error
    try:
        return _parsed(told)
    except KeyError as error:
        raise NoBackup(f"{path} is damaged: {error.args[0]!r} is missing") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise NoBackup(f"{path} is damaged: {error}") from error


def _parsed(told: Any) -> Manifest:
    if told["format"] != FORMAT:
        raise ValueError(f"format {told['format']!r} is not {FORMAT}, the one that is known here")
    files = tuple(_parsed_file(each) for each in told["files"])
    manifest = Manifest(bool(told["clustered"]), str(told["started_at"]), str(told["finished_at"]), files)
    covered = NO_SLOTS
    for file in files:
        slots = parse_ranges(file.slots)
        if covered & slots:
            raise ValueError(f"slots of {file.name} are those of another file, too")
        covered |= slots
    if covered != ALL_SLOTS:
        raise ValueError("its files are not of all slots")
    for name in ("keys", "digest"):
        if told[name] != getattr(manifest, name):
            raise ValueError(f"{name!r} is not what those of its files add up to")
    return manifest


def _parsed_file(told: Any) -> SnapshotFile:
    keys = {int(database): int(count) for database, count in told["keys"].items()}
    if min(keys, default=0) < 0 or min(keys.values(), default=0) < 0:
        raise ValueError("counts of keys cannot be negative")
    file = SnapshotFile(**{**told, "keys": keys})
    if not _FILE_NAME.fullmatch(file.name):
        raise ValueError(f"{file.name!r} is no name of a file of a backup")
    if not (_HEX.fullmatch(file.sha256) and _HEX.fullmatch(file.digest)):
        raise ValueError(f"the checksums of {file.name} are no hexadecimal numbers")
    return file


# --- the files it names


def verify_files(manifest: Manifest, directory: Path, on_bytes: Callable[[int], object]) -> None:
    """Whether all files are there and as they were written. `on_bytes` is told of bytes as they are read.

    Raises NoBackup with the first that is not.
    """
    for file in manifest.files:
        path = directory / file.name
        try:
            size = path.stat().st_size
            if size != file.bytes:
                raise NoBackup(f"{path} is damaged: it has {size} bytes instead of {file.bytes}")
            if _sha256(path, on_bytes) != file.sha256:
                raise NoBackup(f"{path} is damaged: its SHA-256 is not that in {MANIFEST}")
        except FileNotFoundError:
            raise NoBackup(f"{path} is missing") from None
        except OSError as error:
            raise NoBackup(f"{path} cannot be read: {error.strerror}") from error


def _sha256(path: Path, on_bytes: Callable[[int], object]) -> str:
    summed = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_READ):
            summed.update(piece)
            on_bytes(len(piece))
    return summed.hexdigest()
