// SPDX-License-Identifier: BSD-2-Clause
/*
 * The block probe by itself, on a loop device of its own: its counts are the kernel's own (/sys/block/NAME/stat) in each way of
 * attaching, and every loss is made to happen and seen to be counted. The loop device lies over a file on a tmpfs of
 * limited size, so that writes can be made to fail.
 */
#include "../unit/suite.h"

#include <bpf/btf.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/macros.h"
#include "probe/all.h"
#include "probe/object.h"
#include "probe/process.h"

#define BLOCK 4096
#define DEVICE_SIZE (16u << 20)
#define TMPFS_SIZE "12m"
#define TMPFS_HOLDS (12u << 20)
#define DEPTH 64

/* What /sys/block/NAME/stat counts. */
struct stat_counts {
	uint64_t reads, read_bytes, writes, write_bytes, discards, discard_bytes, flushes;
};

static char device[64], name[32], folder[] = "/tmp/block-test-XXXXXX";
static int device_fd = -1, direct_fd = -1;
static void *page;

/* Makes a loop device over a file, which this closes. */
static void device_open(int backing, uint32_t flags)
{
	struct loop_config config = { .fd = backing,
				      .block_size = BLOCK,
				      .info.lo_flags = LO_FLAGS_AUTOCLEAR | flags };
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

	/* Another may take the free device before us. */
	for (int i = 0; i < 10 && device_fd < 0; i++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);

		ck_assert_int_ge(number, 0);
		snprintf(name, sizeof(name), "loop%d", number);
		snprintf(device, sizeof(device), "/dev/%s", name);
		device_fd = open(device, O_RDWR | O_CLOEXEC);
		if (device_fd >= 0 && ioctl(device_fd, LOOP_CONFIGURE, &config))
			close(TAKE_FD(device_fd));
	}
	ck_assert_int_ge(device_fd, 0);
	direct_fd = open(device, O_RDWR | O_DIRECT | O_CLOEXEC);
	ck_assert_int_ge(direct_fd, 0);
	close(backing);
	close(control);
}

static void device_close(void)
{
	close(TAKE_FD(direct_fd));
	close(TAKE_FD(device_fd));
}

static void device_setup(void)
{
	char backing[64];
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(mount("tmpfs", folder, "tmpfs", 0, "size=" TMPFS_SIZE), 0);
	snprintf(backing, sizeof(backing), "%s/image", folder);
	fd = open(backing, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, DEVICE_SIZE), 0);
	ck_assert_int_eq(posix_memalign(&page, BLOCK, BLOCK * DEPTH), 0);
	memset(page, 'm', BLOCK * DEPTH);
	device_open(fd, 0);
	umount2(folder, MNT_DETACH);
	rmdir(folder);
}

static void device_teardown(void)
{
	device_close();
	free(page);
}

static struct stat_counts stat_read(void)
{
	cleanup_buf struct buf text = BUF_INIT;
	struct stat_counts c = { 0 };
	char path[64];

	snprintf(path, sizeof(path), "/sys/block/%s/stat", name);
	ck_assert_int_eq(file_read(path, &text, 4096), 0);
	ck_assert_int_ge(sscanf(text.data,
				"%lu %*u %lu %*u %lu %*u %lu %*u %*u %*u %*u %lu %*u %lu %*u %lu",
				&c.reads, &c.read_bytes, &c.writes, &c.write_bytes, &c.discards,
				&c.discard_bytes, &c.flushes),
			 4);
	c.read_bytes *= 512;
	c.write_bytes *= 512;
	c.discard_bytes *= 512;
	return c;
}

static uint64_t stat_requests(const struct stat_counts *c)
{
	return c->reads + c->writes + c->discards + c->flushes;
}

static uint64_t requests_of(const struct device_metrics *d)
{
	return d->io.reads + d->io.writes + d->io.discards + d->io.flushes;
}

/* A probe under test with what it has told so far. */
struct trial {
	struct probe_settings settings;
	struct probe *probe;
	struct probe_status status;
	struct snapshot *snapshot;
	struct stat_counts before;
};

/* The kernel's BTF as if it lacked some typed tracepoints: a letter of their names is changed. */
static struct btf *btf_without(const char *const *missing)
{
	struct btf *real = kernel_btf_load(), *btf;
	const void *raw;
	uint32_t size;
	char *copy;

	ck_assert_ptr_nonnull(real);
	raw = btf__raw_data(real, &size);
	copy = malloc(size);
	memcpy(copy, raw, size);
	for (; *missing; missing++) {
		char *at = memmem(copy, size, *missing, strlen(*missing) + 1);

		/* This kernel may lack it anyway. */
		if (at)
			*at = '_';
	}
	btf = btf__new(copy, size);
	ck_assert_ptr_nonnull(btf);
	free(copy);
	btf__free(real);
	return btf;
}

static void trial_begin(struct trial *t, const char *const *missing, uint32_t slots,
			uint32_t table_entries)
{
	static const char *const none[] = { NULL };

	*t = (struct trial){ .settings = { .processes = process_table_new(),
					   .btf = btf_without(missing ?: none),
					   .sources = 1u << SOURCE_BLOCK,
					   .possible_cpus = 64,
					   .slots = slots,
					   .ring_bytes = 65536,
					   .table_entries = table_entries },
			     .snapshot = snapshot_new() };
	t->before = stat_read();
	ck_assert_msg(block_probe.open(&t->settings, &t->probe, &t->status) == 0, "%s",
		      t->status.reason);
}

/* Reads what happened since the begin or the last read. */
static const struct device_metrics *trial_read(struct trial *t)
{
	snapshot_reset(t->snapshot);
	memset(&t->snapshot->trust, 0, sizeof(t->snapshot->trust));
	ck_assert_int_eq(block_probe.read(t->probe, t->snapshot), 0);
	for (size_t i = 0; i < t->snapshot->n_devices; i++)
		if (strcmp(t->snapshot->devices[i].dev, name) == 0)
			return &t->snapshot->devices[i];
	return NULL;
}

static void trial_end(struct trial *t)
{
	block_probe.close(t->probe);
	snapshot_free(t->snapshot);
	process_table_free(t->settings.processes);
	btf__free((struct btf *)t->settings.btf);
}

/* The sums of all processes of this pid. */
static void process_counts(const struct trial *t, pid_t pid, uint64_t *ret_reads,
			   uint64_t *ret_writes, uint64_t *ret_timed)
{
	struct process *p;

	*ret_reads = *ret_writes = *ret_timed = 0;
	for (size_t i = 0; (p = process_next(t->settings.processes, &i));)
		if (p->pid == (uint32_t)pid) {
			*ret_reads += p->now.reads;
			*ret_writes += p->now.writes;
			*ret_timed += p->now.io_latency.count;
		}
}

static void read_blocks(unsigned int n, unsigned int stride)
{
	for (unsigned int i = 0; i < n; i++)
		ck_assert_int_eq(pread(direct_fd, page, BLOCK, (off_t)i * stride % 1024 * BLOCK),
				 BLOCK);
}

static void write_blocks(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		ck_assert_int_eq(pwrite(direct_fd, page, BLOCK, (off_t)i * BLOCK), BLOCK);
}

/* Writes that are each made permanent: the data is a step of a flush sequence. */
static void write_durably(unsigned int n)
{
	int fd = open(device, O_RDWR | O_DIRECT | O_DSYNC | O_CLOEXEC);

	for (unsigned int i = 0; i < n; i++)
		ck_assert_int_eq(pwrite(fd, page, BLOCK, (off_t)i * BLOCK), BLOCK);
	close(fd);
}

/* DEPTH reads at once; `stride` 1 lets the kernel merge them. */
static void read_at_once(unsigned int stride)
{
	struct iocb blocks[DEPTH], *list[DEPTH];
	struct io_event events[DEPTH];
	aio_context_t context = 0;
	int done = 0;

	ck_assert_int_eq(syscall(SYS_io_setup, DEPTH, &context), 0);
	for (int i = 0; i < DEPTH; i++) {
		list[i] = &blocks[i];
		blocks[i] = (struct iocb){ .aio_fildes = direct_fd,
					   .aio_lio_opcode = IOCB_CMD_PREAD,
					   .aio_buf = (uintptr_t)page + (uint64_t)i * BLOCK,
					   .aio_nbytes = BLOCK,
					   .aio_offset = (off_t)i * stride * BLOCK };
	}
	ck_assert_int_eq(syscall(SYS_io_submit, context, DEPTH, list), DEPTH);
	while (done < DEPTH) {
		int n = syscall(SYS_io_getevents, context, 1, DEPTH, events, NULL);

		ck_assert_int_gt(n, 0);
		for (int i = 0; i < n; i++)
			ck_assert_int_eq(events[i].res, BLOCK);
		done += n;
	}
	syscall(SYS_io_destroy, context);
}

/* The device's row is what the kernel counted meanwhile, and all of it has a latency but writes without data. */
static void check_device(const struct trial *t, const struct device_metrics *d, uint64_t without_data)
{
	struct stat_counts now = stat_read();

	ck_assert_ptr_nonnull(d);
	/* The kernel wakes who waits for a request before it counts it. */
	for (int i = 0; i < 200 && stat_requests(&now) < stat_requests(&t->before) + requests_of(d);
	     i++) {
		usleep(10000);
		now = stat_read();
	}
	ck_assert_uint_eq(d->io.reads, now.reads - t->before.reads);
	ck_assert_uint_eq(d->io.read_bytes, now.read_bytes - t->before.read_bytes);
	ck_assert_uint_eq(d->io.writes, now.writes - t->before.writes);
	ck_assert_uint_eq(d->io.write_bytes, now.write_bytes - t->before.write_bytes);
	ck_assert_uint_eq(d->io.discards, now.discards - t->before.discards);
	ck_assert_uint_eq(d->io.discard_bytes, now.discard_bytes - t->before.discard_bytes);
	ck_assert_uint_eq(d->io.flushes, now.flushes - t->before.flushes);
	ck_assert(d->io.latency.known);
	ck_assert_uint_eq(d->io.latency.count + without_data, d->io.reads + d->io.writes);
}

/* Everything once: single, many at once, merged, flushes, discards. */
static void check_counts(const char *const *missing)
{
	uint64_t range[2] = { 0, 8 * BLOCK }, reads, writes, timed;
	const struct device_metrics *d;
	bool knows_starts;
	struct trial t;

	trial_begin(&t, missing, 64, 1024);
	knows_starts = kernel_has_typed_tracepoint(t.settings.btf, "block_io_start");
	read_blocks(100, 1);
	read_at_once(2);
	read_at_once(1);
	write_blocks(50);
	ck_assert_int_eq(fsync(direct_fd), 0);
	ck_assert_int_eq(ioctl(direct_fd, BLKDISCARD, range), 0);
	write_blocks(1);
	ck_assert_int_eq(fsync(direct_fd), 0);
	d = trial_read(&t);
	ck_assert_ptr_nonnull(d);
	check_device(&t, d, d->io.writes - 51);
	ck_assert_uint_eq(d->io.read_bytes, (100 + 2 * DEPTH) * BLOCK);
	ck_assert_uint_eq(d->io.write_bytes, 51 * BLOCK);
	ck_assert_uint_eq(d->io.errors, 0);
	ck_assert_uint_eq(d->io.discards, 1);
	process_counts(&t, getpid(), &reads, &writes, &timed);
	ck_assert_uint_eq(reads, d->io.reads);
	/* A fsync's flush is a write without data, whose start old kernels do not show. */
	ck_assert_uint_eq(writes, knows_starts ? d->io.writes : 51);
	ck_assert_uint_eq(timed, reads + 51);
	ck_assert_uint_eq(t.snapshot->trust.map_full, 0);
	ck_assert_uint_eq(t.snapshot->trust.discarded, 0);
	trial_end(&t);
}

START_TEST(counts_with_types)
{
	check_counts(NULL);
}
END_TEST

START_TEST(counts_without_types)
{
	check_counts((const char *[]){ "btf_trace_block_rq_complete", NULL });
}
END_TEST

START_TEST(counts_without_io_start)
{
	check_counts((const char *[]){ "btf_trace_block_io_start", NULL });
}
END_TEST

START_TEST(counts_with_neither)
{
	check_counts((const char *[]){ "btf_trace_block_rq_complete", "btf_trace_block_io_start",
				       NULL });
}
END_TEST

/* The data of a flush sequence ends once when it is written, and its request once more when the cache was flushed. */
START_TEST(flush_sequences_count_once)
{
	uint64_t reads, writes, timed;
	const struct device_metrics *d;
	struct trial t;

	trial_begin(&t, NULL, 64, 1024);
	write_durably(20);
	d = trial_read(&t);
	ck_assert_ptr_nonnull(d);
	check_device(&t, d, d->io.writes - 20);
	ck_assert_uint_eq(d->io.write_bytes, 20 * BLOCK);
	ck_assert_uint_ge(d->io.flushes, 20);
	process_counts(&t, getpid(), &reads, &writes, &timed);
	if (kernel_has_typed_tracepoint(t.settings.btf, "block_io_start"))
		ck_assert_uint_eq(writes, d->io.writes);
	trial_end(&t);
}
END_TEST

/* The file below ends inside a request: the device completes that in two parts, the second with an error. */
START_TEST(parts_of_a_request)
{
	const char *where = getenv("TMPDIR") ?: "/tmp";
	const struct device_metrics *d;
	char path[128];
	struct trial t;
	int fd, kept;

	snprintf(path, sizeof(path), "%s/block-test-XXXXXX", where);
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	unlink(path);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(write(fd, page, DEPTH * BLOCK), DEPTH * BLOCK);
	ck_assert_int_eq(fsync(fd), 0);
	kept = dup(fd);
	device_close();
	device_open(fd, LO_FLAGS_DIRECT_IO);
	trial_begin(&t, NULL, 64, 1024);
	ck_assert_int_eq(pread(direct_fd, page, DEPTH * BLOCK, 0), DEPTH * BLOCK);
	ck_assert_int_eq(ftruncate(kept, 3 * DEPTH * BLOCK / 2), 0);
	ck_assert_int_le(pread(direct_fd, page, DEPTH * BLOCK, DEPTH * BLOCK), DEPTH * BLOCK);
	d = trial_read(&t);
	check_device(&t, d, 0);
	ck_assert_uint_ge(d->io.reads, 2);
	close(kept);
	trial_end(&t);
}
END_TEST

/* 64 requests at once in a table of four: the device's counts stay exact, the rest is said to be missing. */
START_TEST(table_too_small)
{
	uint64_t reads, writes, timed;
	const struct device_metrics *d;
	struct trial t;

	trial_begin(&t, NULL, 64, 4);
	read_at_once(2);
	d = trial_read(&t);
	check_device(&t, d, 0);
	ck_assert_uint_eq(d->io.reads, DEPTH);
	process_counts(&t, getpid(), &reads, &writes, &timed);
	/* Other devices' requests have some of the four places at times. */
	ck_assert_uint_lt(reads, DEPTH);
	ck_assert_uint_ge(t.snapshot->trust.map_full, DEPTH - reads);
	ck_assert_uint_ge(t.snapshot->trust.unattributed, DEPTH - reads);
	trial_end(&t);
}
END_TEST

/* Requests of two processes, room for one. */
START_TEST(slots_too_few)
{
	const struct device_metrics *d;
	uint64_t reads, writes, timed;
	struct trial t;
	int status;
	pid_t child;

	trial_begin(&t, NULL, 1, 1024);
	/* On a busy machine another process may have got the slot: it is then us who are missing. */
	read_blocks(10, 2);
	child = fork();
	if (child == 0) {
		ssize_t n = 0;

		for (int i = 0; i < 10; i++)
			n += pread(direct_fd, page, BLOCK, (off_t)i * BLOCK);
		_exit(n != 10 * BLOCK);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	d = trial_read(&t);
	check_device(&t, d, 0);
	ck_assert_uint_eq(d->io.reads, 20);
	ck_assert_uint_ge(t.snapshot->trust.map_full, 10);
	process_counts(&t, child, &reads, &writes, &timed);
	ck_assert_uint_eq(reads, 0);
	trial_end(&t);
}
END_TEST

/* The kernel's statistics are off: it counts nothing and notes no creation time; we do. */
START_TEST(iostats_off)
{
	const struct device_metrics *d;
	struct stat_counts before, after;
	char path[64];
	struct trial t;
	int fd;

	snprintf(path, sizeof(path), "/sys/block/%s/queue/iostats", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(write(fd, "0", 1), 1);
	trial_begin(&t, NULL, 64, 1024);
	before = stat_read();
	read_blocks(1, 1);
	trial_read(&t);
	read_blocks(20, 1);
	write_blocks(5);
	d = trial_read(&t);
	after = stat_read();
	ck_assert_int_eq(pwrite(fd, "1", 1, 0), 1);
	close(fd);
	ck_assert_uint_eq(after.reads, before.reads);
	ck_assert_ptr_nonnull(d);
	ck_assert_uint_eq(d->io.reads, 20);
	ck_assert_uint_eq(d->io.read_bytes, 20 * BLOCK);
	ck_assert_uint_eq(d->io.writes, 5);
	ck_assert_uint_eq(d->io.latency.count, 25);
	ck_assert_uint_eq(d->io.queue.count, 25);
	ck_assert_uint_lt(d->io.latency.sum, 25 * 60000000000ull);
	trial_end(&t);
}
END_TEST

/* The file below cannot grow any more. */
START_TEST(errors_are_counted)
{
	const struct device_metrics *d;
	unsigned int failed = 0;
	struct trial t;

	trial_begin(&t, NULL, 64, 1024);
	for (off_t at = 0; at < DEVICE_SIZE; at += DEPTH * BLOCK)
		failed += pwrite(direct_fd, page, DEPTH * BLOCK, at) < 0;
	d = trial_read(&t);
	check_device(&t, d, 0);
	ck_assert_uint_ge(failed, (DEVICE_SIZE - TMPFS_HOLDS) / (DEPTH * BLOCK));
	ck_assert_uint_ge(d->io.errors, failed);
	ck_assert_uint_lt(d->io.errors, d->io.writes);
	trial_end(&t);
}
END_TEST

START_TEST(sequence_is_judged)
{
	const struct device_metrics *d;
	struct trial t;

	trial_begin(&t, NULL, 64, 1024);
	read_blocks(101, 1);
	d = trial_read(&t);
	ck_assert_ptr_nonnull(d);
	/* All but perhaps the first. */
	ck_assert_double_ge(d->sequential_pct, 99);
	read_blocks(101, 3);
	d = trial_read(&t);
	ck_assert_ptr_nonnull(d);
	ck_assert_double_le(d->sequential_pct, 1);
	trial_end(&t);
}
END_TEST

/* Requests that others were merged to after they began: the next one follows where they end then. */
START_TEST(merged_sequence_is_judged)
{
	const struct device_metrics *d;
	struct trial t;

	trial_begin(&t, NULL, 64, 1024);
	read_blocks(1, 1);
	for (int i = 0; i < 20; i++) {
		read_at_once(1);
		ck_assert_int_eq(pread(direct_fd, page, BLOCK, (off_t)DEPTH * BLOCK), BLOCK);
	}
	d = trial_read(&t);
	ck_assert_ptr_nonnull(d);
	/* (5.10 does not merge them.) */
	/* Each round's 64 blocks begin elsewhere; the block read after them follows. */
	ck_assert_double_ge(d->sequential_pct, 45);
	trial_end(&t);
}
END_TEST

/* Sets a number below /proc/sys/vm; the one it had, or -1. */
static long vm_set(const char *what, long value)
{
	char path[64], text[32];
	long before = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sys/vm/%s", what);
	f = fopen(path, "r+");
	if (f && fgets(text, sizeof(text), f)) {
		before = strtol(text, NULL, 10);
		rewind(f);
		fprintf(f, "%ld\n", value);
	}
	if (f)
		fclose(f);
	return before;
}

/* Pages written through the cache and left there: a kernel thread writes them in the end. */
START_TEST(writeback_is_nobodys)
{
	uint64_t reads, writes, timed;
	const struct device_metrics *d;
	struct process *writeback;
	long expire, wake;
	struct trial t;

	trial_begin(&t, NULL, 64, 1024);
	for (int i = 0; i < 16; i++)
		ck_assert_int_eq(pwrite(device_fd, page, BLOCK, (off_t)i * 2 * BLOCK), BLOCK);
	/* Not sync(): it writes some itself. */
	expire = vm_set("dirty_expire_centisecs", 1);
	wake = vm_set("dirty_writeback_centisecs", 10);
	for (int i = 0; i < 1000 && stat_read().write_bytes - t.before.write_bytes < 16 * BLOCK; i++)
		usleep(10000);
	vm_set("dirty_expire_centisecs", expire);
	vm_set("dirty_writeback_centisecs", wake);
	usleep(100000);
	d = trial_read(&t);
	check_device(&t, d, 0);
	ck_assert_uint_eq(d->io.write_bytes, 16 * BLOCK);
	writeback = process_find(t.settings.processes, PROCESS_WRITEBACK_KEY);
	ck_assert_ptr_nonnull(writeback);
	ck_assert_uint_ge(writeback->now.writes, 16);
	process_counts(&t, getpid(), &reads, &writes, &timed);
	ck_assert_uint_eq(reads + writes, 0);
	trial_end(&t);
}
END_TEST

/* Where loop devices are a module. */
static void load_loop(void)
{
	pid_t child = access("/dev/loop-control", R_OK) ? fork() : -1;

	if (child == 0) {
		execlp("modprobe", "modprobe", "-q", "loop", NULL);
		_exit(127);
	}
	if (child > 0)
		waitpid(child, NULL, 0);
}

int main(void)
{
	static const char *const needed[] = { "/dev/loop-control", "/sys/kernel/btf/vmlinux" };
	const TTest *tests[] = { counts_with_types,
				 counts_without_types,
				 counts_without_io_start,
				 counts_with_neither,
				 flush_sequences_count_once,
				 parts_of_a_request,
				 table_too_small,
				 slots_too_few,
				 iostats_off,
				 errors_are_counted,
				 sequence_is_judged,
				 merged_sequence_is_judged,
				 writeback_is_nobodys };
	Suite *suite = suite_create("block");
	TCase *tcase = tcase_create("block");
	SRunner *runner = srunner_create(suite);
	int failed;

	load_loop();
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (geteuid() != 0 || access(needed[i], R_OK)) {
			printf("needs root, loop devices and BTF\n");
			return 77;
		}
	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, device_setup, device_teardown);
	tcase_set_timeout(tcase, SUITE_SECONDS);
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
		tcase_add_test(tcase, tests[i]);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
