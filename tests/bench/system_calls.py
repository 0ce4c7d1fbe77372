"""How many system calls a process makes, counted by the kernel: no tracer slows it down or changes what
happens.

The counter is the tracepoint `raw_syscalls:sys_enter` of every thread, opened with perf_event_open(2), so it
takes Linux, its tracefs, and root (or CAP_PERFMON). The layout of `perf_event_attr` is that of
<linux/perf_event.h>.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EVENT = Path("/sys/kernel/tracing/events/raw_syscalls/sys_enter/id")
_PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}
_PERF_TYPE_TRACEPOINT = 2
_ATTR_SIZE = 112
_INHERIT = 1 << 1
_libc = ctypes.CDLL(None, use_errno=True)


class Counter:
    """Calls so far, of the threads there were when it was made, and of those they started."""

    def __init__(self, descriptors: list[int]) -> None:
        self._descriptors = descriptors

    def read(self) -> int:
        return sum(struct.unpack("Q", os.read(each, 8))[0] for each in self._descriptors)


@contextmanager
def counting(pid: int) -> Iterator[Counter]:
    """Raises OSError where the kernel does not let us."""
    descriptors: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            descriptors.append(_open(int(task.name)))
        yield Counter(descriptors)
    finally:
        for each in descriptors:
            os.close(each)


def can_count() -> bool:
    try:
        with counting(os.getpid()):
            return True
    except (OSError, KeyError):
        return False


def _open(thread: int) -> int:
    fields = (_PERF_TYPE_TRACEPOINT, _ATTR_SIZE, int(EVENT.read_text()), 0, 0, 0, _INHERIT)
    attributes = struct.pack("IIQQQQQ", *fields).ljust(_ATTR_SIZE, b"\0")
    number = _PERF_EVENT_OPEN[os.uname().machine]
    any_cpu, no_group, no_flags = -1, -1, 0
    descriptor = _libc.syscall(number, attributes, thread, any_cpu, no_group, no_flags)
    if descriptor < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"counting system calls: {os.strerror(code)}")
    return int(descriptor)
