"""A clock that nobody sets: for what counts how long something took.

Unix time is for what is compared with times of clients and files, such as expiry. It jumps: when an
operator sets it, when NTP finds it far off. Who counts silence or age with it takes everybody for dead
after a jump forwards, and after one back waits for ever. This clock starts at the Unix time that the
process found and from then on only counts; it goes on while the machine sleeps, so that who was asleep can
tell.
"""

from __future__ import annotations

import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux' monotonic clock stands still while the machine sleeps; elsewhere it goes on."""
_OFFSET = time.time_ns() - time.clock_gettime_ns(_CLOCK)


def steady_ms() -> int:
    """Milliseconds, near Unix time unless that was set since the process started. Never goes back."""
    return (time.clock_gettime_ns(_CLOCK) + _OFFSET) // 1_000_000
