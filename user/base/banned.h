/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * banned.h - functions that are easy to misuse; naming one fails to compile.
 *
 * Forced into every user-space file by the Makefile (-include). Use snprintf, buf_printf, strtoull and
 * units.h instead; commands are started with posix_spawn, never through a shell.
 */
#ifndef MBTRACE_BASE_BANNED_H
#define MBTRACE_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strcat sprintf vsprintf gets atoi atol atoll strtok strncpy strncat
#pragma GCC poison popen tmpnam mktemp asctime ctime
/* A member may be called system; a call may not. */
#define system(command) banned_use_posix_spawn_instead_of_system

#endif
