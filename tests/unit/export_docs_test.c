// SPDX-License-Identifier: BSD-2-Clause
/*
 * The tables of members in docs/output.md are what the metric table says: made from it here, and compared.
 *
 * After a change of the table: `WRITE=1 build/tests/unit/export_docs_test`.
 */
#include "suite.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/macros.h"
#include "metric/table.h"

#define DOCS_PATH "docs/output.md"
#define DOCS_MAX (1u << 20)
#define END "<!-- end -->"

static const char *kind_of(const struct metric *m)
{
	if (m->type == METRIC_DIST)
		return "distribution";
	if (m->type == METRIC_TEXT)
		return "text";
	if (m->type == METRIC_BOOL)
		return "true or false";
	if (m->type == METRIC_SOURCES)
		return "list of sources";
	if (m->type == METRIC_ROWS)
		return "list of objects";
	if (m->merge == MERGE_KEY)
		return "number";
	return m->merge == MERGE_SUM ? "counter" : m->merge == MERGE_MEAN ? "share" : "gauge";
}

static const char *unit_of(const struct metric *m)
{
	static const char *const units[] = {
		[UNIT_NONE] = "",
		[UNIT_NS] = "ns",
		[UNIT_BYTES] = "bytes",
		[UNIT_PCT] = "%",
	};

	return units[m->unit];
}

static void add_table(struct buf *out, enum metric_scope scope)
{
	buf_adds(out,
		 "| member | kind | unit | null? | OpenMetrics | meaning |\n|---|---|---|---|---|---|\n");
	for (size_t i = 0; i < metric_count; i++) {
		const struct metric *m = &metrics[i];
		const char *quote = m->openmetrics ? "`" : "";

		if (m->scope != scope)
			continue;
		buf_printf(out, "| `%s` | %s | %s | %s | %s%s%s | %s |\n", m->name, kind_of(m),
			   unit_of(m), m->nullable ? "may be" : "", quote,
			   m->openmetrics ? m->openmetrics : "", quote, m->help);
	}
}

/* Appends the page with its tables made anew; returns how many there were. */
static unsigned int renew(const char *page, struct buf *out)
{
	unsigned int found = 0;
	char marker[64];

	while (*page) {
		const char *line_end = strchrnul(page, '\n');
		size_t len = line_end - page + (*line_end == '\n');

		buf_add(out, page, len);
		for (int scope = 0; scope < SCOPE_COUNT; scope++) {
			snprintf(marker, sizeof(marker), "<!-- members: %s -->\n",
				 metric_scopes[scope].prefix);
			if (strlen(marker) != len || memcmp(marker, page, len) != 0)
				continue;
			add_table(out, scope);
			line_end = strstr(page, END);
			ck_assert_msg(line_end != NULL, "%s has no end", marker);
			len = line_end - page;
			found++;
			break;
		}
		page += len;
	}
	return found;
}

START_TEST(the_page_is_what_the_table_says)
{
	struct buf page = BUF_INIT, fresh = BUF_INIT;
	const char *top = getenv("TOP");
	struct output o;

	ck_assert_int_eq(chdir(top ? top : "."), 0);
	ck_assert_int_eq(file_read(DOCS_PATH, &page, DOCS_MAX), 0);
	ck_assert_uint_eq(renew(page.data, &fresh), SCOPE_COUNT);
	if (getenv("WRITE")) {
		ck_assert_int_eq(output_open(&o, DOCS_PATH), 0);
		ck_assert_int_eq(output_write(&o, fresh.data, fresh.len), 0);
		ck_assert_int_eq(output_commit(&o), 0);
		ck_assert_int_eq(file_read(DOCS_PATH, &page, DOCS_MAX), 0);
	}
	ck_assert_msg(page.len == fresh.len && memcmp(page.data, fresh.data, page.len) == 0,
		      "%s is not up to date: run WRITE=1 build/tests/unit/export_docs_test",
		      DOCS_PATH);
	buf_release(&page);
	buf_release(&fresh);
}
END_TEST

/* Every member of the model has a word of help and fits the conventions that readers rely on. */
START_TEST(members_follow_the_conventions)
{
	for (size_t i = 0; i < metric_count; i++) {
		const struct metric *m = &metrics[i];
		size_t len = strlen(m->name);
		static const char *const suffixes[] = { "_ns", "_bytes", "_pct" };

		ck_assert_msg(m->help && *m->help, "%s has no help", m->name);
		for (int u = UNIT_NS; u <= UNIT_PCT && m->type != METRIC_DIST; u++) {
			const char *suffix = suffixes[u - UNIT_NS];
			size_t n = strlen(suffix);
			bool has = len > n && strcmp(m->name + len - n, suffix) == 0;

			ck_assert_msg(has == (m->unit == (enum metric_unit)u), "%s and its unit",
				      m->name);
		}
		for (size_t k = 0; k < i; k++)
			ck_assert_msg(!m->openmetrics || !metrics[k].openmetrics ||
					      strcmp(m->openmetrics, metrics[k].openmetrics) != 0,
				      "%s twice", m->openmetrics);
	}
}
END_TEST

SUITE("docs", the_page_is_what_the_table_says, members_follow_the_conventions)
