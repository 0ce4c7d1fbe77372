"""How long was it down? Somebody who tries to write, in every part of the key space, all the time.

Keys spread evenly over the slots are each written every few milliseconds (knocker.py, a process of its own,
so that it does not share an interpreter with the load). A time during which any of the keys had a gap is one
during which not every slot accepted writes.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from cluster.slot_tags import tag_of
from tests.harness.servers import ROOT, die_with_parent, source_environment
from tests.harness.wait import eventually

SLOTS = 16384
NOISE = 0.2
"""Gaps up to that many seconds are those of a busy machine."""

Address = tuple[str, int]
Span = tuple[float, float]


@dataclass
class Probe:
    """One key, and when its writes succeeded: (start, end) of each."""

    key: str
    successes: list[Span] = field(default_factory=list)
    last_error: str = ""

    def wrote_after(self, since: float) -> bool:
        return bool(self.successes) and self.successes[-1][0] >= since

    def first_after(self, since: float) -> float:
        """The end of the first write that began then or later."""
        recent = itertools.takewhile(lambda span: span[0] >= since, reversed(self.successes.copy()))
        return min(end for _, end in recent)

    def gaps(self, since: float, until: float, noise: float) -> list[Span]:
        """Spans of more than `noise` seconds without a success, which counts at its end."""
        recent = itertools.takewhile(lambda span: span[1] > since, reversed(self.successes.copy()))
        ends = [since, *reversed([end for _, end in recent if end < until]), until]
        return [(begin, end) for begin, end in itertools.pairwise(ends) if end - begin > noise]


class Prober:
    """`addresses`: the members. Times are of time.monotonic()."""

    def __init__(self, addresses: Sequence[Address], keys: int = 16, every: float = 0.02) -> None:
        self._addresses = list(addresses)
        self._every = every
        self._process: subprocess.Popen[str] | None = None
        self._reader = threading.Thread(target=self._read, name="prober", daemon=True)
        slots = [SLOTS * number // keys for number in range(keys)]
        self.probes = [Probe(f"probe:{{{tag_of(slot).decode()}}}") for slot in slots]

    def __enter__(self) -> Prober:
        keys = [probe.key for probe in self.probes]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.knocker", json.dumps([keys, self._addresses, self._every])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=source_environment(),
            text=True,
            preexec_fn=die_with_parent,
        )
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        """What the knockers tell, until they end."""
        assert self._process is not None and self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                if not line.endswith("\n"):
                    break  # it was ended in the middle
                successes, errors = json.loads(line)
                for number, started, ended in successes:
                    self.probes[number].successes.append((started, ended))
                for number, error in errors:
                    self.probes[number].last_error = error

    def wait_served(self, since: float, timeout: float) -> None:
        """Until every key was written by a write that began after `since`."""

        def failing() -> dict[str, str]:
            return {probe.key: probe.last_error for probe in self.probes if not probe.wrote_after(since)}

        eventually(
            lambda: not failing(), lambda: f"every slot accepts writes; these do not: {failing()}", timeout
        )

    def gaps(self, since: float, until: float, noise: float = NOISE) -> list[Span]:
        """When, between the two moments, not every slot accepted writes: in order, and apart."""
        merged: list[Span] = []
        for begin, end in sorted(gap for probe in self.probes for gap in probe.gaps(since, until, noise)):
            if merged and begin <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(merged[-1][1], end)
            else:
                merged.append((begin, end))
        return merged

    def recovered(self, since: float, until: float) -> float:
        """When every slot accepted writes again after something at `since` that was felt at once.

        That is, once every key has been written by a write that began after it; and if meanwhile others had
        stopped, too, as all do when a cluster is down, once they go on.
        """
        again = max(probe.first_after(since) for probe in self.probes)
        for begin, end in self.gaps(since, until):
            if begin <= again:
                again = max(again, end)
        return again

    def down(self, since: float, until: float) -> float:
        """The seconds of all gaps."""
        return sum(end - begin for begin, end in self.gaps(since, until))
