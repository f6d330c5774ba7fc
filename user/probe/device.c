// SPDX-License-Identifier: BSD-2-Clause
#include "probe/device.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/macros.h"
#include "base/map.h"

#define SECTOR 512
#define SYSFS_PATH 320 /* a file name and what stands around it */
#define DISKSTATS_MAX (4u << 20) /* 100 bytes a line: 40,000 devices */

bool diskstats_next(const char **at, struct diskstats *ret_line)
{
	while (**at) {
		struct diskstats d = { .discards = METRIC_NULL,
				       .discard_bytes = METRIC_NULL,
				       .flushes = METRIC_NULL };
		const char *line = *at, *end = line + strcspn(line, "\n");
		char text[512];
		int fields;

		*at = *end ? end + 1 : end;
		snprintf(text, sizeof(text), "%.*s",
			 (int)MIN(end - line, (ptrdiff_t)sizeof(text) - 1), line);
		fields = sscanf(text,
				"%u %u %31s %" SCNu64 " %*u %" SCNu64 " %*u %" SCNu64 " %*u %" SCNu64
				" %*u %*u %*u %*u %" SCNu64 " %*u %" SCNu64 " %*u %" SCNu64,
				&d.major, &d.minor, d.name, &d.reads, &d.read_bytes, &d.writes,
				&d.write_bytes, &d.discards, &d.discard_bytes, &d.flushes);
		if (fields < 7)
			continue;
		d.read_bytes *= SECTOR;
		d.write_bytes *= SECTOR;
		if (fields >= 9)
			d.discard_bytes *= SECTOR;
		for (char *slash; (slash = strchr(d.name, '/'));)
			*slash = '!';
		*ret_line = d;
		return true;
	}
	return false;
}

/* The number at *at, which it moves past; false if there is none. */
static bool skip_number(const char **at)
{
	const char *start = *at;

	while (isdigit((unsigned char)**at))
		(*at)++;
	return *at > start;
}

void device_show_name(char *name)
{
	const char *at = name, *path;

	if (strncmp(name, "nvme", 4) != 0)
		return;
	at += 4;
	if (!skip_number(&at) || *at != 'c')
		return;
	path = at++;
	if (!skip_number(&at) || *at != 'n')
		return;
	memmove(name + (path - name), at, strlen(at) + 1);
}

bool device_name(unsigned int major, unsigned int minor, char *ret_name)
{
	char path[64], target[512];
	const char *base;
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major, minor);
	n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return false;
	target[n] = 0;
	base = strrchr(target, '/');
	snprintf(ret_name, DEVICE_NAME_LEN, "%.*s", DEVICE_NAME_LEN - 1, base ? base + 1 : target);
	return true;
}

static bool exists(const char *name, const char *below)
{
	char path[SYSFS_PATH];
	struct stat st;

	snprintf(path, sizeof(path), "/sys/block/%s%s", name, below);
	return stat(path, &st) == 0;
}

enum device_kind device_kind_of(const char *name)
{
	if (!exists(name, "/queue"))
		return DEVICE_PARTITION;
	return exists(name, "/mq") ? DEVICE_REQUEST : DEVICE_BIO;
}

/* Whether the kernel notes when requests are issued. It does while something uses the queue's statistics:
 * writeback throttling, even when it is off, and then the file can be read. */
static bool is_stamped(const char *name, struct buf *text)
{
	char path[SYSFS_PATH];

	snprintf(path, sizeof(path), "/sys/block/%s/queue/wbt_lat_usec", name);
	return file_read(path, text, 64) == 0;
}

static bool is_empty(const char *name, struct buf *text)
{
	char path[SYSFS_PATH];

	snprintf(path, sizeof(path), "/sys/block/%s/size", name);
	return file_read(path, text, 64) == 0 && strcmp(buf_str(text), "0\n") == 0;
}

unsigned int device_count(bool *ret_all_stamped)
{
	cleanup_buf struct buf text = BUF_INIT;
	DIR *dir = opendir("/sys/block");
	struct dirent *entry;
	unsigned int n = 0;

	*ret_all_stamped = true;
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || device_kind_of(entry->d_name) != DEVICE_REQUEST)
			continue;
		n++;
		/* Loop devices that nothing is behind, empty drives. */
		if (!is_empty(entry->d_name, &text) && !is_stamped(entry->d_name, &text))
			*ret_all_stamped = false;
	}
	if (dir)
		closedir(dir);
	return n;
}

/* A device of /proc/diskstats. */
struct watched {
	struct diskstats before;
	enum device_kind kind;
};

struct device_watch {
	struct map by_number; /* major << 20 | minor → struct watched */
	struct buf text;
	bool primed; /* devices that appear from now on have counted from zero */
};

struct device_watch *device_watch_new(void)
{
	return calloc(1, sizeof(struct device_watch));
}

void device_watch_free(struct device_watch *w)
{
	struct watched *d;

	if (!w)
		return;
	for (size_t i = 0; (d = map_next(&w->by_number, &i));)
		free(d);
	map_release(&w->by_number);
	buf_release(&w->text);
	free(w);
}

/* The entry of a device, made when it or its name is new. NULL without memory. */
static struct watched *watched_of(struct device_watch *w, const struct diskstats *line)
{
	uint64_t number = (uint64_t)line->major << 20 | line->minor;
	struct watched *d = map_get(&w->by_number, number);
	bool fresh = !d;

	if (d && strcmp(d->before.name, line->name) == 0)
		return d;
	if (fresh) {
		d = calloc(1, sizeof(*d));
		if (!d || map_put(&w->by_number, number, d)) {
			free(d);
			return NULL;
		}
	}
	d->kind = device_kind_of(line->name);
	d->before = *line;
	if (w->primed || !fresh) {
		d->before.reads = d->before.read_bytes = d->before.writes = d->before.write_bytes = 0;
		d->before.discards = d->before.discard_bytes = d->before.flushes = 0;
	}
	return d;
}

/* A device that another of the same number and name has replaced counts from zero. */
static uint64_t growth(uint64_t now, uint64_t before)
{
	if (now == METRIC_NULL)
		return METRIC_NULL;
	return now >= before ? now - before : now;
}

static struct device_metrics *find_row(const struct snapshot *s, const char *name)
{
	for (size_t i = 0; i < s->n_devices; i++)
		if (strcmp(s->devices[i].dev, name) == 0)
			return &s->devices[i];
	return NULL;
}

static int add_growth(struct snapshot *s, const struct diskstats *now, const struct diskstats *before)
{
	struct block_metrics io = {
		.reads = growth(now->reads, before->reads),
		.read_bytes = growth(now->read_bytes, before->read_bytes),
		.writes = growth(now->writes, before->writes),
		.write_bytes = growth(now->write_bytes, before->write_bytes),
		.flushes = growth(now->flushes, before->flushes),
		.discards = growth(now->discards, before->discards),
		.discard_bytes = growth(now->discard_bytes, before->discard_bytes),
	};
	bool flushed = io.flushes && io.flushes != METRIC_NULL,
	     discarded = io.discards && io.discards != METRIC_NULL;
	struct device_metrics *row;

	if ((!io.reads && !io.writes && !flushed && !discarded) || find_row(s, now->name))
		return 0;
	row = snapshot_add_device(s);
	if (!row)
		return -ENOMEM;
	/* Errors, times and order stay unknown. The row's distributions keep their memory. */
	row->dev = snapshot_text(s, now->name);
	row->io.reads = io.reads;
	row->io.read_bytes = io.read_bytes;
	row->io.writes = io.writes;
	row->io.write_bytes = io.write_bytes;
	row->io.flushes = io.flushes;
	row->io.discards = io.discards;
	row->io.discard_bytes = io.discard_bytes;
	return row->dev ? 0 : -ENOMEM;
}

int device_watch_read(struct device_watch *w, struct snapshot *s)
{
	struct diskstats line;
	int err = file_read("/proc/diskstats", &w->text, DISKSTATS_MAX);

	if (err)
		return err;
	for (const char *at = buf_str(&w->text); diskstats_next(&at, &line);) {
		struct watched *d = watched_of(w, &line);

		if (!d)
			return -ENOMEM;
		if (d->kind != DEVICE_BIO)
			continue;
		err = s ? add_growth(s, &line, &d->before) : 0;
		if (err)
			return err;
		d->before = line;
	}
	w->primed = true;
	return 0;
}
