/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * macros.h - the few macros every file uses.
 *
 * Cleanup by attribute: declare `cleanup_free char *p = NULL;` and p is freed when it goes out of scope;
 * hand ownership on with TAKE_PTR(p) or TAKE_FD(fd). Every cleanup accepts NULL (or -1) and keeps errno.
 */
#ifndef MBTRACE_BASE_MACROS_H
#define MBTRACE_BASE_MACROS_H

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define CLAMP(v, lo, hi) ((v) < (lo) ? (lo) : (v) > (hi) ? (hi) : (v))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define TAKE_PTR(p)                         \
	({                                  \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                 \
		taken_;                     \
	})

#define TAKE_FD(fd)                \
	({                         \
		int taken_ = (fd); \
		(fd) = -1;         \
		taken_;            \
	})

/* Defines cleanup_TYPEp(), which calls `fn` on a pointer variable that goes out of scope. */
#define DEFINE_CLEANUP(type, fn)                              \
	static inline void fn##_cleanup(type *p) /* NOLINT */ \
	{                                                     \
		if (*p)                                       \
			fn(*p);                               \
	}

static inline void cleanup_free_fn(void *p)
{
	int saved = errno;

	free(*(void **)p);
	errno = saved;
}

static inline void cleanup_close_fn(const int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void cleanup_fclose_fn(FILE **f)
{
	int saved = errno;

	if (*f)
		fclose(*f);
	errno = saved;
}

#define cleanup_free __attribute__((cleanup(cleanup_free_fn)))
#define cleanup_close __attribute__((cleanup(cleanup_close_fn)))
#define cleanup_fclose __attribute__((cleanup(cleanup_fclose_fn)))
#define CLEANUP(fn) __attribute__((cleanup(fn##_cleanup)))

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

#endif
