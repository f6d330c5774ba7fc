// SPDX-License-Identifier: BSD-2-Clause
#include "metric/filter.h"

#include <string.h>

#define COMM_MAX 15 /* bytes of a name that the kernel keeps */

bool filter_comm(const char *wanted, const char *comm)
{
	return !wanted || (comm && strncmp(comm, wanted, COMM_MAX) == 0);
}

bool filter_cgroup(const char *wanted, const char *cgroup)
{
	size_t len;

	if (!wanted)
		return true;
	len = strlen(wanted);
	while (len && wanted[len - 1] == '/')
		len--;
	return cgroup && strncmp(cgroup, wanted, len) == 0 && (!cgroup[len] || cgroup[len] == '/');
}
