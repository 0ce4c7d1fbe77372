"""Is a process at work? What the kernel knows of it (proc(5)), where there is a /proc."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RUNNING_STATES = "RD"
"""It runs, or waits for a disk. One that was stopped (T) or waits for anything else (S) does no work."""


@dataclass(frozen=True, slots=True)
class Effort:
    state: str
    ticks: int
    """Processor time it took so far, in clock ticks."""

    def has_worked_since(self, before: Effort | None) -> bool:
        """Whether it works, and took processor time since then."""
        return before is not None and self.state in RUNNING_STATES and self.ticks > before.ticks


def effort(pid: int | None) -> Effort | None:
    """None where nothing is known: no such process, no /proc."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()  # the name before it may hold anything
    return Effort(fields[0], int(fields[11]) + int(fields[12]))
