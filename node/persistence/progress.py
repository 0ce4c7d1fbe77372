"""How far a child has come: a page of memory that it shares with its parent, the only one that both write to.

The child notes now and then how many keys it has written and how much memory is not shared any more; the
parent looks when somebody asks (INFO), and is not disturbed otherwise. Finding out about memory takes the
longer the more there is, so a child spends no more than a hundredth of its time on it.
"""

from __future__ import annotations

import mmap
import struct
import time
from typing import Any, Final

NOTE_SECONDS: Final = 1.0
DUTY: Final = 100
"""So many times what a note takes passes before the next."""

_NUMBERS: Final = struct.Struct("=QQQd")
"""Keys written, bytes copied, the most of these so far, Unix time of the note (0: none yet)."""


class Progress:
    """Made by the parent, which calls `begin` before each fork and `end` when the child is gone."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, _NUMBERS.size)
        self._next_note = 0.0
        self.total = 0
        """Keys that the child is to write; 0 without a child."""

    def begin(self, total: int) -> None:
        self.total = total
        self._next_note = 0.0
        _NUMBERS.pack_into(self._page, 0, 0, 0, 0, 0.0)

    def end(self) -> None:
        self.begin(0)

    def note(self, keys: int) -> None:
        """In the child, as often as it likes: `keys` are written."""
        began = time.monotonic()
        if began < self._next_note:
            return
        copied = copied_bytes()
        most = _NUMBERS.unpack_from(self._page)[2]
        _NUMBERS.pack_into(self._page, 0, keys, copied, max(copied, most), time.time())
        self._next_note = began + max(NOTE_SECONDS, DUTY * (time.monotonic() - began))

    def info(self) -> dict[str, Any]:
        """The fields of INFO's Persistence section, all 0 without a child."""
        keys, copied, most, noted_at = _NUMBERS.unpack_from(self._page)
        return {
            "current_cow_peak": most,
            "current_cow_size": copied,
            "current_cow_size_age": int(time.time() - noted_at) if noted_at else 0,
            "current_fork_perc": f"{100 * keys / self.total if self.total else 0:.2f}",
            "current_save_keys_processed": keys,
            "current_save_keys_total": self.total,
        }


def copied_bytes() -> int:
    """Memory that this process does not share with its parent any more; 0 where the system does not tell."""
    try:
        with open("/proc/self/smaps_rollup", "rb") as rollup:
            return sum(int(line.split()[1]) * 1024 for line in rollup if line.startswith(b"Private_Dirty:"))
    except OSError:
        return 0
