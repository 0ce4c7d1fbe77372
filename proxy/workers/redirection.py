"""Where a worker's error sends a request: `-MOVED slot host:port` and `-ASK slot host:port`."""

from __future__ import annotations

from typing import NamedTuple

from proxy.workers.dialogue import Address

KINDS = (b"-MOVED ", b"-ASK ", b"-TRYAGAIN ")
"""Errors after which a request is sent again: nothing was done."""


class Redirection(NamedTuple):
    slot: int
    address: Address
    asking: bool
    """ASKING must precede the request: the slot is still on its way there."""


def destination(error: bytes, asked: Address) -> Redirection | None:
    """What a MOVED or ASK that `asked` answered with says; None for anything else, or if it makes no sense.

    A host left out means the one that was asked.
    """
    kind, *words = error.decode("latin-1").split()
    if kind not in ("-MOVED", "-ASK") or len(words) < 2 or not words[0].isdigit():
        return None
    host, _, port = words[1].rpartition(":")
    if not port.isdigit() or int(words[0]) >= 16384:
        return None
    return Redirection(int(words[0]), (host or asked[0], int(port)), kind == "-ASK")
