/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * json.h - a streaming JSON writer: no tree, commas and escapes done for you.
 *
 * Text that is not valid UTF-8 is written with U+FFFD for each bad byte, so output is always valid JSON.
 * NaN and infinities are written as null. Depth is bounded by JSON_MAX_DEPTH (asserted).
 *
 *	struct json j = JSON_INIT(&buf);
 *	json_object(&j, NULL);			{
 *	json_str(&j, "type", "sample");		"type":"sample",
 *	json_array(&j, "values");		"values":[
 *	json_u64(&j, NULL, 1);			1
 *	json_end(&j);				]
 *	json_end(&j);				}
 */
#ifndef MBTRACE_BASE_JSON_H
#define MBTRACE_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define JSON_MAX_DEPTH 16 /* a sample nests 6 deep */

struct json {
	struct buf *out;
	unsigned int depth;
	char close[JSON_MAX_DEPTH]; /* the bracket that ends each level */
	bool first[JSON_MAX_DEPTH + 1];
};

#define JSON_INIT(buf_) ((struct json){ .out = (buf_), .first = { true } })

/* libjansson has functions of these names too: ours get other symbols, so that one program can link both. */
#define json_object mbtrace_json_object
#define json_array mbtrace_json_array
#define json_null mbtrace_json_null

/* In each call `key` is NULL inside an array or at the top. A NULL string is written as null. */
void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
void json_end(struct json *j);
void json_str(struct json *j, const char *key, const char *value);
void json_strn(struct json *j, const char *key, const char *value, size_t len);
void json_u64(struct json *j, const char *key, uint64_t value);
void json_i64(struct json *j, const char *key, int64_t value);
void json_double(struct json *j, const char *key, double value, int decimals);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);

#endif
