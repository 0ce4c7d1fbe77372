"""A clock that nobody sets: for what counts how long something took.

Unix time is for what is compared with times of clients and files, such as expiry. It jumps: when an
operator sets it, when NTP finds it far off. Who counts silence or age with it takes everybody for dead
after a jump forwards, and after one back waits for ever, or does not notice that it stood still. This clock
starts at the Unix time that the process found and from then on only counts; it goes on while the machine
sleeps, so that who was asleep can tell.
"""

from libc.stdint cimport int64_t
from posix.time cimport CLOCK_REALTIME, clock_gettime, clockid_t, timespec

cdef extern from *:
    """
    #include <time.h>
    #ifdef CLOCK_BOOTTIME  /* Linux' monotonic clock stands still while the machine sleeps; elsewhere it goes on */
    #define STEADY_CLOCK CLOCK_BOOTTIME
    #else
    #define STEADY_CLOCK CLOCK_MONOTONIC
    #endif
    """
    const clockid_t STEADY_CLOCK

cdef int64_t offset = milliseconds(CLOCK_REALTIME) - milliseconds(STEADY_CLOCK)


cdef int64_t milliseconds(clockid_t clock) noexcept nogil:
    cdef timespec t
    clock_gettime(clock, &t)
    return <int64_t>t.tv_sec * 1000 + t.tv_nsec // 1000000


cpdef int64_t steady_ms() noexcept nogil:
    """Milliseconds, near Unix time unless that was set since the process started. Never goes back."""
    return milliseconds(STEADY_CLOCK) + offset
