"""A forked child: a copy of this worker that does one long piece of disk work and ends.

The child sees the data as it was at the moment of the fork, for as long as it needs, while the parent
serves on. Rules of such a child:

- It is one thread and no event loop: it never touches asyncio, and it closes every descriptor but the few it
  was told to keep, so that it neither holds a port nor a client's connection if the parent dies.
- It replaces no file when its parent is gone (`ensure_parent`): the next worker may be at work there already.
- It ends with os._exit: no cleanup handler of the parent may run twice.
- The garbage collector stays off in it, because a collection would touch, and so copy, every page.

The parent is told through a pipe: the child may write a short report into it, and its closing, which the
event loop watches, says that the child has ended. So nothing waits, and no signal handler is needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Collection
from typing import Final, NamedTuple, Protocol

from node.persistence.progress import Progress

REPORT_LIMIT: Final = 64 * 1024
"""What a report may hold: as much as a pipe takes without a reader."""

_FIRST_DESCRIPTOR: Final = 3


class Outcome(NamedTuple):
    """How a child ended: exit code, or the signal that ended it (then the code is None), and its report."""

    code: int | None
    signal: int | None
    report: bytes

    @property
    def ok(self) -> bool:
        return self.code == 0


class Orphaned(Exception):
    """The parent is gone, and the work for nothing."""


_parent = 0
"""In a child: its parent's pid."""


def ensure_parent() -> None:
    """In a child: raises Orphaned if the parent has died."""
    if os.getppid() != _parent:
        raise Orphaned(f"parent {_parent} is gone")


class ForkedChild:
    """A running child, as its parent sees it."""

    def __init__(
        self, pid: int, pipe: int, loop: asyncio.AbstractEventLoop, done: Callable[[Outcome], None]
    ) -> None:
        self.pid = pid
        self.started = time.time()
        self._pipe = pipe
        self._loop = loop
        self._done = done
        self._report = b""
        loop.add_reader(pipe, self._on_readable)

    def kill(self) -> None:
        """End it now, with SIGKILL, because it has nothing to clean up itself; waits until it does nothing
        any more. `done` is told as always."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)

    def _on_readable(self) -> None:
        part = os.read(self._pipe, REPORT_LIMIT)
        if part:
            self._report += part
            return
        self._loop.remove_reader(self._pipe)
        os.close(self._pipe)
        # Its descriptors are closed, so it is past its last instruction: this does not wait.
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        outcome = Outcome(None if code < 0 else code, -code if code < 0 else None, self._report)
        self._done(outcome)


def fork_child(
    run: Callable[[], bytes],
    done: Callable[[Outcome], None],
    loop: asyncio.AbstractEventLoop,
    keep: Collection[int] = (),
) -> ForkedChild:
    """Fork, execute `run` in the child, and call `done` in the parent when the child has ended.

    `run` returns the report; an exception becomes exit code 1 with its text as report. `keep`: descriptors
    the child needs. Raises OSError if the system cannot fork.
    """
    reading, writing = os.pipe()
    parent = os.getpid()
    gc_was_on = gc.isenabled()
    gc.disable()
    try:
        pid = os.fork()
        if pid == 0:
            _be_child(run, writing, keep, parent)
    except OSError:
        os.close(reading)
        raise
    finally:
        os.close(writing)
        if gc_was_on:
            gc.enable()
    return ForkedChild(pid, reading, loop, done)


def _be_child(run: Callable[[], bytes], pipe: int, keep: Collection[int], parent: int) -> None:
    global _parent
    _parent = parent
    code = 1
    try:
        # Shared with the parent otherwise: a signal to the child would wake the parent's event loop.
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)
        _close_all_but({pipe, *keep})
        try:
            report = run()
            code = 0
        except Exception as error:
            report = (str(error) or repr(error)).encode("utf-8", "surrogateescape")
        with contextlib.suppress(BrokenPipeError):  # an orphan has nobody to tell
            os.write(pipe, report[:REPORT_LIMIT])
    except BaseException:
        code = 1
        traceback.print_exc(file=sys.stderr)
    finally:
        os._exit(code)


def _close_all_but(kept: set[int]) -> None:
    start = _FIRST_DESCRIPTOR
    for descriptor in sorted(kept):
        os.closerange(start, descriptor)
        start = max(start, descriptor + 1)
    os.closerange(start, os.sysconf("SC_OPEN_MAX"))


class ChildBusy(Exception):
    """Another child is running; `purpose` says what for."""

    def __init__(self, purpose: str) -> None:
        super().__init__(f"another child is running ({purpose})")
        self.purpose = purpose


class Companion(Protocol):
    """What a child must not simply inherit."""

    def accompany(self, run: Callable[[], bytes]) -> tuple[Callable[[], bytes], int, Callable[[], None]]:
        """A child is about to be forked to execute `run`: what it shall execute instead, a descriptor it
        needs for that, and whom to call when it has ended."""


class Children:
    """A worker's one place for a child: two at a time would double what writes copy, so there is never a
    second.

    Whoever found it taken may ask to be called when it is free (`when_free`).
    """

    def __init__(self, count_keys: Callable[[], int]) -> None:
        self._count_keys = count_keys
        self.progress = Progress()
        self.current: ForkedChild | None = None
        self.purpose = ""
        self.companion: Companion | None = None
        """Who has to know of forks."""
        self.last_fork_us = 0
        """How long the last fork took: the parent stands still for it."""
        self.total_forks = 0
        self._waiting: list[Callable[[], None]] = []

    def start(
        self,
        purpose: str,
        run: Callable[[], bytes],
        done: Callable[[Outcome], None],
        keep: Collection[int] = (),
    ) -> ForkedChild:
        """`fork_child` on the running event loop. Raises ChildBusy, and OSError."""
        if self.current is not None:
            raise ChildBusy(self.purpose)

        part: Callable[[], None] = lambda: None  # noqa: E731 (nobody has to know)
        if self.companion is not None:
            run, descriptor, part = self.companion.accompany(run)
            keep = (*keep, descriptor)

        def ended(outcome: Outcome) -> None:
            part()
            self.current = None
            self.purpose = ""
            self.progress.end()
            done(outcome)
            waiting, self._waiting = self._waiting, []
            for call in waiting:
                call()

        self.progress.begin(self._count_keys())
        before = time.perf_counter()
        try:
            self.current = fork_child(run, ended, asyncio.get_running_loop(), keep)
        except OSError:
            part()
            raise
        self.last_fork_us = int((time.perf_counter() - before) * 1e6)
        self.total_forks += 1
        self.purpose = purpose
        return self.current

    def tell(self, keys: int) -> None:
        """In a child, as often as it likes: so many keys are written. Nothing elsewhere."""
        if _parent:
            self.progress.note(keys)

    def when_free(self, call: Callable[[], None]) -> None:
        """Call once, after the child that is running has ended."""
        self._waiting.append(call)

    def kill(self) -> None:
        if self.current is not None:
            self.current.kill()
