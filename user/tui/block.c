// SPDX-License-Identifier: BSD-2-Clause
#include "tui/block.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/macros.h"
#include "tui/figures.h"

#define LABEL_WIDTH 6 /* of "FAULT" and a blank */

void about_set(struct about *a, const struct record_header *h, struct view *v)
{
	const char *host = view_name(v, "host", h->host_name);

	*a = (struct about){ .cpus = h->host_cpus };
	snprintf(a->version, sizeof(a->version), "%s", h->version ? h->version : "");
	snprintf(a->host, sizeof(a->host), "%s", host ? host : "?");
	snprintf(a->kernel, sizeof(a->kernel), "%s", h->host_kernel ? h->host_kernel : "?");
	for (int i = 0; i < SOURCE_COUNT; i++) {
		const struct record_source *source = &h->sources[i];

		if (source->status && strcmp(source->status, "absent") == 0)
			snprintf(a->absent[i], sizeof(a->absent[i]), "%s",
				 source->reason && *source->reason ? source->reason :
								     "the source is absent");
	}
}

static void label(struct screen *out, const char *text)
{
	screen_put(out, STYLE_BOLD, text);
	screen_to(out, LABEL_WIDTH);
}

/*
 * A figure with its name before or behind it, and two blanks behind both. The style is the figure's. One that does not fit ends the
 * line: half a number would be another number.
 */
static void figure(struct screen *out, enum style style, const char *before, const char *text,
		   const char *behind)
{
	unsigned int wide = screen_width_of(out, before) + (*before != 0) +
			    screen_width_of(out, text) + screen_width_of(out, behind);

	if (out->column + wide > out->width) {
		out->column = out->width;
		return;
	}
	if (*before)
		screen_printf(out, STYLE_PLAIN, "%s ", before);
	screen_put(out, style, text);
	screen_printf(out, STYLE_PLAIN, "%s  ", behind);
}

/* Where a figure starts to be worth a look, and where it is bad. */
static enum style grade(double value, double notice, double bad)
{
	return isnan(value)    ? STYLE_PLAIN :
	       value >= bad    ? STYLE_BAD :
	       value >= notice ? STYLE_NOTICE :
				 STYLE_PLAIN;
}

static enum style grade_time(const struct dist *d, enum dist_part part, double notice_ms,
			     double bad_ms)
{
	uint64_t value = d->known && d->count ? dist_part_value(d, part) : DIST_UNKNOWN;

	return value == DIST_UNKNOWN ? STYLE_PLAIN : grade(value / 1e6, notice_ms, bad_ms);
}

static void figure_of_time(struct screen *out, const char *name, const struct dist *d,
			   enum dist_part part, double notice_ms, double bad_ms)
{
	char text[FIGURE_LEN];

	figure(out, grade_time(d, part, notice_ms, bad_ms), name, figure_time(d, part, text), "");
}

static void line_cpu(struct screen *out, const struct snapshot *s)
{
	const struct system_metrics *m = &s->system;
	char t[FIGURE_LEN];

	figure(out, grade(m->cpu_util_pct, 75, 92), "", figure_pct(m->cpu_util_pct, t), "% busy");
	figure(out, STYLE_PLAIN, "user", figure_pct(m->cpu_user_pct, t), "");
	figure(out, STYLE_PLAIN, "sys", figure_pct(m->cpu_system_pct, t), "");
	figure(out, grade(m->cpu_iowait_pct, 15, 40), "iowait", figure_pct(m->cpu_iowait_pct, t), "");
	figure(out, grade(m->cpu_steal_pct, 2, 10), "steal", figure_pct(m->cpu_steal_pct, t), "");
	figure(out, grade(m->cpu_pressure_some_pct, 15, 40), "PSI cpu",
	       figure_pct(m->cpu_pressure_some_pct, t), "");
	figure(out, grade(m->io_pressure_some_pct, 15, 40), "io",
	       figure_pct(m->io_pressure_some_pct, t), "");
}

static void line_sched(struct screen *out, const struct snapshot *s)
{
	const struct system_metrics *m = &s->system;
	char t[FIGURE_LEN];

	figure_of_time(out, "wait p50", &m->runq, PART_P50, 2, 20);
	figure_of_time(out, "p99", &m->runq, PART_P99, 10, 50);
	figure_of_time(out, "max", &m->runq, PART_MAX, 100, 1000);
	figure(out, STYLE_PLAIN, "", figure_rate(m->switches, s->interval_ns, t), " switches/s");
	figure_of_time(out, "slice p50", &m->oncpu, PART_P50, INFINITY, INFINITY);
	figure(out, STYLE_PLAIN, "", figure_rate(m->migrations, s->interval_ns, t), " migrations/s");
}

static void line_memory(struct screen *out, const struct snapshot *s)
{
	const struct system_metrics *m = &s->system;
	bool known = m->memory_total_bytes != METRIC_NULL && m->memory_available_bytes != METRIC_NULL;
	uint64_t used = known ? m->memory_total_bytes - m->memory_available_bytes : METRIC_NULL;
	double share = known && m->memory_total_bytes ? 100.0 * used / m->memory_total_bytes : NAN;
	char t[FIGURE_LEN], of[FIGURE_LEN + 16];

	snprintf(of, sizeof(of), " used of %s", figure_size(m->memory_total_bytes, t));
	figure(out, grade(share, 85, 95), "", figure_size(used, t), of);
	figure(out, STYLE_PLAIN, "", figure_size(m->memory_available_bytes, t), " available");
	figure(out, STYLE_PLAIN, "swap", figure_size(m->swap_used_bytes, t), "");
	figure(out, grade(m->pressure_some_pct, 5, 20), "PSI some",
	       figure_pct(m->pressure_some_pct, t), "");
	figure(out, grade(m->pressure_full_pct, 2, 10), "full", figure_pct(m->pressure_full_pct, t),
	       "");
}

static void line_fault(struct screen *out, const struct snapshot *s)
{
	const struct system_metrics *m = &s->system;
	double major = m->fault_major == METRIC_NULL || !s->interval_ns ?
			       NAN :
			       m->fault_major * 1e9 / s->interval_ns;
	char t[FIGURE_LEN];

	figure(out, STYLE_PLAIN, "", figure_rate(m->fault_minor, s->interval_ns, t), " minor/s");
	figure(out, grade(major, 100, 1000), "", figure_rate(m->fault_major, s->interval_ns, t),
	       " major/s");
	if (m->fault_latency.known) {
		figure_of_time(out, "p50", &m->fault_latency, PART_P50, 1, 10);
		figure_of_time(out, "p99", &m->fault_latency, PART_P99, 10, 50);
	}
}

static void line_tcp(struct screen *out, const struct snapshot *s)
{
	const struct system_metrics *m = &s->system;
	double lost = m->tcp_retransmits == METRIC_NULL || !s->interval_ns ?
			      NAN :
			      m->tcp_retransmits * 1e9 / s->interval_ns;
	char t[FIGURE_LEN];

	figure(out, STYLE_PLAIN, "", figure_count(m->tcp_established, t), " open");
	figure(out, STYLE_PLAIN, "out", figure_rate(m->tcp_opened, s->interval_ns, t), "/s");
	figure(out, STYLE_PLAIN, "in", figure_rate(m->tcp_accepted, s->interval_ns, t), "/s");
	figure(out, STYLE_PLAIN, "tx", figure_size_rate(m->tcp_tx_bytes, s->interval_ns, t), "/s");
	figure(out, STYLE_PLAIN, "rx", figure_size_rate(m->tcp_rx_bytes, s->interval_ns, t), "/s");
	figure(out, grade(lost, 1, 100), "resent",
	       figure_rate(m->tcp_retransmits, s->interval_ns, t), "/s");
	figure_of_time(out, "rtt p50", &m->tcp_rtt, PART_P50, INFINITY, INFINITY);
	figure_of_time(out, "p99", &m->tcp_rtt, PART_P99, INFINITY, INFINITY);
	figure(out, m->tcp_failed && m->tcp_failed != METRIC_NULL ? STYLE_NOTICE : STYLE_PLAIN,
	       "failed", figure_rate(m->tcp_failed, s->interval_ns, t), "/s");
}

/* A device, or all of them. */
static void line_device(struct screen *out, const char *name, const struct block_metrics *io,
			double sequential, uint64_t interval_ns)
{
	char t[FIGURE_LEN];

	screen_left(out, STYLE_PLAIN, name, 9);
	figure(out, STYLE_PLAIN, "", figure_rate(io->reads, interval_ns, t), " r/s");
	figure(out, STYLE_PLAIN, "", figure_size_rate(io->read_bytes, interval_ns, t), "/s");
	figure(out, STYLE_PLAIN, "", figure_rate(io->writes, interval_ns, t), " w/s");
	figure(out, STYLE_PLAIN, "", figure_size_rate(io->write_bytes, interval_ns, t), "/s");
	figure_of_time(out, "p50", &io->latency, PART_P50, 20, 100);
	figure_of_time(out, "p99", &io->latency, PART_P99, 50, 500);
	figure_of_time(out, "queued p99", &io->queue, PART_P99, 20, 200);
	if (io->errors && io->errors != METRIC_NULL)
		figure(out, STYLE_BAD, "", figure_count(io->errors, t), " ERRORS");
	if (!isnan(sequential))
		figure(out, STYLE_PLAIN, "", figure_pct(sequential, t), "% sequential");
}

/* Requests of a device in the interval. */
static uint64_t requests_of(const struct device_metrics *d)
{
	return (d->io.reads == METRIC_NULL ? 0 : d->io.reads) +
	       (d->io.writes == METRIC_NULL ? 0 : d->io.writes);
}

/* The busiest device that is not busier than the one shown before it; NULL when there is none left. */
static const struct device_metrics *next_device(const struct snapshot *s,
						const struct device_metrics *before)
{
	const struct device_metrics *best = NULL;

	for (const struct device_metrics *d = s->devices; d < s->devices + s->n_devices; d++) {
		uint64_t n = requests_of(d), limit = before ? requests_of(before) : UINT64_MAX;

		if (!n || n > limit || (n == limit && d <= before))
			continue;
		if (!best || n > requests_of(best))
			best = d;
	}
	return best;
}

static void lines_block(struct screen *out, const struct snapshot *s, unsigned int max_rows)
{
	const struct device_metrics *d = NULL;
	unsigned int shown = 0, active = 0;

	for (size_t i = 0; i < s->n_devices; i++)
		active += requests_of(&s->devices[i]) > 0;
	if (!active) {
		screen_put(out, STYLE_DIM, s->system.block.reads == METRIC_NULL ? "-" : "idle");
		return;
	}
	while ((d = next_device(s, d)) && (!max_rows || shown < max_rows)) {
		if (shown++) {
			screen_end_line(out);
			label(out, "");
		}
		line_device(out, d->dev, &d->io, d->sequential_pct, s->interval_ns);
	}
	if (shown < active)
		screen_printf(out, STYLE_DIM, "and %u more", active - shown);
}

static void line_net(struct screen *out, const struct snapshot *s)
{
	char t[FIGURE_LEN];

	for (size_t i = 0; i < s->n_interfaces; i++) {
		const struct interface_metrics *n = &s->interfaces[i];

		if (!n->rx_bytes && !n->tx_bytes)
			continue;
		screen_printf(out, STYLE_PLAIN, "%s ", n->name);
		figure(out, STYLE_PLAIN, "rx", figure_size_rate(n->rx_bytes, s->interval_ns, t),
		       "/s");
		figure(out, STYLE_PLAIN, "tx", figure_size_rate(n->tx_bytes, s->interval_ns, t),
		       "/s");
		if (n->rx_dropped || n->tx_dropped)
			figure(out, STYLE_NOTICE, "dropped",
			       figure_count(n->rx_dropped + n->tx_dropped, t), "");
	}
	if (out->column == LABEL_WIDTH)
		screen_put(out, STYLE_DIM, "idle");
}

#define NO_SOURCE SOURCE_COUNT /* a line whose figures come from /proc */

static const struct {
	const char *label;
	int source;
	void (*draw)(struct screen *out, const struct snapshot *s);
} lines[] = {
	{ "CPU", NO_SOURCE, line_cpu },	   { "RUNQ", SOURCE_SCHED, line_sched },
	{ "MEM", NO_SOURCE, line_memory }, { "FAULT", SOURCE_FAULT, line_fault },
	{ "DISK", SOURCE_BLOCK, NULL },	   { "TCP", SOURCE_TCP, line_tcp },
	{ "NET", NO_SOURCE, line_net },
};

static void line_about(struct screen *out, const struct about *a, const struct snapshot *s)
{
	char when[40], text[FIGURE_LEN];
	time_t seconds = s->time_ns / NSEC_PER_SEC;
	struct tm tm;

	localtime_r(&seconds, &tm);
	strftime(when, sizeof(when), "%F %T %Z", &tm);
	screen_printf(out, STYLE_BOLD, "%s  ", when);
	figure(out, STYLE_PLAIN, "", a->host, "");
	figure(out, STYLE_DIM, "every", units_format_duration(s->interval_ns, text), "");
	figure(out, STYLE_DIM, "for", units_format_duration(s->elapsed_ns, text), "");
	snprintf(text, sizeof(text), "%u", a->cpus);
	figure(out, STYLE_DIM, "", text, " CPUs");
	figure(out, STYLE_DIM, "Linux", a->kernel, "");
	figure(out, STYLE_DIM, "mbtrace", a->version, "");
	screen_end_line(out);
}

void block_system(struct screen *out, const struct about *a, const struct snapshot *s,
		  unsigned int max_rows)
{
	line_about(out, a, s);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		int source = lines[i].source;

		label(out, lines[i].label);
		if (source != NO_SOURCE && *a->absent[source])
			screen_printf(out, STYLE_NOTICE, "not measured: %s", a->absent[source]);
		else if (source != NO_SOURCE && s->trust.shed & 1u << source)
			screen_put(out, STYLE_NOTICE, "not measured: given up for the budget");
		else if (lines[i].draw)
			lines[i].draw(out, s);
		else
			lines_block(out, s, max_rows);
		screen_end_line(out);
	}
}

/* --- alerts --- */

/* A value in the unit of the metric that the path names, filters left aside. */
static const char *value_text(const char *path, double value, char *text)
{
	char plain[128];
	size_t n = 0;
	bool inside = false;
	enum dist_part part;
	const struct metric *m;

	if (isnan(value)) {
		snprintf(text, FIGURE_LEN, "no data");
		return text;
	}
	for (; path && *path && n < sizeof(plain); path++) {
		if (*path == '[' || *path == ']')
			inside = *path == '[';
		else if (!inside)
			plain[n++] = *path;
	}
	m = metric_find(plain, n, &part);
	if (m && m->unit == UNIT_NS && part != PART_COUNT && value >= 0 && value < 1e18)
		return units_format_duration(value, text);
	if (m && m->unit == UNIT_BYTES && value >= 0 && value < 1e18)
		return units_format_size(value, text);
	snprintf(text, FIGURE_LEN, value == floor(value) && fabs(value) < 1e15 ? "%.0f" : "%.3g",
		 value);
	return text;
}

static void line_alert(struct screen *out, struct view *v, const struct record_alert *a,
		       uint64_t now_ns)
{
	char value[FIGURE_LEN], threshold[FIGURE_LEN], since[FIGURE_LEN], who[96];
	static const char *const states[] = {
		[ALERT_PENDING] = "soon",
		[ALERT_FIRING] = "ALERT",
		[ALERT_RESOLVED] = "ended",
		[ALERT_NODATA] = "blind",
	};
	bool firing = a->state == ALERT_FIRING;

	screen_put(out, firing ? STYLE_ALARM : STYLE_BOLD, states[a->state]);
	screen_to(out, LABEL_WIDTH);
	screen_put(out, STYLE_BOLD, view_path(v, a->rule, &out->scratch));
	/* A rule without a name is its text, in which the metric stands already. */
	if (a->metric && strncmp(a->rule, a->metric, strlen(a->metric)) != 0) {
		screen_put(out, STYLE_PLAIN, "  ");
		screen_put(out, STYLE_PLAIN, view_path(v, a->metric, &out->scratch));
	}
	screen_printf(out, firing ? STYLE_BAD : STYLE_PLAIN, " %s",
		      value_text(a->metric, a->value, value));
	screen_printf(out, STYLE_PLAIN, " (limit %s)",
		      value_text(a->metric, a->threshold, threshold));
	if (a->has_process) {
		const char *comm = view_name(v, "comm", a->comm);

		screen_printf(out, STYLE_PLAIN, "  pid %llu %s", (unsigned long long)a->pid,
			      comm ? comm : "");
	}
	if (a->row)
		screen_printf(out, STYLE_PLAIN, "  %s", a->row);
	if (a->since_ns && now_ns > a->since_ns)
		screen_printf(out, STYLE_PLAIN, "  for %s",
			      units_format_duration(now_ns - a->since_ns, since));
	if (a->reason)
		screen_printf(out, STYLE_PLAIN, "  %s", a->reason);
	screen_put(out, STYLE_PLAIN, "  ");
	for (size_t i = 0; i < a->n_culprits && !a->has_process; i++) {
		const char *comm = view_name(v, "comm", a->culprits[i].comm);

		snprintf(who, sizeof(who), "%s%s[%llu]", i ? "" : "by ", comm ? comm : "?",
			 (unsigned long long)a->culprits[i].pid);
		figure(out, STYLE_PLAIN, who,
		       value_text(a->culprits[i].metric, a->culprits[i].value, value), "");
	}
	screen_end_line(out);
}

void block_alerts(struct screen *out, struct view *v, const struct firing *f, uint64_t now_ns,
		  unsigned int max_rows)
{
	unsigned int shown = 0;

	for (size_t i = 0; i < f->n; i++) {
		if (max_rows && shown == max_rows) {
			screen_printf(out, STYLE_BAD, "ALERT and %zu more", f->n - shown);
			screen_end_line(out);
			return;
		}
		line_alert(out, v, &f->alerts[i], now_ns);
		shown++;
	}
}

/* --- cost and trust --- */

static void line_self(struct screen *out, const struct snapshot *s)
{
	const struct self_metrics *m = &s->self;
	char t[FIGURE_LEN];

	label(out, "SELF");
	figure(out, STYLE_PLAIN, "", figure_share(m->cpu_ns, s->interval_ns, t), "% of a CPU");
	if (m->bpf_ns == METRIC_NULL)
		screen_put(out, STYLE_DIM, "BPF time not measured  ");
	else
		figure(out, STYLE_PLAIN, "BPF", figure_share(m->bpf_ns, s->interval_ns, t),
		       "% of a CPU");
	figure(out, STYLE_PLAIN, "", figure_size(m->rss_bytes, t), " resident");
	figure(out, STYLE_PLAIN, "maps", figure_size(m->map_bytes, t), "");
	screen_end_line(out);
}

/* Appends a count that speaks against completeness, if it is not 0. */
static void loss(struct screen *out, uint64_t count, const char *what)
{
	char t[FIGURE_LEN];

	if (count)
		screen_printf(out, STYLE_BAD, ", %s %s", figure_count(count, t), what);
}

void block_trust(struct screen *out, const struct snapshot *s, const struct trust_metrics *trust)
{
	char t[FIGURE_LEN];

	line_self(out, s);
	label(out, "TRUST");
	if (trust->complete)
		screen_put(out, STYLE_GOOD, "complete");
	else
		screen_put(out, STYLE_ALARM, "INCOMPLETE");
	screen_printf(out, STYLE_PLAIN, ": %s events", figure_count(trust->events, t));
	if (trust->complete)
		screen_put(out, STYLE_PLAIN, ", none lost");
	loss(out, trust->lost, "lost");
	loss(out, trust->map_full, "map full");
	loss(out, trust->discarded, "discarded");
	for (int i = 0; i < SOURCE_COUNT; i++)
		if (trust->shed & 1u << i)
			screen_printf(out, STYLE_BAD, ", %s given up", source_name(i));
	if (trust->unattributed)
		screen_printf(out, STYLE_PLAIN, ", %s of unknown processes",
			      figure_count(trust->unattributed, t));
	if (trust->rows_hidden)
		screen_printf(out, STYLE_PLAIN, ", %s processes not shown",
			      figure_count(trust->rows_hidden, t));
	screen_end_line(out);
}
