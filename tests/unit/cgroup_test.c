// SPDX-License-Identifier: BSD-2-Clause
/*
 * The parsers, and the search in a tree of plain directories: what the search needs of cgroup2 is only that a
 * directory's inode number is its id. One test, for root on a machine with cgroup2, is on the real thing.
 */
#include "suite.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/macros.h"
#include "probe/cgroup.h"

START_TEST(member_lines)
{
	static const struct {
		const char *text, *path;
	} cases[] = {
		{ "0::/\n", "/" },
		{ "0::/system.slice/nginx.service\n", "/system.slice/nginx.service" },
		{ "0::/system.slice/nginx.service", "/system.slice/nginx.service" },
		{ "9:name=systemd:/a\n4:memory:/b/0::/c\n1:cpu,cpuacct:/\n0::/user.slice\n",
		  "/user.slice" },
		{ "0::/gone (deleted)\n", "/gone" },
		{ "0::/ (deleted)\n", "/" },
		{ "0::/a b:c\n", "/a b:c" },
		{ "1:name=systemd:/a\n", NULL },
		{ "0::\n", NULL },
		{ "", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *path = cgroup_parse(cases[i].text);

		ck_assert_pstr_eq(path, cases[i].path);
		free(path);
	}
}
END_TEST

START_TEST(mounts)
{
	static const struct {
		const char *text, *root, *prefix;
	} cases[] = {
		{ "25 1 0:23 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
		  "/sys/fs/cgroup", "" },
		{ "22 1 0:21 / /proc rw - proc proc rw\n"
		  "30 24 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
		  "31 24 0:27 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
		  "/sys/fs/cgroup/unified", "" },
		/* a container without a cgroup namespace: its own cgroup is bound there */
		{ "31 24 0:27 /docker/0123 /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
		  "/sys/fs/cgroup", "/docker/0123" },
		{ "31 24 0:27 / /mnt/with\\040blank\\134 rw - cgroup2 none rw\n",
		  "/mnt/with blank\\", "" },
		{ "31 24 0:27 / /mnt/odd\\04 rw - cgroup2 none rw\n", "/mnt/odd\\04", "" },
		{ "30 24 0:26 / /a rw - cgroup cgroup rw\n31 24 0:27 / /b rw - tmpfs x - cgroup2\n",
		  NULL, NULL },
		{ "31 24 0:27\n - cgroup2 x\n", NULL, NULL },
		{ "", NULL, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *root = NULL, *prefix = NULL;

		ck_assert_int_eq(cgroup_parse_mount(cases[i].text, &root, &prefix),
				 cases[i].root ? 0 : -ENOENT);
		ck_assert_pstr_eq(root, cases[i].root);
		ck_assert_pstr_eq(prefix, cases[i].prefix);
		free(root);
		free(prefix);
	}
}
END_TEST

/* A tree of directories; made() gives the id of one. */
static char top[] = "/tmp/mbtrace-cgroup.XXXXXX";

static uint64_t made(const char *path)
{
	char whole[512];
	struct stat st;

	snprintf(whole, sizeof(whole), "%s%s", top, path);
	ck_assert(mkdir(whole, 0700) == 0 || errno == EEXIST);
	ck_assert_int_eq(stat(whole, &st), 0);
	return st.st_ino;
}

static void removed(const char *path)
{
	char whole[512];

	snprintf(whole, sizeof(whole), "%s%s", top, path);
	ck_assert_int_eq(rmdir(whole), 0);
}

START_TEST(walked)
{
	uint64_t root, slice, service, late;
	struct cgroups *c;

	ck_assert_ptr_nonnull(mkdtemp(top));
	root = made("");
	slice = made("/system.slice");
	service = made("/system.slice/nginx.service");
	c = cgroups_new(top);
	ck_assert_ptr_nonnull(c);
	ck_assert_str_eq(cgroup_path(c, service, 0), "/system.slice/nginx.service");
	ck_assert_str_eq(cgroup_path(c, slice, 0), "/system.slice");
	ck_assert_str_eq(cgroup_path(c, root, 0), "/");
	/* Made just after a walk: found by a later one. */
	late = made("/late");
	ck_assert_ptr_null(cgroup_path(c, late, 0));
	usleep(1100000);
	ck_assert_str_eq(cgroup_path(c, late, 0), "/late");
	/* What was found stays known. */
	removed("/system.slice/nginx.service");
	ck_assert_str_eq(cgroup_path(c, service, 0), "/system.slice/nginx.service");
	ck_assert_ptr_null(cgroup_path(c, UINT64_MAX, 0));
	ck_assert_ptr_null(cgroup_path(c, UINT64_MAX, getpid()));
	ck_assert_uint_gt(cgroups_bytes(c), 0);
	cgroups_free(c);
	removed("/system.slice");
	removed("/late");
	removed("");
}
END_TEST

START_TEST(memory_is_bounded)
{
	struct cgroups *c = cgroups_new("/nonexistent");

	for (uint64_t id = 1; id <= 100000; id++)
		ck_assert_ptr_null(cgroup_path(c, id, 0));
	ck_assert_uint_lt(cgroups_bytes(c), 2 << 20);
	cgroups_free(c);
	cgroups_free(NULL);
}
END_TEST

START_TEST(own_cgroup)
{
	struct cgroups *c = cgroups_new(NULL);
	struct buf text = BUF_INIT;
	char *root = NULL, *prefix = NULL, *path = NULL, directory[8192];
	struct stat st;

	ck_assert_int_eq(file_read("/proc/self/mountinfo", &text, 1 << 22), 0);
	if (cgroup_parse_mount(buf_str(&text), &root, &prefix) == 0 && !*prefix &&
	    file_read("/proc/self/cgroup", &text, 1 << 20) == 0 &&
	    (path = cgroup_parse(buf_str(&text)))) {
		snprintf(directory, sizeof(directory), "%s%s", root, path);
		ck_assert_int_eq(stat(directory, &st), 0);
		ck_assert_str_eq(cgroup_path(c, st.st_ino, getpid()), path);
	}
	free(path);
	free(root);
	free(prefix);
	buf_release(&text);
	cgroups_free(c);
}
END_TEST

SUITE("cgroup", member_lines, mounts, walked, memory_is_bounded, own_cgroup)
