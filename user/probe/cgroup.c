// SPDX-License-Identifier: BSD-2-Clause
#include "probe/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/macros.h"
#include "base/map.h"

/*
 * DESIGN. Programs give an id; people want a path. libbpf has no call for that, and the kernel's only direct way, opening a
 * file handle made of the id, needs a capability that the agent gives up. A living member's own /proc entry costs one read
 * and is right nearly always; the walk serves for cgroups whose members are all gone. What was found is never asked again.
 */
#define PATH_MAX_LEN 4096 /* no longer path can be opened */
#define MOUNTINFO_MAX (4 << 20) /* a host with thousands of containers has this many mounts */
#define ENTRIES_MAX 8192 /* remembered cgroups: 1 MiB or so; one systemd host has hundreds */
#define WALK_DEPTH_MAX 64 /* deeper than any hierarchy; each level holds a descriptor open */
#define WALK_PAUSE_NS NSEC_PER_SEC
#define WALK_SHARE 100 /* a walk that took t is not repeated within t times this */
#define MISSING_NS \
	(10 * NSEC_PER_SEC) /* an id that was not found is not looked for again so soon */

/* open_by_handle_at(2) of kernfs: the handle is the id. Linux 5.5. */
#define FILEID_KERNFS 0xfe

struct entry {
	uint64_t id;
	uint64_t missing_until; /* monotonic; 0: it has a path */
	bool recent; /* asked for since the last time room was made */
	char path[];
};

struct cgroups {
	struct map by_id;
	char *root, *prefix; /* the mount point, and which cgroup it shows; NULL: not mounted */
	int root_fd;
	bool no_handles; /* opening by id is refused here */
	uint64_t walk_after; /* monotonic */
	struct buf text;
};

char *cgroup_parse(const char *text)
{
	static const char deleted[] = " (deleted)";
	const size_t gone = sizeof(deleted) - 1;

	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t len;

		if (strncmp(line, "0::/", 4) != 0)
			continue;
		line += 3;
		len = strcspn(line, "\n");
		if (len > gone && strncmp(line + len - gone, deleted, gone) == 0)
			len -= gone;
		return strndup(line, len);
	}
	return NULL;
}

/* A copy of the word at `text`, in which mountinfo writes blanks as \040 and the like. */
static char *copy_unescaped(const char *text)
{
	size_t len = strcspn(text, " \n"), n = 0;
	char *copy = malloc(len + 1);

	if (!copy)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		unsigned int octal;

		if (text[i] == '\\' && i + 3 < len && sscanf(text + i + 1, "%3o", &octal) == 1 &&
		    octal < 256) {
			copy[n++] = (char)octal;
			i += 3;
		} else {
			copy[n++] = text[i];
		}
	}
	copy[n] = 0;
	return copy;
}

/* The word after `n` blanks on this line; NULL when the line has fewer. */
static const char *word(const char *line, int n)
{
	for (; n > 0; n--) {
		line += strcspn(line, " \n");
		if (*line != ' ')
			return NULL;
		line++;
	}
	return line;
}

int cgroup_parse_mount(const char *text, char **ret_root, char **ret_prefix)
{
	enum { INSIDE = 3, WHERE = 4 };
	char *root, *prefix;

	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		const char *type = strstr(line, " - "), *inside = word(line, INSIDE),
			   *where = word(line, WHERE);

		if (!type || type > line + strcspn(line, "\n") ||
		    strncmp(type, " - cgroup2 ", 11) != 0 || !where)
			continue;
		root = copy_unescaped(where);
		prefix = copy_unescaped(inside);
		if (!root || !prefix) {
			free(root);
			free(prefix);
			return -ENOMEM;
		}
		if (strcmp(prefix, "/") == 0)
			*prefix = 0;
		*ret_root = root;
		*ret_prefix = prefix;
		return 0;
	}
	return -ENOENT;
}

struct cgroups *cgroups_new(const char *root)
{
	struct cgroups *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->root_fd = -1;
	if (root) {
		c->root = strdup(root);
		c->prefix = strdup("");
		if (!c->root || !c->prefix) {
			cgroups_free(c);
			return NULL;
		}
	} else if (!file_read("/proc/self/mountinfo", &c->text, MOUNTINFO_MAX)) {
		cgroup_parse_mount(buf_str(&c->text), &c->root, &c->prefix);
	}
	if (c->root)
		c->root_fd = open(c->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return c;
}

void cgroups_free(struct cgroups *c)
{
	void *entry;

	if (!c)
		return;
	for (size_t i = 0; (entry = map_next(&c->by_id, &i));)
		free(entry);
	map_release(&c->by_id);
	if (c->root_fd >= 0)
		close(c->root_fd);
	buf_release(&c->text);
	free(c->root);
	free(c->prefix);
	free(c);
}

static bool drop_old(void *value, void *context)
{
	struct entry *entry = value;

	if (entry->recent) {
		entry->recent = false;
		return false;
	}
	free(entry);
	return true;
}

/* Remembers a path, or NULL for an id that was not found. NULL without memory. */
static struct entry *remember(struct cgroups *c, uint64_t id, const char *path)
{
	size_t len = path ? strlen(path) : 0;
	struct entry *entry = map_get(&c->by_id, id);

	if (entry && path && strcmp(entry->path, path) == 0)
		return entry;
	/* Whatever was not asked for since last time goes; if that is nothing, the next round takes all. */
	if (c->by_id.count >= ENTRIES_MAX)
		map_remove_if(&c->by_id, drop_old, NULL);
	if (c->by_id.count >= ENTRIES_MAX)
		map_remove_if(&c->by_id, drop_old, NULL);
	free(map_remove(&c->by_id, id));
	entry = calloc(1, sizeof(*entry) + len + 1);
	if (!entry)
		return NULL;
	entry->id = id;
	entry->recent = true;
	entry->missing_until = path ? 0 : clock_monotonic_ns() + MISSING_NS;
	memcpy(entry->path, path ? path : "", len);
	if (map_put(&c->by_id, id, entry)) {
		free(entry);
		return NULL;
	}
	return entry;
}

/* `path` relative to the mount point, "." for its root; NULL when it is not below what is mounted there. */
static const char *below_mount(const struct cgroups *c, const char *path)
{
	size_t n = strlen(c->prefix);

	if (strncmp(path, c->prefix, n) != 0 || (path[n] && path[n] != '/'))
		return NULL;
	path += n;
	path += strspn(path, "/");
	return *path ? path : ".";
}

static struct entry *find_by_member(struct cgroups *c, uint64_t id, uint32_t pid)
{
	cleanup_free char *path = NULL;
	const char *relative;
	char name[64];
	struct stat st;

	snprintf(name, sizeof(name), "/proc/%u/cgroup", pid);
	if (!pid || file_read(name, &c->text, PATH_MAX_LEN * 4))
		return NULL;
	path = cgroup_parse(buf_str(&c->text));
	if (!path)
		return NULL;
	/* Where v2 is not mounted there is nothing to check against, and no other way. */
	if (c->root_fd < 0)
		return remember(c, id, path);
	/* It may have moved since, or the pid may be another process's now. */
	relative = below_mount(c, path);
	if (!relative || fstatat(c->root_fd, relative, &st, AT_SYMLINK_NOFOLLOW) || st.st_ino != id)
		return NULL;
	return remember(c, id, path);
}

/* The path of an open cgroup directory, as a whole; "" when it is not below the mount point. */
static void path_of_fd(struct cgroups *c, int fd, struct buf *ret_path)
{
	char link[64], target[PATH_MAX_LEN];
	size_t n = strlen(c->root);
	ssize_t len;

	buf_reset(ret_path);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, target, sizeof(target) - 1);
	if (len < 0)
		return;
	target[len] = 0;
	if (strncmp(target, c->root, n) != 0 || (target[n] && target[n] != '/'))
		return;
	buf_printf(ret_path, "%s%s", c->prefix, target + n);
	if (!ret_path->len)
		buf_addc(ret_path, '/');
}

static struct entry *find_by_handle(struct cgroups *c, uint64_t id)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + sizeof(uint64_t)];
	} h = { .handle = { .handle_bytes = sizeof(id), .handle_type = FILEID_KERNFS } };
	cleanup_close int fd = -1;

	if (c->root_fd < 0 || c->no_handles)
		return NULL;
	memcpy(h.room + offsetof(struct file_handle, f_handle), &id, sizeof(id));
	fd = open_by_handle_at(c->root_fd, &h.handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		c->no_handles = errno != ESTALE && errno != ENOENT;
		return NULL;
	}
	path_of_fd(c, fd, &c->text);
	return c->text.len ? remember(c, id, buf_str(&c->text)) : NULL;
}

/* Remembers every cgroup below the directory, whose path so far is in `path`. Takes over fd. */
static void walk(struct cgroups *c, int fd, struct buf *path, int depth)
{
	DIR *dir = fdopendir(fd);
	size_t len = path->len;
	struct dirent *d;

	if (!dir) {
		close(fd);
		return;
	}
	while ((d = readdir(dir)) && !path->failed) {
		int below;

		if (d->d_type != DT_DIR || d->d_name[0] == '.')
			continue;
		buf_printf(path, "/%s", d->d_name);
		/* For kernfs the inode number of the entry is the id. */
		remember(c, d->d_ino, buf_str(path));
		below = depth < WALK_DEPTH_MAX ?
				openat(dirfd(dir), d->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) :
				-1;
		if (below >= 0)
			walk(c, below, path, depth + 1);
		path->len = len;
		path->data[len] = 0;
	}
	closedir(dir);
}

/* Looks at every cgroup there is; false when it is too soon to do so again. */
static bool walk_all(struct cgroups *c)
{
	cleanup_buf struct buf path = BUF_INIT;
	uint64_t start = clock_monotonic_ns();
	struct stat st;
	int fd;

	if (c->root_fd < 0)
		return true;
	if (start < c->walk_after)
		return false;
	fd = openat(c->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return true;
	buf_reserve(&path, PATH_MAX_LEN);
	buf_adds(&path, c->prefix);
	if (!fstat(fd, &st))
		remember(c, st.st_ino, path.len ? path.data : "/");
	walk(c, fd, &path, 0);
	c->walk_after = clock_monotonic_ns();
	c->walk_after += MAX(WALK_PAUSE_NS, (c->walk_after - start) * WALK_SHARE);
	return true;
}

/* The entry of an id that has a path, or NULL. */
static struct entry *known(const struct cgroups *c, uint64_t id)
{
	struct entry *entry = map_get(&c->by_id, id);

	return entry && !entry->missing_until ? entry : NULL;
}

const char *cgroup_path(struct cgroups *c, uint64_t id, uint32_t pid)
{
	struct entry *entry = known(c, id);

	if (!entry)
		entry = find_by_member(c, id, pid);
	if (!entry) {
		const struct entry *missing = map_get(&c->by_id, id);

		if (missing && clock_monotonic_ns() < missing->missing_until)
			return NULL;
		entry = find_by_handle(c, id);
	}
	if (!entry && walk_all(c)) {
		entry = known(c, id);
		if (!entry)
			remember(c, id, NULL);
	}
	if (!entry)
		return NULL;
	entry->recent = true;
	return entry->path;
}

size_t cgroups_bytes(const struct cgroups *c)
{
	size_t bytes = sizeof(*c) + map_bytes(&c->by_id) + c->text.cap;
	const struct entry *entry;

	for (size_t i = 0; (entry = map_next(&c->by_id, &i));)
		bytes += sizeof(*entry) + strlen(entry->path) + 1;
	return bytes;
}
