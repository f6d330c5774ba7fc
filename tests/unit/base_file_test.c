// SPDX-License-Identifier: BSD-2-Clause
/* Files read whole, outputs that are whole or not there. The disk that is full is a tiny tmpfs, which takes root. */
#include "suite.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/macros.h"

static char folder[64];

static const char *in_folder(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void make_folder(void)
{
	snprintf(folder, sizeof(folder), "/tmp/mbtrace-file.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

/* Entries of the folder besides itself and its parent. */
static int count_entries(void)
{
	DIR *dir = opendir(folder);
	int n = -2;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void must_hold(const char *path, const char *text)
{
	struct buf b = BUF_INIT;

	ck_assert_int_eq(file_read(path, &b, 1 << 20), 0);
	ck_assert_str_eq(buf_str(&b), text);
	buf_release(&b);
}

static void remove_folder(void)
{
	ck_assert_int_eq(rmdir(folder), 0);
}

START_TEST(reading)
{
	struct buf b = BUF_INIT;
	int fd;

	ck_assert_int_eq(file_read("/nonexistent/file", &b, 100), -ENOENT);
	ck_assert_int_eq(file_read("/", &b, 100), -EISDIR);
	ck_assert_int_eq(file_read("/proc/self/status", &b, 1 << 20), 0);
	ck_assert_ptr_nonnull(strstr(b.data, "Pid:"));
	ck_assert_int_eq(file_read("/proc/self/status", &b, 10), -EFBIG);
	ck_assert_int_eq(file_read("/dev/null", &b, 10), 0);
	ck_assert_str_eq(buf_str(&b), "");
	/* The same descriptor again and again gives what is there now. */
	fd = open("/proc/self/stat", O_RDONLY);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(file_reread(fd, &b, 1 << 20), 0);
		ck_assert_int_eq(strtol(b.data, NULL, 10), getpid());
	}
	close(fd);
	/* Longer than a step, and as long as is allowed. */
	ck_assert_int_eq(file_read("/dev/zero", &b, 100000), -EFBIG);
	ck_assert_uint_lt(b.cap, 400000);
	buf_release(&b);
}
END_TEST

START_TEST(committed)
{
	struct output o;
	struct stat st;
	mode_t mask = umask(027);

	make_folder();
	ck_assert_int_eq(output_open(&o, in_folder("out")), 0);
	ck_assert_int_eq(output_write(&o, "one\n", 4), 0);
	/* Nobody sees half a file. */
	ck_assert_int_eq(access(in_folder("out"), F_OK), -1);
	ck_assert_int_eq(output_write(&o, "two\n", 4), 0);
	ck_assert_int_eq(output_commit(&o), 0);
	must_hold(in_folder("out"), "one\ntwo\n");
	ck_assert_int_eq(stat(in_folder("out"), &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0640);
	/* Replaced as a whole, and only then. */
	ck_assert_int_eq(output_open(&o, in_folder("out")), 0);
	ck_assert_int_eq(output_write(&o, "three\n", 6), 0);
	must_hold(in_folder("out"), "one\ntwo\n");
	ck_assert_int_eq(output_commit(&o), 0);
	must_hold(in_folder("out"), "three\n");
	ck_assert_int_eq(count_entries(), 1);
	unlink(in_folder("out"));
	remove_folder();
	umask(mask);
}
END_TEST

START_TEST(abandoned)
{
	struct output o;

	make_folder();
	ck_assert_int_eq(output_open(&o, in_folder("out")), 0);
	ck_assert_int_eq(output_write(&o, "one\n", 4), 0);
	ck_assert_int_eq(count_entries(), 1);
	output_release(&o);
	output_release(&o);
	ck_assert_int_eq(count_entries(), 0);
	ck_assert_int_eq(output_open(&o, in_folder("no/out")), -ENOENT);
	ck_assert_int_eq(output_open(&o, folder), -EISDIR);
	remove_folder();
}
END_TEST

START_TEST(replaced)
{
	struct output o;

	make_folder();
	ck_assert_int_eq(output_open(&o, in_folder("out")), 0);
	for (int i = 0; i < 3; i++) {
		char text[8];

		snprintf(text, sizeof(text), "%d\n", i);
		ck_assert_int_eq(output_replace(&o, text, 2), 0);
		must_hold(in_folder("out"), text);
		ck_assert_int_eq(count_entries(), 1);
	}
	ck_assert_int_eq(output_commit(&o), 0);
	must_hold(in_folder("out"), "2\n");
	unlink(in_folder("out"));
	remove_folder();
}
END_TEST

START_TEST(in_place)
{
	struct output o;
	char text[8] = "";
	int fd;

	ck_assert_int_eq(output_open(&o, "/dev/null"), 0);
	ck_assert_int_eq(output_write(&o, "x", 1), 0);
	ck_assert_int_eq(output_commit(&o), 0);
	ck_assert_int_eq(output_open(&o, "/dev/full"), 0);
	ck_assert_int_eq(output_write(&o, "x", 1), -ENOSPC);
	output_release(&o);

	make_folder();
	ck_assert_int_eq(mkfifo(in_folder("fifo"), 0600), 0);
	fd = open(in_folder("fifo"), O_RDWR | O_NONBLOCK);
	ck_assert_int_eq(output_open(&o, in_folder("fifo")), 0);
	ck_assert_int_eq(output_write(&o, "abc", 3), 0);
	ck_assert_int_eq(output_commit(&o), 0);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 3);
	ck_assert_str_eq(text, "abc");
	close(fd);
	unlink(in_folder("fifo"));
	remove_folder();
}
END_TEST

START_TEST(closed_pipe)
{
	struct output o = OUTPUT_INIT;
	int ends[2];

	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(pipe(ends), 0);
	close(ends[0]);
	o.fd = ends[1];
	ck_assert_int_eq(output_write(&o, "x", 1), -EPIPE);
	output_release(&o);
}
END_TEST

START_TEST(not_writable)
{
	struct output o;

	if (geteuid() == 0)
		return; /* root may write anywhere */
	make_folder();
	close(open(in_folder("out"), O_CREAT | O_WRONLY, 0400));
	ck_assert_int_eq(output_open(&o, in_folder("out")), -EACCES);
	ck_assert_int_eq(chmod(folder, 0500), 0);
	ck_assert_int_eq(output_open(&o, in_folder("new")), -EACCES);
	chmod(folder, 0700);
	unlink(in_folder("out"));
	remove_folder();
}
END_TEST

/* What was written before the disk was full is whole lines, and the file that was there stays. */
START_TEST(full_disk)
{
	char line[1000];
	struct output o;
	struct stat st;
	int err, written = 0;

	if (geteuid() || unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return;
	make_folder();
	ck_assert_int_eq(mount("tmpfs", folder, "tmpfs", 0, "size=64k"), 0);
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	ck_assert_int_eq(output_open(&o, in_folder("out")), 0);
	while (!(err = output_write(&o, line, sizeof(line))))
		written++;
	ck_assert_int_eq(err, -ENOSPC);
	ck_assert_int_gt(written, 0);
	ck_assert_int_eq(fstat(o.fd, &st), 0);
	ck_assert_int_eq(st.st_size, written * (int)sizeof(line));
	/* What is there can still be put in place. */
	ck_assert_int_eq(output_commit(&o), 0);
	ck_assert_int_eq(stat(in_folder("out"), &st), 0);
	ck_assert_int_eq(st.st_size, written * (int)sizeof(line));
	ck_assert_int_eq(count_entries(), 1);
	ck_assert_int_eq(umount(folder), 0);
	remove_folder();
}
END_TEST

SUITE("base file", reading, committed, abandoned, replaced, in_place, closed_pipe, not_writable,
      full_disk)
