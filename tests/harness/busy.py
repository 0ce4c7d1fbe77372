"""Something done again and again in a thread, while a test does something else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PACE = 0.002
"""Seconds between the requests of a client that is to notice whatever goes wrong. Without, it would take a
whole CPU from those it watches, and from the tests beside it."""


@contextmanager
def busy(act: Callable[[], object]) -> Iterator[None]:
    """Leaving raises what `act` raised."""
    stop = threading.Event()
    problems: list[BaseException] = []

    def work() -> None:
        try:
            while not stop.is_set():
                act()
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if problems:
        raise problems[0]
