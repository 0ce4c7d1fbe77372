"""Threads that run until a context is left, for loads of every kind.

What ends one against all intentions is kept in `broken`, for whoever judges the run. A thread that does not
end when asked fails the test: it waits for a reply that nobody gives.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Self

STOP_DEADLINE = 60.0


class ThreadGroup:
    def __init__(self) -> None:
        self.broken: list[BaseException] = []
        """What ended a thread, against all intentions."""
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def _add_thread(self, run: Callable[[], None], name: str | None = None) -> None:
        """`run` is to return soon after `_stop` is set."""

        def guarded() -> None:
            try:
                run()
            except BaseException as error:
                self.broken.append(error)

        self._threads.append(threading.Thread(target=guarded, name=name, daemon=True))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(STOP_DEADLINE)
            assert not thread.is_alive(), f"{thread.name} still waits for a reply"
