// SPDX-License-Identifier: BSD-2-Clause
#include "export/view.h"

#include "base/macros.h"

int view_init(struct view *v, const struct sink_options *options, const char *default_sort)
{
	int err;

	*v = (struct view){ .options = *options };
	err = rows_key_parse(options->sort ? options->sort : default_sort, &v->key);
	if (err)
		return err;
	v->options.sort = NULL; /* the caller's text need not live on */
	if (options->redact) {
		v->redact = redact_new();
		if (!v->redact)
			return -ENOMEM;
	}
	return 0;
}

void view_release(struct view *v)
{
	rows_release(&v->rows);
	redact_free(v->redact);
	*v = (struct view){ 0 };
}

int view_select(struct view *v, const struct snapshot *s, bool whole)
{
	int err = rows_select(&v->rows, s, &v->key, v->options.top, whole);

	v->trust = s->trust;
	v->trust.rows_hidden += v->rows.n_hidden;
	return err;
}

const char *view_text(struct view *v, const struct metric *m, const void *row)
{
	const char *text = metric_text(m, row);

	/* Pid 0 is the kernel's own work: its name is ours, and no secret. */
	if (!v->redact ||
	    (m->scope == SCOPE_PROCESS && ((const struct process_metrics *)row)->pid == 0))
		return text;
	return redact_text(v->redact, m->name, text);
}

const char *view_name(struct view *v, const char *kind, const char *text)
{
	return v->redact ? redact_text(v->redact, kind, text) : text;
}

const char *view_path(struct view *v, const char *path, struct buf *scratch)
{
	if (!v->redact || !path)
		return path;
	buf_reset(scratch);
	redact_path(v->redact, path, scratch);
	return buf_str(scratch);
}
