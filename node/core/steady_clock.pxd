from libc.stdint cimport int64_t

cpdef int64_t steady_ms() noexcept nogil
