/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cgroup.h - the path of a cgroup by its id, remembered.
 *
 * An id is that of the unified (v2) hierarchy, as BPF programs see it: the inode number of the cgroup's directory. A path is
 * below the root that this process sees: "/" or "/system.slice/nginx.service". It is found, in this order,
 *
 *	1. in the memory: an id is never another cgroup's, so what was found once stays true;
 *	2. in /proc/PID/cgroup of a member that is alive, checked against the directory's inode number;
 *	3. by opening the directory by its id (CAP_DAC_READ_SEARCH);
 *	4. by walking all cgroups, at most once a second and for at most 1% of the time; the walk is remembered whole.
 *
 * Works where v2 is mounted beside v1 (hybrid), and inside of containers, where cgroups outside are not visible.
 * Not thread-safe.
 */
#ifndef MBTRACE_PROBE_CGROUP_H
#define MBTRACE_PROBE_CGROUP_H

#include <stddef.h>
#include <stdint.h>

struct cgroups;

/* `root` is where a cgroup2 file system is mounted, NULL: wherever it is. NULL without memory; cgroups_free() accepts NULL. */
struct cgroups *cgroups_new(const char *root);
void cgroups_free(struct cgroups *c);

/*
 * The path of the cgroup, or NULL when it cannot be found (it is gone, or not visible from here). `pid` is a member as
 * /proc numbers it, 0: none is known. The text is valid until the next call.
 */
const char *cgroup_path(struct cgroups *c, uint64_t id, uint32_t pid);

size_t cgroups_bytes(const struct cgroups *c);

/* The path in the "0::" line of the text of a /proc/PID/cgroup, copied without a final " (deleted)"; NULL when it has none. */
char *cgroup_parse(const char *text);
/* Where cgroup2 is mounted, from the text of a mountinfo: 0 with two texts to free, -ENOENT or -ENOMEM. `prefix` is
 * the cgroup that is at the mount point's root, "" for the root of all. */
int cgroup_parse_mount(const char *text, char **ret_root, char **ret_prefix);

#endif
