"""Which byte strings Redis stores as integers: the canonical decimal text of a signed 64-bit number."""

from __future__ import annotations

import re

INT64_MIN = -(1 << 63)
INT64_MAX = (1 << 63) - 1

_CANONICAL = re.compile(rb"0|-?[1-9][0-9]{0,18}")


def is_integer(text: bytes) -> bool:
    if len(text) > 20 or _CANONICAL.fullmatch(text) is None:
        return False
    return len(text) < 19 or INT64_MIN <= int(text) <= INT64_MAX
