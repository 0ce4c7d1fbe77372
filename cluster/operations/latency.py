"""What clients of some nodes feel: the time of a PING, asked all the time by a thread for each node.

A worker serves everybody in turn, so a PING waits as long as any small request would.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence

from cluster.operations.link import NodeLink, OperationError
from cluster.plans.pace import Percentile

PERIOD = 0.01
"""Seconds between two PINGs to a node."""
AWAY = 0.5
"""Seconds after which one that did not answer is asked again."""


class Probe:
    """Measures while it is open. `p99` is that of the node that is worse off."""

    def __init__(self) -> None:
        self._times: list[Percentile] = []

    @property
    def p99(self) -> float | None:
        """Ms; None while too little is known."""
        found = [times.p99 for times in list(self._times)]
        known = [each for each in found if each is not None]
        return max(known, default=None)

    def forget(self) -> None:
        for times in list(self._times):
            times.forget()

    @contextlib.contextmanager
    def watching(self, links: Sequence[NodeLink]) -> Iterator[None]:
        """Ask these nodes, over connections of its own."""
        stop = threading.Event()
        self._times = [Percentile() for _ in links]
        threads = [
            threading.Thread(target=_ask, args=(link, times, stop), daemon=True)
            for link, times in zip(links, self._times, strict=True)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def _ask(link: NodeLink, times: Percentile, stop: threading.Event) -> None:
    own = NodeLink(link.host, link.port, link.credentials)
    try:
        while not stop.wait(PERIOD):
            began = time.monotonic()
            try:
                own.call("PING")
            except OperationError:
                stop.wait(AWAY)  # who is away is nobody's to slow down for
            else:
                times.add((time.monotonic() - began) * 1000)
    finally:
        own.close()
