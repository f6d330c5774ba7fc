// SPDX-License-Identifier: BSD-2-Clause
#include "agent/self.h"

#include <fcntl.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/macros.h"

#define PROC_TEXT_MAX 256
#define EVENT_NS_MAX 2000.0 /* no event costs more: what few events seem to show is chance */
#define MAP_LOOKS \
	60 /* maps have fixed sizes, but for storage: adding them up this often is enough */

/* The whole number behind so many others in the text read last. */
static uint64_t field(const struct self *self, unsigned int n)
{
	const char *p = buf_str(&self->text);

	while (n--)
		p += strcspn(p, " ") + 1;
	return strtoull(p, NULL, 10);
}

/* Reads a small file anew into self->text, which is empty when that fails. */
static void read_text(struct self *self, int fd)
{
	if (fd < 0 || file_reread(fd, &self->text, PROC_TEXT_MAX))
		buf_reset(&self->text);
}

/* Whether the kernel counts the run time of programs all the time. */
static bool run_time_is_counted(struct self *self)
{
	read_text(self, self->stats_fd);
	return self->text.len && field(self, 0);
}

/* Resident memory, and what of it is neither files' nor that of mapped maps. */
static void read_memory(struct self *self, uint64_t *ret_resident)
{
	uint64_t page = sysconf(_SC_PAGESIZE);

	read_text(self, self->statm_fd);
	*ret_resident = self->text.len ? field(self, 1) * page : 0;
	self->private_bytes = self->text.len ? *ret_resident - field(self, 2) * page : 0;
}

void self_init(struct self *self, const struct sources *sources)
{
	*self = (struct self){ .statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC),
			       .stats_fd = open("/proc/sys/kernel/bpf_stats_enabled",
						O_RDONLY | O_CLOEXEC) };
	self->trial_fd = sources_count_bpf();
	self->cpu_before = clock_process_cpu_ns();
	self->stats_before = run_time_is_counted(self);
	self_rebase(self, sources);
	self->trial_before = self->bpf_before;
}

void self_rebase(struct self *self, const struct sources *sources)
{
	self->bpf_before = sources_bpf_ns(sources);
	self->map_bytes = sources_map_bytes(sources);
	self->map_age = 0;
}

void self_measure(struct self *self, const struct sources *sources, struct self_metrics *ret)
{
	uint64_t cpu = clock_process_cpu_ns();
	bool stats = run_time_is_counted(self);

	ret->cpu_ns = cpu - self->cpu_before;
	self->cpu_before = cpu;
	read_memory(self, &ret->rss_bytes);
	if (stats) {
		uint64_t bpf = sources_bpf_ns(sources);

		/* A probe that was closed takes its past with it. */
		if (self->stats_before && bpf >= self->bpf_before)
			ret->bpf_ns = bpf - self->bpf_before;
		self->bpf_before = bpf;
	}
	self->stats_before = stats;
	if (++self->map_age >= MAP_LOOKS) {
		self->map_bytes = sources_map_bytes(sources);
		self->map_age = 0;
	}
	ret->map_bytes = self->map_bytes;
}

/* Ends the trial of the first interval and takes what it showed. */
static void end_trial(struct self *self, const struct sources *sources, uint64_t events)
{
	uint64_t now;

	if (self->trial_fd < 0)
		return;
	now = sources_bpf_ns(sources);
	if (events && now > self->trial_before)
		self->bpf_ns_per_event =
			MIN((double)(now - self->trial_before) / events, EVENT_NS_MAX);
	close(TAKE_FD(self->trial_fd));
}

uint64_t self_cost_ns(struct self *self, const struct sources *sources,
		      const struct self_metrics *m, uint64_t events)
{
	end_trial(self, sources, events);
	if (m->bpf_ns != METRIC_NULL)
		return m->cpu_ns + m->bpf_ns;
	return m->cpu_ns + (uint64_t)(self->bpf_ns_per_event * events);
}

void self_release(struct self *self)
{
	if (self->trial_fd >= 0)
		close(self->trial_fd);
	if (self->statm_fd >= 0)
		close(self->statm_fd);
	if (self->stats_fd >= 0)
		close(self->stats_fd);
	buf_release(&self->text);
}
