// SPDX-License-Identifier: BSD-2-Clause
/*
 * fault - page faults of each kind, a known number of them.
 *
 *	fault touch PAGES		in user mode, one for each fresh page
 *	fault kernel PAGES		in the kernel: read(2) into fresh pages
 *	fault file FILE PAGES		of a file whose pages are not in memory
 *	fault slow FAULTS MS		each served after MS milliseconds by a thread (userfaultfd), so that the kernel tries it twice
 *
 * Says {"ready": true}, works on a line of input, says how many faults the kernel counted for it meanwhile and how many it
 * provoked, and ends at the end of input. {"skip": "why"} where it cannot.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static size_t page;

static void die(const char *what)
{
	fprintf(stderr, "fault: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void skip(const char *why)
{
	printf("{\"skip\": \"%s\"}\n", why);
	fflush(stdout);
	exit(0);
}

static char *fresh_pages(size_t n)
{
	char *pages =
		mmap(NULL, n * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		die("mmap");
	/* One fault a page, not one for 512 of them. */
	madvise(pages, n * page, MADV_NOHUGEPAGE);
	return pages;
}

static void touch(char *pages, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((volatile char *)pages)[i * page] = 1;
}

static void fault_in_kernel(char *pages, size_t n)
{
	int fd = open("/dev/zero", O_RDONLY);

	for (size_t i = 0; i < n; i++)
		if (read(fd, pages + i * page, 1) != 1)
			die("read");
	close(fd);
}

/* A file of n pages, written out and dropped from memory. */
static const char *cold_file(const char *path, size_t n)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	char *zeros = calloc(n, page);
	const char *pages;

	if (fd < 0 || !zeros || write(fd, zeros, n * page) != (ssize_t)(n * page) || fsync(fd))
		die(path);
	free(zeros);
	if (posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		die("fadvise");
	pages = mmap(NULL, n * page, PROT_READ, MAP_SHARED, fd, 0);
	if (pages == MAP_FAILED)
		die("mmap");
	madvise((void *)pages, n * page, MADV_RANDOM);
	close(fd);
	return pages;
}

static void look(const char *pages, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)((const volatile char *)pages)[i * page];
}

static int handler_fd;
static long delay_ms;

/* Serves each fault late. */
static void *serve(void *arg)
{
	static char zeros[65536];
	struct uffd_msg msg;

	while (read(handler_fd, &msg, sizeof(msg)) == sizeof(msg)) {
		struct uffdio_copy copy = { .dst = msg.arg.pagefault.address & ~(page - 1),
					    .src = (unsigned long)zeros,
					    .len = page };

		nanosleep(&(struct timespec){ .tv_nsec = delay_ms * 1000000 }, NULL);
		ioctl(handler_fd, UFFDIO_COPY, &copy);
	}
	return arg;
}

static char *slow_pages(size_t n)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .range.len = n * page, .mode = UFFDIO_REGISTER_MODE_MISSING };
	char *pages = fresh_pages(n);
	pthread_t thread;

	handler_fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (handler_fd < 0 || ioctl(handler_fd, UFFDIO_API, &api))
		skip("no userfaultfd here");
	range.range.start = (unsigned long)pages;
	if (ioctl(handler_fd, UFFDIO_REGISTER, &range))
		skip("userfaultfd cannot be registered");
	if (pthread_create(&thread, NULL, serve, NULL))
		die("pthread_create");
	return pages;
}

static void wait_for_line(void)
{
	char c;

	while (read(0, &c, 1) == 1)
		if (c == '\n')
			return;
	exit(0);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 2 ? argv[1] : "";
	int file = strcmp(mode, "file") == 0;
	size_t n = file && argc < 4 ? 0 : strtoul(argv[argc > 2 ? 2 + file : 0], NULL, 10);
	struct rusage before, after;
	char *pages = NULL;
	char c;

	page = sysconf(_SC_PAGESIZE);
	if (!n) {
		fprintf(stderr,
			"usage: fault touch|kernel PAGES, fault file FILE PAGES, fault slow FAULTS MS\n");
		return 2;
	}
	if (file) {
		pages = (char *)cold_file(argv[2], n);
	} else if (strcmp(mode, "slow") == 0 && argc > 3) {
		delay_ms = strtol(argv[3], NULL, 10);
		pages = slow_pages(n);
	} else {
		pages = fresh_pages(n);
	}
	puts("{\"ready\": true}");
	fflush(stdout);
	wait_for_line();
	getrusage(RUSAGE_SELF, &before);
	if (file)
		look(pages, n);
	else if (strcmp(mode, "kernel") == 0)
		fault_in_kernel(pages, n);
	else
		touch(pages, n);
	getrusage(RUSAGE_SELF, &after);
	printf("{\"provoked\": %zu, \"minflt\": %ld, \"majflt\": %ld}\n", n,
	       after.ru_minflt - before.ru_minflt, after.ru_majflt - before.ru_majflt);
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	if (file)
		unlink(argv[2]);
	return 0;
}
