"""What everybody does who keeps files: write all of it, replace as a whole, bring directories to the disk."""

from __future__ import annotations

import contextlib
import os


class StoreError(Exception):
    """The store of the disk tier cannot be used; the text says why, with its path."""


def write_fully(descriptor: int, data: bytes | bytearray) -> None:
    """Write all of `data`, however little the descriptor takes at once."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_directory(path: str) -> None:
    """Bring what was created, renamed or removed in the directory `path` to the disk."""
    descriptor = os.open(path or ".", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: str, temporary: str, content: bytes) -> None:
    """Let `path` hold `content`, on the disk, or what it held before: written beside it and renamed over
    it."""
    try:
        with open(temporary, "wb", buffering=0) as file:
            write_fully(file.fileno(), content)
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        remove(temporary)
        raise
    sync_directory(os.path.dirname(path))


def remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
