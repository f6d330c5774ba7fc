// SPDX-License-Identifier: BSD-2-Clause
#include "base/file.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#define READ_STEP 4096
#define IDLE_MS 20 /* between two calls of an output's idle function */

/* Reads from fd's offset 0 on; procfs gives a page or so a call. */
int file_reread(int fd, struct buf *b, size_t max)
{
	off_t at = 0;

	buf_reset(b);
	for (;;) {
		ssize_t n;

		if (buf_reserve(b, READ_STEP))
			return -ENOMEM;
		n = pread(fd, b->data + b->len, b->cap - b->len - 1, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		at += n;
		b->len += n;
		if (b->len > max)
			return -EFBIG;
	}
	b->data[b->len] = 0;
	return 0;
}

int file_read_at(int dir_fd, const char *path, struct buf *b, size_t max)
{
	cleanup_close int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : file_reread(fd, b, max);
}

int file_read(const char *path, struct buf *b, size_t max)
{
	return file_read_at(AT_FDCWD, path, b, max);
}

/* Opens a fresh temporary file beside o->path with the mode that open(2) would have given. */
static int open_temporary(struct output *o)
{
	mode_t mask = umask(0);
	size_t len = strlen(o->path) + sizeof(".XXXXXX");

	umask(mask);
	o->temporary = malloc(len);
	if (!o->temporary)
		return -ENOMEM;
	snprintf(o->temporary, len, "%s.XXXXXX", o->path);
	o->fd = mkostemp(o->temporary, O_CLOEXEC);
	if (o->fd < 0) {
		int err = -errno;

		free(TAKE_PTR(o->temporary));
		return err;
	}
	fchmod(o->fd, 0666 & ~mask);
	return 0;
}

int output_open(struct output *o, const char *path)
{
	struct stat st;
	int err = 0;

	*o = OUTPUT_INIT;
	if (!path || strcmp(path, "-") == 0) {
		o->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
		return o->fd < 0 ? -errno : 0;
	}
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return -EISDIR;
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		o->fd = open(path, O_WRONLY | O_CLOEXEC);
		return o->fd < 0 ? -errno : 0;
	}
	if (access(path, F_OK) == 0 && access(path, W_OK) != 0)
		return -errno;
	o->path = strdup(path);
	err = o->path ? open_temporary(o) : -ENOMEM;
	if (err)
		output_release(o);
	return err;
}

/* Waits until some bytes can be written without blocking, calling o->idle meanwhile; how many may be written at once. */
static size_t wait_writable(const struct output *o, size_t len)
{
	struct pollfd p = { .fd = o->fd, .events = POLLOUT };

	if (!o->idle || o->temporary)
		return len;
	while (poll(&p, 1, IDLE_MS) == 0)
		o->idle(o->idle_context);
	/* A pipe that polls writable takes this much, not more, without blocking. */
	return MIN(len, PIPE_BUF);
}

int output_write(struct output *o, const void *data, size_t len)
{
	off_t start = o->temporary ? lseek(o->fd, 0, SEEK_CUR) : -1;
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(o->fd, (const char *)data + done, wait_writable(o, len - done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int err = -errno;

			if (start >= 0 && ftruncate(o->fd, start) == 0)
				lseek(o->fd, start, SEEK_SET);
			return err;
		}
		done += n;
	}
	return 0;
}

int output_replace(struct output *o, const void *data, size_t len)
{
	int err;

	if (!o->path)
		return output_write(o, data, len);
	if (!o->temporary) {
		err = open_temporary(o);
		if (err)
			return err;
	}
	err = output_write(o, data, len);
	if (!err && rename(o->temporary, o->path) < 0)
		err = -errno;
	if (err)
		return err;
	free(TAKE_PTR(o->temporary));
	if (close(TAKE_FD(o->fd)) < 0)
		err = -errno;
	return err;
}

int output_commit(struct output *o)
{
	int err = 0;

	if (o->temporary) {
		if (fsync(o->fd) < 0 && errno != EINVAL && errno != EROFS)
			err = -errno;
		if (!err && rename(o->temporary, o->path) < 0)
			err = -errno;
		if (!err)
			free(TAKE_PTR(o->temporary));
	}
	if (o->fd >= 0 && close(TAKE_FD(o->fd)) < 0 && !err)
		err = -errno;
	output_release(o);
	return err;
}

void output_release(struct output *o)
{
	if (o->fd >= 0)
		close(o->fd);
	if (o->temporary)
		unlink(o->temporary);
	free(o->temporary);
	free(o->path);
	*o = OUTPUT_INIT;
}
