"""Ending what runs long by a signal, in order: the work is asked to stop, and returns by itself.

A KeyboardInterrupt may come up anywhere, also where nothing is prepared for it, such as while threads are
being started that would then be waited for. A handler that only leaves a wish behind has no such places.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class Stoppable(Protocol):
    def request_stop(self) -> None:
        """Called by the handler of a signal, so in the middle of anything: it may take no lock."""


class Wish:
    """Of whoever runs in the foreground, to stop."""

    requested = False

    def request_stop(self) -> None:
        self.requested = True


@contextmanager
def stopped_by_signals(work: Stoppable) -> Iterator[None]:
    """The first SIGINT or SIGTERM asks `work` to finish what it has open; the second ends the process as
    usual."""

    def on_signal(number: int, _frame: Any) -> None:
        work.request_stop()
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
