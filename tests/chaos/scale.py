"""How much: tests of promises run small by default, and in full with SHOAL_FULL=1 in the environment."""

from __future__ import annotations

import os
from typing import Final

FULL: Final = os.environ.get("SHOAL_FULL", "") not in ("", "0")


def scaled(small: int, full: int) -> int:
    """`full` in a full run, else `small`."""
    return full if FULL else small
