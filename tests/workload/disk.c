// SPDX-License-Identifier: BSD-2-Clause
/*
 * disk - block I/O of known size: disk OPERATION FILE COUNT SIZE
 *
 *	read, write	COUNT direct requests of SIZE bytes, one after another from the start of FILE
 *	randread	the same in a fixed scattered order over COUNT places: no two neighbours follow each other (COUNT > 3)
 *	buffered	COUNT writes of SIZE through the page cache, left there for the kernel to write
 *	fsync		the same, each followed by fsync
 *	threads		as read, but from two threads: the main one and another, half each
 *	discard		COUNT discards of SIZE bytes (FILE is a block device)
 *
 * FILE is a block device or an existing file. SIZE is a multiple of the logical block; with requests no larger than the
 * queue's limit each is exactly one request. Prints what it did, and its own /proc/self/io before and after, as JSON.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ALIGN 4096
#define SCATTER 3 /* stride of randread, made coprime to COUNT */

struct job {
	const char *operation;
	int fd;
	void *data;
	unsigned long count, size, first, stride;
};

static void fail(const char *what)
{
	fprintf(stderr, "disk: %s: %s\n", what, strerror(errno));
	exit(1);
}

static unsigned long gcd(unsigned long a, unsigned long b)
{
	return b ? gcd(b, a % b) : a;
}

/* read_bytes and write_bytes of this process so far. */
static void own_io(unsigned long long *ret_read, unsigned long long *ret_written)
{
	FILE *f = fopen("/proc/self/io", "r");
	char line[128];

	if (!f)
		fail("/proc/self/io");
	while (fgets(line, sizeof(line), f)) {
		sscanf(line, "read_bytes: %llu", ret_read);
		sscanf(line, "write_bytes: %llu", ret_written);
	}
	fclose(f);
}

static void do_one(const struct job *j, unsigned long i)
{
	off_t at = (off_t)(i * j->size);
	uint64_t range[2] = { at, j->size };
	ssize_t n = j->size;

	if (strcmp(j->operation, "read") == 0 || strcmp(j->operation, "randread") == 0 ||
	    strcmp(j->operation, "threads") == 0)
		n = pread(j->fd, j->data, j->size, at);
	else if (strcmp(j->operation, "discard") == 0)
		n = ioctl(j->fd, BLKDISCARD, range) ? -1 : n;
	else
		n = pwrite(j->fd, j->data, j->size, at);
	if (n == (ssize_t)j->size && strcmp(j->operation, "fsync") == 0 && fsync(j->fd))
		n = -1;
	if (n != (ssize_t)j->size)
		fail(j->operation);
}

static void *run(void *context)
{
	const struct job *j = context;

	for (unsigned long i = 0; i < j->count; i++)
		do_one(j, j->first + i * j->stride % (j->stride > 1 ? j->count : ~0ul));
	return NULL;
}

static void run_threads(struct job *j)
{
	struct job other = *j;
	pthread_t thread;

	j->count /= 2;
	other.count -= j->count;
	other.first = j->count;
	if (posix_memalign(&other.data, ALIGN, other.size) ||
	    pthread_create(&thread, NULL, run, &other))
		fail("thread");
	run(j);
	pthread_join(thread, NULL);
	free(other.data);
	j->count += other.count;
}

int main(int argc, char **argv)
{
	unsigned long long read_before = 0, written_before = 0, read_after = 0, written_after = 0;
	struct job j = { .stride = 1 };
	int cached;

	if (argc != 5) {
		fprintf(stderr,
			"usage: disk read|write|randread|buffered|fsync|threads|discard FILE COUNT SIZE\n");
		return 2;
	}
	j.operation = argv[1];
	j.count = strtoul(argv[3], NULL, 0);
	j.size = strtoul(argv[4], NULL, 0);
	cached = strcmp(j.operation, "buffered") == 0 || strcmp(j.operation, "fsync") == 0;
	if (strcmp(j.operation, "randread") == 0)
		for (j.stride = SCATTER; gcd(j.stride, j.count) != 1;)
			j.stride++;
	j.fd = open(argv[2], O_RDWR | O_CLOEXEC | (cached ? 0 : O_DIRECT));
	if (j.fd < 0)
		fail(argv[2]);
	if (posix_memalign(&j.data, ALIGN, j.size))
		fail("memory");
	memset(j.data, 'm', j.size);

	own_io(&read_before, &written_before);
	if (strcmp(j.operation, "threads") == 0)
		run_threads(&j);
	else
		run(&j);
	own_io(&read_after, &written_after);
	printf("{\"pid\":%d,\"operation\":\"%s\",\"requests\":%lu,\"bytes\":%lu,\"read_bytes\":%llu,\"write_bytes\":%llu}\n",
	       (int)getpid(), j.operation, j.count, j.count * j.size, read_after - read_before,
	       written_after - written_before);
	return 0;
}
