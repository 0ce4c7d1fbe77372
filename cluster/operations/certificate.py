"""When a certificate ends, read from its DER bytes (X.509, RFC 5280).

The standard library tells it only of certificates that it was asked to verify, and whoever looks for those
that are about to end, or have ended, has to look at the others.
"""

from __future__ import annotations

import calendar
import time
from collections.abc import Iterator

DAY = 86400
_SEQUENCE, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0x17, 0x18


def days_left(certificate: bytes, now: float) -> float:
    """Raises ValueError for bytes that are none. `now`: Unix seconds."""
    try:
        _, whole = next(_parts(certificate))
        _, signed = next(_parts(whole))
        for kind, part in _parts(signed):
            times = list(_parts(part)) if kind == _SEQUENCE else []
            if len(times) == 2 and all(kind in (_UTC_TIME, _GENERALIZED_TIME) for kind, _ in times):
                return (_moment(*times[1]) - now) / DAY
    except (IndexError, StopIteration, UnicodeDecodeError) as error:
        raise ValueError("no certificate") from error
    raise ValueError("a certificate without an end")


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, contents) of the elements that stand one after the other in `data`."""
    at = 0
    while at < len(data):
        kind, length = data[at], data[at + 1]
        at += 2
        if length & 0x80:
            digits = length & 0x7F
            length = int.from_bytes(data[at : at + digits], "big")
            at += digits
        yield kind, data[at : at + length]
        at += length


def _moment(kind: int, text: bytes) -> int:
    """Unix seconds. Years of two digits are those from 1950 to 2049."""
    written = text.decode("ascii")
    if kind == _UTC_TIME:
        written = ("19" if int(written[:2]) >= 50 else "20") + written
    return calendar.timegm(time.strptime(written, "%Y%m%d%H%M%SZ"))
