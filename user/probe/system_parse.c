// SPDX-License-Identifier: BSD-2-Clause
#include "probe/system_parse.h"

#include <math.h>
#include <string.h>

#include "base/macros.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The number at *text after blanks, moving past it; false when there is none. Saturates at 2^64-1. */
static bool parse_number(const char **text, uint64_t *ret_value)
{
	const char *p = *text;
	uint64_t value = 0;

	while (*p == ' ' || *p == '\t')
		p++;
	if (!is_digit(*p))
		return false;
	for (; is_digit(*p); p++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			value = UINT64_MAX;
	*text = p;
	*ret_value = value;
	return true;
}

static const char *next_line(const char *text)
{
	const char *end = strchr(text, '\n');

	return end ? end + 1 : text + strlen(text);
}

/* What follows `name` at the start of this line, or NULL. The name includes what must end it. */
static const char *after_name(const char *line, const char *name)
{
	size_t len = strlen(name);

	return strncmp(line, name, len) == 0 ? line + len : NULL;
}

/* The number after `name` at the start of some line; METRIC_NULL when no line has it. */
static uint64_t named_number(const char *text, const char *name)
{
	uint64_t value;

	for (; *text; text = next_line(text)) {
		const char *at = after_name(text, name);

		if (at && parse_number(&at, &value))
			return value;
	}
	return METRIC_NULL;
}

int stat_parse(const char *text, struct stat_figures *ret_stat)
{
	enum { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL, COLUMNS };
	uint64_t column[COLUMNS] = { 0 };
	const char *at = after_name(text, "cpu ");
	struct stat_figures stat = { 0 };

	if (!at)
		return -EBADMSG;
	/* Columns were only ever added at the end: steal is the last that matters. */
	for (int i = 0; i < COLUMNS && parse_number(&at, &column[i]); i++)
		if (i == IDLE)
			stat.cpus = 1; /* a line for each CPU is missing without SMP */
	if (!stat.cpus)
		return -EBADMSG;
	stat.cpu = (struct cpu_times){ .user = column[USER] + column[NICE],
				       .system = column[SYSTEM] + column[IRQ] + column[SOFTIRQ],
				       .idle = column[IDLE],
				       .iowait = column[IOWAIT],
				       .steal = column[STEAL] };
	text = next_line(text);
	for (unsigned int n = 1; (at = after_name(text, "cpu")) && is_digit(*at);
	     n++, text = next_line(text))
		stat.cpus = n;
	stat.switches = named_number(text, "ctxt ");
	*ret_stat = stat;
	return 0;
}

int memory_parse(const char *text, struct memory_figures *ret_memory)
{
	uint64_t total = named_number(text, "MemTotal:"),
		 available = named_number(text, "MemAvailable:");
	uint64_t swap_total = named_number(text, "SwapTotal:"),
		 swap_free = named_number(text, "SwapFree:");

	if (total == METRIC_NULL)
		return -EBADMSG;
	*ret_memory = (struct memory_figures){ total * 1024, METRIC_NULL, METRIC_NULL };
	if (available != METRIC_NULL)
		ret_memory->available = available * 1024;
	if (swap_total != METRIC_NULL && swap_free <= swap_total)
		ret_memory->swap_used = (swap_total - swap_free) * 1024;
	return 0;
}

int fault_parse(const char *text, struct fault_figures *ret_fault)
{
	uint64_t all = named_number(text, "pgfault "), major = named_number(text, "pgmajfault ");

	if (all == METRIC_NULL || major == METRIC_NULL)
		return -EBADMSG;
	*ret_fault = (struct fault_figures){ all, major };
	return 0;
}

/* The total at the end of the line "some avg10=… total=N" of that name. */
static uint64_t pressure_total(const char *text, const char *name)
{
	uint64_t value;

	for (; *text; text = next_line(text)) {
		const char *at = after_name(text, name), *end = next_line(text);

		at = at ? strstr(at, "total=") : NULL;
		if (!at || at >= end)
			continue;
		at += strlen("total=");
		if (parse_number(&at, &value))
			return value;
	}
	return METRIC_NULL;
}

int pressure_parse(const char *text, struct pressure_figures *ret_pressure)
{
	uint64_t some = pressure_total(text, "some ");

	if (some == METRIC_NULL)
		return -EBADMSG;
	/* Before 5.13 the file of the CPU has no line "full". */
	*ret_pressure = (struct pressure_figures){ some, pressure_total(text, "full ") };
	return 0;
}

bool interface_parse(const char **text, struct interface_figures *ret_interface)
{
	enum { RX_BYTES, RX_DROPPED = 3, TX_BYTES = 8, TX_DROPPED = 11, COLUMNS };

	for (const char *line = *text; *line; line = next_line(line)) {
		const char *name = line + strspn(line, " "), *colon = name + strcspn(name, ":|\n"),
			   *at = colon + 1;
		uint64_t column[COLUMNS];
		size_t len = colon - name;
		int n = 0;

		if (*colon != ':' || !len || len >= INTERFACE_NAME_LEN)
			continue;
		while (n < COLUMNS && parse_number(&at, &column[n]))
			n++;
		if (n < COLUMNS)
			continue;
		*ret_interface = (struct interface_figures){ .rx_bytes = column[RX_BYTES],
							     .rx_dropped = column[RX_DROPPED],
							     .tx_bytes = column[TX_BYTES],
							     .tx_dropped = column[TX_DROPPED] };
		memcpy(ret_interface->name, name, len);
		*text = next_line(line);
		return true;
	}
	*text += strlen(*text);
	return false;
}

static double growth(uint64_t before, uint64_t after)
{
	return after > before ? (double)(after - before) : 0;
}

void cpu_shares(const struct cpu_times *before, const struct cpu_times *after, double capacity,
		struct system_metrics *ret_shares)
{
	double user = growth(before->user, after->user),
	       system = growth(before->system, after->system);
	double steal = growth(before->steal, after->steal),
	       iowait = growth(before->iowait, after->iowait);
	double idle = growth(before->idle, after->idle), busy = user + system + steal,
	       all = busy + iowait + idle;

	/* Half as much again as there can be, and then some for ticks booked late in a short interval: a jump. */
	if (after->idle < before->idle || all > 1.5 * capacity + 10) {
		iowait = MIN(iowait, MAX(capacity - busy, 0));
		all = MAX(capacity, busy + iowait);
	}
	if (all <= 0)
		user = system = steal = iowait = busy = NAN;
	ret_shares->cpu_util_pct = 100 * busy / all;
	ret_shares->cpu_user_pct = 100 * user / all;
	ret_shares->cpu_system_pct = 100 * system / all;
	ret_shares->cpu_iowait_pct = 100 * iowait / all;
	ret_shares->cpu_steal_pct = 100 * steal / all;
}

double pressure_share(uint64_t before_us, uint64_t after_us, uint64_t elapsed_ns)
{
	double share;

	if (before_us == METRIC_NULL || after_us == METRIC_NULL || !elapsed_ns)
		return NAN;
	/* The kernel books a stall when it ends or when its averages are made: more than the interval's may come at once. */
	share = 100 * growth(before_us, after_us) * 1000 / elapsed_ns;
	return MIN(share, 100);
}
