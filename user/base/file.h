/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * file.h - whole files in, whole files out.
 *
 * An output is either standard output (path NULL or "-"), or a temporary file beside the path that replaces it only on
 * output_commit(), so a reader never sees half a file. What was written is whole lines as long as each
 * output_write() is given whole lines.
 */
#ifndef MBTRACE_BASE_FILE_H
#define MBTRACE_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Reads the file (procfs and sysfs too) into b, replacing what b held; at most `max` bytes, beyond that -EFBIG. */
int file_read(const char *path, struct buf *b, size_t max);
int file_read_at(int dir_fd, const char *path, struct buf *b, size_t max);
/* Reads an open procfs file again from its start. */
int file_reread(int fd, struct buf *b, size_t max);

struct output {
	int fd;
	/* Called again and again while the reader of a pipe or terminal does not take what is written; NULL: just wait. */
	void (*idle)(void *context);
	void *idle_context;
	char *path, *temporary; /* NULL: written in place (standard output, devices, pipes) */
};

#define OUTPUT_INIT ((struct output){ .fd = -1 })

/* 0 or -errno. A path that is not a regular file (a FIFO, /dev/null) is written in place. */
int output_open(struct output *o, const char *path);
/* All of it or -errno; a partial write on a full disk is taken back to the last whole call where the file allows it. */
int output_write(struct output *o, const void *data, size_t len);
/*
 * The data become the file's whole content at once, for those who read the newest state over and over; in place it is
 * output_write(). One output uses either this or output_write().
 */
int output_replace(struct output *o, const void *data, size_t len);
/* Flushes, renames into place, closes; 0 or -errno. After an error or without a commit, output_release() removes the temporary. */
int output_commit(struct output *o);
void output_release(struct output *o);

#endif
