/* <malloc.h> for C libraries other than glibc 2.33 and later: musl's, macOS'. deploy/build_backend.py puts it before
   theirs. The size of a block both know; what else the core asks of glibc is answered here as "nothing to tell". */
#ifndef SHOAL_PORTABLE_MALLOC_H
#define SHOAL_PORTABLE_MALLOC_H

#include <stddef.h>
#include <stdio.h>

#ifdef __APPLE__
#include <malloc/malloc.h>
static inline size_t shoal_usable_size(void *block) { return malloc_size(block); }
static inline int shoal_trim(size_t pad) { (void)pad; return malloc_zone_pressure_relief(NULL, 0) > 0; }
#define malloc_usable_size shoal_usable_size
#else
#include_next <malloc.h>
static inline int shoal_trim(size_t pad) { (void)pad; return 0; }
#endif

struct shoal_mallinfo2 {
    size_t arena, hblkhd, uordblks, fordblks, keepcost;
};
static inline struct shoal_mallinfo2 shoal_mallinfo2(void) { return (struct shoal_mallinfo2){0, 0, 0, 0, 0}; }
static inline int shoal_option(int what, int value) { (void)what; (void)value; return 1; }
static inline int shoal_report(int options, FILE *stream) { (void)options; return fputs("<malloc/>\n", stream) < 0; }

#undef M_MXFAST
#define M_MXFAST 1
#define malloc_trim shoal_trim
#define mallinfo2 shoal_mallinfo2
#define mallopt shoal_option
#define malloc_info shoal_report
#endif
