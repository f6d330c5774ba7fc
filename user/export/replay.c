// SPDX-License-Identifier: BSD-2-Clause
#include "export/replay.h"

#include <ctype.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>

#include "base/buf.h"
#include "base/macros.h"
#include "export/members.h"

#define READ_STEP (64u << 10)
#define MAX_PIDS \
	65536 /* of a header's filter; pids are at most 4 million, and nobody types so many */

struct replay {
	int fd;
	char *name; /* of the file, for messages */
	struct buf input; /* bytes read; the current line is [line, line + line_len) */
	size_t line, line_len, scanned;
	bool at_end;
	uint64_t line_number;
	json_t *root; /* of the current record, whose texts it lends */
	struct layout layout;
	struct members members;
	struct snapshot *snapshot;
	struct record_header header;
	uint32_t *pids;
	struct record_alert alert;
	struct record_summary summary;
	char error[320];
};

void replay_close(struct replay *r)
{
	if (!r)
		return;
	if (r->fd >= 0)
		close(r->fd);
	free(r->name);
	buf_release(&r->input);
	json_decref(r->root);
	layout_release(&r->layout);
	snapshot_free(r->snapshot);
	free(r->pids);
	free(r);
}

DEFINE_CLEANUP(struct replay *, replay_close)

int replay_open(const char *path, struct replay **ret_replay)
{
	CLEANUP(replay_close) struct replay *r = calloc(1, sizeof(*r));
	bool standard = strcmp(path, "-") == 0;

	if (!r)
		return -ENOMEM;
	r->fd = standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC);
	if (r->fd < 0)
		return -errno;
	r->name = strdup(standard ? "standard input" : path);
	r->snapshot = snapshot_new();
	if (!r->name || !r->snapshot || layout_init(&r->layout, true))
		return -ENOMEM;
	r->members = (struct members){ .layout = &r->layout, .snapshot = r->snapshot };
	*ret_replay = TAKE_PTR(r);
	return 0;
}

const char *replay_error(const struct replay *r)
{
	return r->error;
}

/* Says where members.error happened. Pieces of the file may be in it: nothing of them shall move a cursor. */
static int refuse(struct replay *r)
{
	snprintf(r->error, sizeof(r->error), "%.120s:%llu: %s", r->name,
		 (unsigned long long)r->line_number, r->members.error);
	for (char *c = r->error; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	return -EBADMSG;
}

/* Reads some more input behind what there is; sets at_end. */
static int read_more(struct replay *r)
{
	ssize_t n;

	/* The lines before the current one are done with. */
	if (r->line) {
		memmove(r->input.data, r->input.data + r->line, r->input.len - r->line);
		r->input.len -= r->line;
		r->line = 0;
	}
	if (r->input.len > REPLAY_MAX_LINE) {
		members_fail(&r->members, "the line is longer than %u MiB", REPLAY_MAX_LINE >> 20);
		return refuse(r);
	}
	if (buf_reserve(&r->input, READ_STEP))
		return -ENOMEM;
	do {
		n = read(r->fd, r->input.data + r->input.len, READ_STEP);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	r->at_end = n == 0;
	r->input.len += n;
	return 0;
}

/* Finds the next line, empty ones included: 1, 0 at the end of the file, or -errno. */
static int next_line(struct replay *r)
{
	const char *end = NULL;
	int err;

	r->line += r->line_len;
	r->line_len = r->scanned = 0;
	r->line_number++;
	for (;;) {
		size_t have = r->input.len - r->line;

		if (have > r->scanned)
			end = memchr(r->input.data + r->line + r->scanned, '\n', have - r->scanned);
		if (end) {
			r->line_len = end + 1 - (r->input.data + r->line);
			return 1;
		}
		if (r->at_end) {
			r->line_len = have;
			return have > 0;
		}
		r->scanned = have;
		err = read_more(r);
		if (err)
			return err;
	}
}

static int parse_line(struct replay *r)
{
	const char *text = r->input.data + r->line;
	json_error_t error;

	json_decref(r->root);
	r->root = json_loadb(text, r->line_len, JSON_REJECT_DUPLICATES, &error);
	if (json_is_object(r->root))
		return 0;
	if (r->root)
		members_fail(&r->members, "not an object");
	else if (text[r->line_len - 1] != '\n')
		members_fail(&r->members, "the line is cut off");
	else
		members_fail(&r->members, "not JSON: %.120s", error.text);
	return refuse(r);
}

static json_t *member(const struct replay *r, const char *name)
{
	return json_object_get(r->root, name);
}

/* The whole number `name` of the record. */
static int read_count(struct replay *r, const char *name, uint64_t *ret_value)
{
	return members_u64(&r->members, name, member(r, name), ret_value);
}

/* --- header --- */

static int read_host(struct replay *r)
{
	const json_t *host = member(r, "host");
	struct record_header *h = &r->header;
	struct members *m = &r->members;
	uint64_t cpus = 0;
	int err = members_u64(m, "host.cpus", json_object_get(host, "cpus"), &cpus);

	if (!err && cpus > UINT32_MAX)
		err = members_fail(m, "host.cpus is too large");
	if (err)
		return err;
	h->host_cpus = cpus;
	err = members_text(m, "host.kernel", json_object_get(host, "kernel"), &h->host_kernel);
	if (!err)
		err = members_text(m, "host.boot_id", json_object_get(host, "boot_id"),
				   &h->host_boot_id);
	if (!err)
		err = members_text(m, "host.name", json_object_get(host, "name"), &h->host_name);
	return err;
}

static int read_pids(struct replay *r, const json_t *list)
{
	size_t n = json_array_size(list);

	if (!list || json_is_null(list))
		return 0;
	if (!json_is_array(list) || n > MAX_PIDS)
		return members_fail(&r->members, "filter.pids is not a list of at most %u", MAX_PIDS);
	free(r->pids);
	r->pids = calloc(n + 1, sizeof(*r->pids));
	if (!r->pids)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		uint64_t pid = 0;
		int err = members_u64(&r->members, "filter.pids", json_array_get(list, i), &pid);

		if (!err && pid > UINT32_MAX)
			err = members_fail(&r->members, "filter.pids has one that is too large");
		if (err)
			return err;
		r->pids[i] = pid;
	}
	r->header.filter_pids = r->pids;
	r->header.n_filter_pids = n;
	return 0;
}

static int read_filter(struct replay *r)
{
	const json_t *filter = member(r, "filter"), *follow = json_object_get(filter, "follow");
	struct record_header *h = &r->header;
	int err = read_pids(r, json_object_get(filter, "pids"));

	if (!err && follow && !json_is_boolean(follow))
		err = members_fail(&r->members, "filter.follow is neither true nor false");
	if (!err)
		err = members_text(&r->members, "filter.comm", json_object_get(filter, "comm"),
				   &h->filter_comm);
	if (!err)
		err = members_text(&r->members, "filter.cgroup", json_object_get(filter, "cgroup"),
				   &h->filter_cgroup);
	h->filter_follow = json_is_true(follow);
	return err;
}

static int read_record_sources(struct replay *r)
{
	const json_t *sources = member(r, "sources");

	for (int i = 0; i < SOURCE_COUNT; i++) {
		const json_t *source = json_object_get(sources, source_name(i));
		struct record_source *to = &r->header.sources[i];
		int err = members_text(&r->members, "a source's status",
				       json_object_get(source, "status"), &to->status);

		if (!err)
			err = members_text(&r->members, "a source's mode",
					   json_object_get(source, "mode"), &to->mode);
		if (!err)
			err = members_text(&r->members, "a source's reason",
					   json_object_get(source, "reason"), &to->reason);
		if (err)
			return err;
	}
	return 0;
}

static int read_header(struct replay *r, struct replay_record *ret_record)
{
	uint64_t schema = 0;
	int err = read_count(r, "schema", &schema);

	r->header = (struct record_header){ 0 };
	if (!err && schema > RECORD_SCHEMA)
		err = members_fail(
			&r->members,
			"schema %llu was written by a newer mbtrace; this one reads up to %d",
			(unsigned long long)schema, RECORD_SCHEMA);
	if (!err)
		err = members_text(&r->members, "version", member(r, "version"), &r->header.version);
	if (!err)
		err = read_count(r, "interval_ns", &r->header.interval_ns);
	if (!err)
		err = read_host(r);
	if (!err)
		err = read_filter(r);
	if (!err)
		err = read_record_sources(r);
	ret_record->header = &r->header;
	return err;
}

/* --- sample and summary --- */

static int read_snapshot(struct replay *r)
{
	struct members *m = &r->members;
	struct snapshot *s = r->snapshot;
	int err;

	snapshot_reset(s);
	err = members_read(m, member(r, "system"), SCOPE_SYSTEM, &s->system);
	if (!err)
		err = members_read_rows(m, member(r, "processes"), SCOPE_PROCESS);
	if (!err)
		err = members_read(m, member(r, "trust"), SCOPE_TRUST, &s->trust);
	if (!err)
		err = members_read(m, member(r, "self"), SCOPE_SELF, &s->self);
	if (!err)
		err = read_count(r, "elapsed_ns", &s->elapsed_ns);
	return err;
}

static int read_sample(struct replay *r, struct replay_record *ret_record)
{
	int err = read_snapshot(r);

	if (!err)
		err = members_time(&r->members, "time", member(r, "time"), &r->snapshot->time_ns);
	if (!err)
		err = read_count(r, "interval_ns", &r->snapshot->interval_ns);
	ret_record->sample = r->snapshot;
	return err;
}

static int read_summary(struct replay *r, struct replay_record *ret_record)
{
	int err = read_snapshot(r);

	r->summary = (struct record_summary){ .whole = r->snapshot,
					      .elapsed_ns = r->snapshot->elapsed_ns };
	r->snapshot->interval_ns = r->snapshot->elapsed_ns;
	if (!err)
		err = read_count(r, "samples", &r->summary.samples);
	if (!err)
		err = read_count(r, "alerts_fired", &r->summary.alerts_fired);
	ret_record->summary = &r->summary;
	ret_record->sample = r->snapshot;
	return err;
}

/* --- alert --- */

static int read_state(struct replay *r)
{
	const char *state = json_string_value(member(r, "state"));

	for (int i = ALERT_PENDING; state && i <= ALERT_NODATA; i++) {
		if (strcmp(state, alert_state_name(i)) == 0) {
			r->alert.state = i;
			return 0;
		}
	}
	return members_fail(&r->members, "state is none of an alert");
}

static int read_alert_process(struct replay *r)
{
	const json_t *process = member(r, "process");
	int err;

	if (!process || json_is_null(process))
		return 0;
	r->alert.has_process = true;
	err = members_u64(&r->members, "process.pid", json_object_get(process, "pid"), &r->alert.pid);
	if (!err)
		err = members_text(&r->members, "process.comm", json_object_get(process, "comm"),
				   &r->alert.comm);
	return err;
}

static int read_culprit(struct members *m, const json_t *from, struct record_culprit *c)
{
	int err = members_u64(m, "a culprit's pid", json_object_get(from, "pid"), &c->pid);

	if (!err)
		err = members_text(m, "a culprit's comm", json_object_get(from, "comm"), &c->comm);
	if (!err)
		err = members_text(m, "a culprit's metric", json_object_get(from, "metric"),
				   &c->metric);
	if (!err)
		err = members_double(m, "a culprit's value", json_object_get(from, "value"),
				     &c->value);
	return err;
}

static int read_culprits(struct replay *r)
{
	const json_t *list = member(r, "culprits");
	size_t n = json_array_size(list);
	int err = 0;

	if (list && !json_is_array(list))
		return members_fail(&r->members, "culprits is not a list");
	for (size_t i = 0; i < n && i < ALERT_CULPRITS && !err; i++) {
		err = read_culprit(&r->members, json_array_get(list, i), &r->alert.culprits[i]);
		r->alert.n_culprits++;
	}
	return err;
}

static int read_alert(struct replay *r, struct replay_record *ret_record)
{
	struct record_alert *a = &r->alert;
	struct members *m = &r->members;
	int err;

	*a = (struct record_alert){ 0 };
	err = members_time(m, "time", member(r, "time"), &a->time_ns);
	if (!err)
		err = members_time(m, "since", member(r, "since"), &a->since_ns);
	if (!err)
		err = members_text(m, "rule", member(r, "rule"), &a->rule);
	if (!err)
		err = members_text(m, "metric", member(r, "metric"), &a->metric);
	if (!err && (!a->rule || !a->metric))
		err = members_fail(m, "an alert without rule or metric");
	if (!err)
		err = members_double(m, "value", member(r, "value"), &a->value);
	if (!err)
		err = members_double(m, "threshold", member(r, "threshold"), &a->threshold);
	if (!err)
		err = members_text(m, "row", member(r, "row"), &a->row);
	if (!err)
		err = members_text(m, "reason", member(r, "reason"), &a->reason);
	if (!err)
		err = read_state(r);
	if (!err)
		err = read_alert_process(r);
	if (!err)
		err = read_culprits(r);
	ret_record->alert = a;
	return err;
}

static const struct {
	const char *type;
	enum replay_kind kind;
	int (*read)(struct replay *r, struct replay_record *ret_record);
} records[] = {
	{ "header", REPLAY_HEADER, read_header },
	{ "sample", REPLAY_SAMPLE, read_sample },
	{ "alert", REPLAY_ALERT, read_alert },
	{ "summary", REPLAY_SUMMARY, read_summary },
};

/* Reads the record in r->root; a kind that this version does not know leaves kind REPLAY_END. */
static int read_record(struct replay *r, struct replay_record *ret_record)
{
	const char *type = json_string_value(member(r, "type"));

	if (!type)
		return members_fail(&r->members, "no record of mbtrace monitor: it has no type");
	for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
		int err;

		if (strcmp(type, records[i].type) != 0)
			continue;
		err = records[i].read(r, ret_record);
		if (!err)
			ret_record->kind = records[i].kind;
		return err;
	}
	return 0;
}

int replay_next(struct replay *r, struct replay_record *ret_record)
{
	for (;;) {
		struct replay_record record = { .kind = REPLAY_END };
		int err = next_line(r);

		if (err > 0 && r->input.data[r->line] == '\n')
			continue;
		if (err > 0) {
			err = parse_line(r);
			if (!err)
				err = read_record(r, &record);
			if (err == -EBADMSG && !*r->error)
				refuse(r);
			if (!err && record.kind == REPLAY_END)
				continue;
		}
		if (!err)
			*ret_record = record;
		return err;
	}
}
