"""What the operating system knows about this process: memory, processor time, the machine.

Read when asked, never kept: INFO is asked seldom. Memory comes from /proc where there is one; elsewhere the
only figure getrusage has is the peak, which then stands for both.
"""

from __future__ import annotations

import os
import resource
import sys
from typing import NamedTuple

_STATM = "/proc/self/statm"
_PAGE = os.sysconf("SC_PAGE_SIZE")
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


def resident_bytes() -> int:
    """Memory of this process that is in RAM now."""
    try:
        with open(_STATM, "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except FileNotFoundError:
        return peak_resident_bytes()


def anonymous_bytes() -> int:
    """Memory of this process that is in RAM now and is no part of a file: what it took for itself."""
    try:
        with open(_STATM, "rb") as file:
            fields = file.read().split()
            return (int(fields[1]) - int(fields[2])) * _PAGE
    except FileNotFoundError:
        return resident_bytes()


def peak_resident_bytes() -> int:
    """The most memory this process has had in RAM so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_UNIT


def machine_bytes() -> int:
    """RAM of the machine."""
    return os.sysconf("SC_PHYS_PAGES") * _PAGE


def system_name() -> str:
    """Operating system, release and architecture, as `uname` gives them."""
    name = os.uname()
    return f"{name.sysname} {name.release} {name.machine}"


def pointer_bits() -> int:
    return 64 if sys.maxsize > 2**32 else 32


def python_version() -> str:
    return sys.version.split()[0]


class CpuSeconds(NamedTuple):
    """Processor time used so far, in seconds."""

    system: float
    user: float
    children_system: float
    children_user: float
    main_thread_system: float
    main_thread_user: float


def cpu_seconds() -> CpuSeconds:
    whole = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    # RUSAGE_THREAD is Linux' own; the caller is the event loop, hence the main thread.
    thread = resource.getrusage(getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF))
    return CpuSeconds(
        whole.ru_stime,
        whole.ru_utime,
        children.ru_stime,
        children.ru_utime,
        thread.ru_stime,
        thread.ru_utime,
    )
