// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/schema/monitor.schema.json is what the metric table says: it is made from the table here, and compared.
 *
 * After a change of the table: `WRITE=1 build/tests/unit/export_schema_test` writes it anew; the diff shows what users will see.
 */
#include "suite.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/macros.h"
#include "export/layout.h"
#include "metric/record.h"

#define SCHEMA_PATH "tests/schema/monitor.schema.json"
#define SCHEMA_MAX (1u << 20)

/* A packed value with its description, unless that is NULL. */
static json_t *described(json_t *type, const char *help)
{
	if (help)
		json_object_set_new(type, "description", json_string(help));
	return type;
}

static json_t *typed(const char *name, bool nullable)
{
	return nullable ? json_pack("{s:[s,s]}", "type", name, "null") :
			  json_pack("{s:s}", "type", name);
}

static json_t *whole(bool nullable)
{
	json_t *type = typed("integer", nullable);

	json_object_set_new(type, "minimum", json_integer(0));
	return type;
}

static json_t *timestamp(bool nullable)
{
	json_t *type = typed("string", nullable);

	json_object_set_new(
		type, "pattern",
		json_string("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?Z$"));
	return type;
}

static json_t *reference(const char *name)
{
	return json_pack("{s:s+}", "$ref", "#/$defs/", name);
}

static json_t *reference_or_null(const char *name)
{
	return json_pack("{s:[o,{s:s}]}", "anyOf", reference(name), "type", "null");
}

static json_t *list_of(json_t *items)
{
	return json_pack("{s:s,s:o}", "type", "array", "items", items);
}

/* An object that has nothing but what object_add() puts in it. */
static json_t *object(void)
{
	return json_pack("{s:s,s:{},s:[],s:b}", "type", "object", "properties", "required",
			 "additionalProperties", 0);
}

static void object_add(json_t *o, const char *key, json_t *type, bool required)
{
	json_object_set_new(json_object_get(o, "properties"), key, type);
	if (required)
		json_array_append_new(json_object_get(o, "required"), json_string(key));
}

static json_t *sources_type(void)
{
	json_t *names = json_array();

	for (int i = 0; i < SOURCE_COUNT; i++)
		json_array_append_new(names, json_string(source_name(i)));
	return list_of(json_pack("{s:o}", "enum", names));
}

static json_t *member_type(const struct metric *m)
{
	switch (m->type) {
	case METRIC_U64:
		return whole(m->nullable);
	case METRIC_I64:
		return typed("integer", m->nullable);
	case METRIC_PCT:
		return typed("number", m->nullable);
	case METRIC_DIST:
		return m->nullable ? reference_or_null("distribution") : reference("distribution");
	case METRIC_TEXT:
		return typed("string", m->nullable);
	case METRIC_BOOL:
		return typed("boolean", false);
	case METRIC_SOURCES:
		return sources_type();
	default:
		return list_of(reference(metric_scopes[m->rows].prefix));
	}
}

static json_t *scope_type(const struct layout *l, enum metric_scope scope)
{
	json_t *nest[LAYOUT_MAX_DEPTH + 1] = { object() };
	unsigned int depth = 0;

	for (size_t i = 0; i < l->n_steps[scope]; i++) {
		const struct layout_step *step = &l->steps[scope][i];

		if (step->kind == LAYOUT_OPEN) {
			nest[depth + 1] = object();
			object_add(nest[depth], step->key, nest[depth + 1], true);
			depth++;
		} else if (step->kind == LAYOUT_CLOSE) {
			depth--;
		} else {
			object_add(nest[depth], step->key,
				   described(member_type(step->metric), step->metric->help),
				   !step->metric->optional);
		}
	}
	return nest[0];
}

static json_t *distribution_type(void)
{
	json_t *d = object();

	for (int part = 0; part < PART_NONE; part++)
		object_add(d, dist_part_name(part), whole(part != PART_COUNT && part != PART_SUM),
			   true);
	object_add(d, "buckets",
		   json_pack("{s:[s,s],s:{s:s,s:[o,o],s:b,s:i}}", "type", "array", "null", "items",
			     "type", "array", "prefixItems", whole(false), whole(false), "items", 0,
			     "minItems", 2),
		   false);
	return described(d, "times in nanoseconds; what is null could not be told");
}

static json_t *record(const char *type)
{
	json_t *o = object();

	object_add(o, "type", json_pack("{s:s}", "const", type), true);
	return o;
}

static json_t *host_type(void)
{
	json_t *o = object();

	object_add(o, "kernel", typed("string", true), true);
	object_add(o, "cpus", whole(false), true);
	object_add(o, "boot_id", typed("string", true), true);
	object_add(o, "name", typed("string", true), true);
	return o;
}

static json_t *filter_type(void)
{
	json_t *o = object(), *pids = typed("array", true);

	json_object_set_new(pids, "items", whole(false));
	object_add(o, "pids", pids, true);
	object_add(o, "follow", typed("boolean", false), true);
	object_add(o, "comm", typed("string", true), true);
	object_add(o, "cgroup", typed("string", true), true);
	return o;
}

static json_t *header_type(void)
{
	json_t *o = record("header"), *sources = object();

	object_add(o, "schema", json_pack("{s:i}", "const", RECORD_SCHEMA), true);
	object_add(o, "version", typed("string", false), true);
	object_add(o, "host", host_type(), true);
	object_add(o, "interval_ns", whole(false), true);
	object_add(o, "filter", filter_type(), true);
	for (int i = 0; i < SOURCE_COUNT; i++) {
		json_t *source = object();

		object_add(source, "status",
			   json_pack("{s:[s,s,s]}", "enum", "attached", "degraded", "absent"), true);
		object_add(source, "mode", typed("string", true), true);
		object_add(source, "reason", typed("string", true), true);
		object_add(sources, source_name(i), source, true);
	}
	object_add(o, "sources", sources, true);
	return o;
}

/* The members that samples and the summary share. */
static void add_snapshot(json_t *o)
{
	object_add(o, "system", reference("system"), true);
	object_add(o, "processes", list_of(reference("process")), true);
	object_add(o, "trust", reference("trust"), true);
	object_add(o, "self", reference("self"), true);
}

static json_t *sample_type(void)
{
	json_t *o = record("sample");

	object_add(o, "time", timestamp(false), true);
	object_add(o, "elapsed_ns", whole(false), true);
	object_add(o, "interval_ns", whole(false), true);
	add_snapshot(o);
	return o;
}

static json_t *summary_type(void)
{
	json_t *o = record("summary");

	object_add(o, "samples", whole(false), true);
	object_add(o, "elapsed_ns", whole(false), true);
	object_add(o, "alerts_fired", whole(false), true);
	add_snapshot(o);
	return o;
}

static json_t *alert_process_type(void)
{
	json_t *o = object();

	object_add(o, "pid", whole(false), true);
	object_add(o, "comm", typed("string", true), true);
	return o;
}

static json_t *alert_type(void)
{
	json_t *o = record("alert"), *states = json_array(), *culprit = alert_process_type(),
	       *culprits;

	for (int i = ALERT_PENDING; i <= ALERT_NODATA; i++)
		json_array_append_new(states, json_string(alert_state_name(i)));
	object_add(o, "time", timestamp(false), true);
	object_add(o, "rule", typed("string", false), true);
	object_add(o, "state", json_pack("{s:o}", "enum", states), true);
	object_add(o, "metric", typed("string", false), true);
	object_add(o, "value", typed("number", true), true);
	object_add(o, "threshold", typed("number", false), true);
	object_add(o, "since", timestamp(true), true);
	object_add(o, "process",
		   json_pack("{s:[o,{s:s}]}", "anyOf", alert_process_type(), "type", "null"), true);
	object_add(o, "row", typed("string", true), true);
	object_add(o, "reason", typed("string", true), true);
	object_add(culprit, "metric", typed("string", false), true);
	object_add(culprit, "value", typed("number", true), true);
	culprits = list_of(culprit);
	json_object_set_new(culprits, "maxItems", json_integer(ALERT_CULPRITS));
	object_add(o, "culprits", culprits, true);
	return o;
}

static json_t *schema_new(void)
{
	json_t *defs, *schema;
	struct layout l;

	ck_assert_int_eq(layout_init(&l, true), 0);
	defs = json_pack("{s:o,s:o,s:o,s:o,s:o}", "header", header_type(), "sample", sample_type(),
			 "alert", alert_type(), "summary", summary_type(), "distribution",
			 distribution_type());
	for (int scope = 0; scope < SCOPE_COUNT; scope++)
		json_object_set_new(defs, metric_scopes[scope].prefix, scope_type(&l, scope));
	schema = json_pack("{s:s,s:s,s:[o,o,o,o],s:o}", "$schema",
			   "https://json-schema.org/draft/2020-12/schema", "title",
			   "A line of mbtrace monitor --format json", "oneOf", reference("header"),
			   reference("sample"), reference("alert"), reference("summary"), "$defs",
			   defs);
	ck_assert_ptr_nonnull(schema);
	layout_release(&l);
	return schema;
}

START_TEST(the_schema_is_what_the_table_says)
{
	json_t *schema = schema_new();
	char *text = json_dumps(schema, JSON_INDENT(1));
	struct buf kept = BUF_INIT;
	const char *top = getenv("TOP");
	struct output o;

	ck_assert_int_eq(chdir(top ? top : "."), 0);
	if (getenv("WRITE")) {
		ck_assert_int_eq(output_open(&o, SCHEMA_PATH), 0);
		ck_assert_int_eq(output_write(&o, text, strlen(text)), 0);
		ck_assert_int_eq(output_write(&o, "\n", 1), 0);
		ck_assert_int_eq(output_commit(&o), 0);
	}
	ck_assert_int_eq(file_read(SCHEMA_PATH, &kept, SCHEMA_MAX), 0);
	ck_assert_msg(kept.len == strlen(text) + 1 && memcmp(kept.data, text, kept.len - 1) == 0,
		      "%s is not up to date: run WRITE=1 build/tests/unit/export_schema_test",
		      SCHEMA_PATH);
	buf_release(&kept);
	free(text);
	json_decref(schema);
}
END_TEST

/* The reverse of the test above, so that it can't pass on an empty schema. */
START_TEST(the_schema_has_every_member)
{
	json_t *schema = schema_new(), *defs = json_object_get(schema, "$defs");

	for (size_t i = 0; i < metric_count; i++) {
		json_t *o = json_object_get(defs, metric_scopes[metrics[i].scope].prefix);
		char name[128], *part = name, *dot;

		snprintf(name, sizeof(name), "%s", metrics[i].name);
		do {
			dot = strchr(part, '.');
			if (dot)
				*dot = 0;
			o = json_object_get(json_object_get(o, "properties"), part);
			part = dot + 1;
		} while (dot);
		ck_assert_msg(o != NULL, "%s", metrics[i].name);
	}
	json_decref(schema);
}
END_TEST

SUITE("schema", the_schema_is_what_the_table_says, the_schema_has_every_member)
