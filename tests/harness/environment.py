"""What every process that the tests start has of them: it finds the sources, and ends with who started it."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def die_with_parent() -> None:
    """Run in the child before exec: the kernel kills it when the thread that started it is gone."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def own_address() -> str:
    """This machine's address on its own network; no packet is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("192.0.2.1", 9))
        return str(sock.getsockname()[0])


def source_environment() -> dict[str, str]:
    """The environment in which `python -m ...` finds this source tree from any directory.

    It keeps its bytecode, whatever holds for the tests themselves: a run starts hundreds of workers, and to
    compile the sources takes each of them three times what the rest of its start does.
    """
    inherited = os.environ.get("PYTHONPATH")
    path = f"{ROOT}{os.pathsep}{inherited}" if inherited else str(ROOT)
    return os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": ""}
