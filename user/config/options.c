// SPDX-License-Identifier: BSD-2-Clause
#define option getopt_option /* its name for a long option is ours for a row of the table */
#include <getopt.h>
#undef option

#include "config/options.h"

#include <assert.h>
#include <ctype.h>
#include <dirent.h>
#include <ini.h>
#include <string.h>

#include "base/macros.h"
#include "base/suggest.h"
#include "base/units.h"

#define OPTIONS_MAX 64 /* more would be two commands */
#define FILE_TEXT_MAX 4096 /* of a value in a file */
#define FILE_LINES_MAX 10000 /* of a file: a device or a pipe may never end */

void options_release(struct option_values *v)
{
	for (size_t i = 0; i < v->n_kept; i++)
		free(v->kept[i]);
	free(v->kept);
	v->kept = NULL;
	v->n_kept = 0;
}

bool option_is_choice(const char *choices, const char *name, size_t len)
{
	for (const char *p = choices; *p;) {
		size_t n = strcspn(p, "|");

		if (n == len && memcmp(p, name, n) == 0)
			return true;
		p += n + (p[n] == '|');
	}
	return false;
}

static void write_choices(struct buf *error, const char *choices)
{
	for (const char *p = choices; *p; p++) {
		if (*p == '|')
			buf_adds(error, ", ");
		else
			buf_addc(error, *p);
	}
}

static int set_names(const struct option *o, const char **at, const char *text, struct buf *error)
{
	for (const char *p = text; *p || p == text;) {
		size_t n = strcspn(p, ",");

		if (!option_is_choice(o->choices, p, n)) {
			buf_printf(error, "--%s: no \"%.*s\"; there is ", o->name, (int)n, p);
			write_choices(error, o->choices);
			return -EINVAL;
		}
		p += n + (p[n] == ',');
		if (!*p)
			break;
	}
	*at = text;
	return 0;
}

static const char *const kind_examples[] = {
	[OPTION_COUNT] = "a whole number",
	[OPTION_DURATION] = "a duration such as 500ms, 5s, 2m, 1h",
	[OPTION_SIZE] = "a size such as 4096, 64K, 10M, 1G",
	[OPTION_PERCENT] = "a percentage such as 1 or 0.5",
};

/* A bound as it would be typed. */
static void write_bound(struct buf *error, const struct option *o, uint64_t bound)
{
	char text[UNITS_TEXT_LEN];

	if (o->kind == OPTION_DURATION)
		buf_adds(error, units_format_duration(bound, text));
	else if (o->kind == OPTION_SIZE)
		buf_adds(error, units_format_size(bound, text));
	else
		buf_addu(error, bound);
}

static int set_number(const struct option *o, void *at, const char *text, struct buf *error)
{
	uint64_t value = 0;
	double percent = 0;
	int err = o->kind == OPTION_COUNT    ? units_parse_u64(text, &value) :
		  o->kind == OPTION_DURATION ? units_parse_duration(text, &value) :
		  o->kind == OPTION_SIZE     ? units_parse_size(text, &value) :
					       units_parse_double(text, &percent);

	if (o->kind == OPTION_PERCENT) {
		err = err ?: percent < o->min || (o->max && percent > o->max) ? -EINVAL : 0;
		value = o->min;
	}
	if (err) {
		buf_printf(error, "--%s: \"%s\" is not %s", o->name, text, kind_examples[o->kind]);
		return -EINVAL;
	}
	if (value < o->min || (o->max && value > o->max)) {
		buf_printf(error, "--%s: %s is %s ", o->name, text,
			   value < o->min ? "less than" : "more than");
		write_bound(error, o, value < o->min ? o->min : o->max);
		return -EINVAL;
	}
	if (o->kind == OPTION_PERCENT)
		*(double *)at = percent;
	else
		*(uint64_t *)at = value;
	return 0;
}

static int set_flag(const struct option *o, bool *at, const char *text, struct buf *error)
{
	static const char *const yes[] = { "", "yes", "true", "on", "1" }, *const no[] = {
		"no", "false", "off", "0"
	};

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		if (strcmp(text, yes[i]) == 0)
			return *at = true, 0;
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		if (strcmp(text, no[i]) == 0)
			return *at = false, 0;
	buf_printf(error, "--%s: \"%s\" is neither yes nor no", o->name, text);
	return -EINVAL;
}

/* Reads one value into the command's struct. */
static int set(struct option_values *v, const struct option *o, const char *text, struct buf *error)
{
	void *at = (char *)v->values + o->offset;
	struct option_list *list = at;

	switch (o->kind) {
	case OPTION_FLAG:
		return set_flag(o, at, text, error);
	case OPTION_TEXT:
		*(const char **)at = text;
		return 0;
	case OPTION_CHOICE:
		if (!option_is_choice(o->choices, text, strlen(text))) {
			buf_printf(error, "--%s: no \"%s\"; there is ", o->name, text);
			write_choices(error, o->choices);
			return -EINVAL;
		}
		*(const char **)at = text;
		return 0;
	case OPTION_NAMES:
		return set_names(o, at, text, error);
	case OPTION_LIST:
		if (list->n == OPTION_LIST_MAX) {
			buf_printf(error, "--%s: given more than %u times", o->name, OPTION_LIST_MAX);
			return -EINVAL;
		}
		list->items[list->n++] = text;
		return 0;
	default:
		return set_number(o, at, text, error);
	}
}

void options_defaults(struct option_values *v)
{
	struct buf ignored = BUF_INIT;

	for (size_t i = 0; i < v->n; i++)
		if (v->table[i].fallback)
			set(v, &v->table[i], v->table[i].fallback, &ignored);
	buf_release(&ignored);
}

struct table {
	const struct option *options;
	size_t n;
};

static const char *next_name(const void *context, size_t i)
{
	const struct table *t = context;

	return i < t->n ? t->options[i].name : NULL;
}

/* Adds "; did you mean --x?" where a name is near. */
static void suggest(const struct option_values *v, const char *typed, const char *dashes,
		    struct buf *error)
{
	struct table t = { v->table, v->n };
	const char *near[1];

	if (suggest_nearest(typed, next_name, &t, near, ARRAY_SIZE(near)))
		buf_printf(error, "; did you mean %s%s?", dashes, near[0]);
	else
		buf_printf(error, "; `mbtrace help %s` lists them", v->command);
}

static const struct option *find(const struct option_values *v, const char *name)
{
	for (size_t i = 0; i < v->n; i++)
		if (strcmp(v->table[i].name, name) == 0)
			return &v->table[i];
	return NULL;
}

/* Keeps a copy of a text for as long as the values live. */
static const char *keep(struct option_values *v, const char *text)
{
	char **bigger = realloc(v->kept, (v->n_kept + 1) * sizeof(*bigger));
	char *copy;

	if (!bigger)
		return NULL;
	v->kept = bigger;
	copy = strdup(text);
	if (copy)
		v->kept[v->n_kept++] = copy;
	return copy;
}

struct file_context {
	struct option_values *v;
	const char *path;
	struct buf *error;
	FILE *file;
	unsigned int lines; /* read so far */
	int err; /* errno of reading */
	bool failed;
};

/* libinih: 1 is success. It goes on after an error, so only the first is told. */
static int on_pair(void *context, const char *section, const char *key, const char *value)
{
	struct file_context *c = context;
	const struct option *o;
	const char *kept;

	if (c->failed || strcmp(section, c->v->command) != 0)
		return 1;
	o = find(c->v, key);
	if (!o || o->command_line_only) {
		buf_printf(c->error, "%s: [%s] has no \"%s\"", c->path, section, key);
		suggest(c->v, key, "", c->error);
		c->failed = true;
		return 0;
	}
	kept = keep(c->v, value);
	if (!kept || set(c->v, o, kept, c->error)) {
		buf_printf(c->error, " (in %s)", c->path);
		c->failed = true;
		return 0;
	}
	return 1;
}

/* libinih: the next line, or NULL at the end. */
static char *read_line(char *line, int size, void *context)
{
	struct file_context *c = context;

	if (c->lines++ == FILE_LINES_MAX) {
		c->err = EFBIG;
		return NULL;
	}
	if (fgets(line, size, c->file))
		return line;
	c->err = ferror(c->file) ? errno : 0;
	return NULL;
}

static int read_file(struct option_values *v, const char *path, bool must_exist, struct buf *error)
{
	cleanup_fclose FILE *f = fopen(path, "re");
	struct file_context c = { .v = v, .path = path, .error = error, .file = f };
	int line;

	if (!f) {
		if (errno == ENOENT && !must_exist)
			return 0;
		buf_printf(error, "%s: %s", path, strerror(errno));
		return -EINVAL;
	}
	line = ini_parse_stream(read_line, &c, on_pair, &c);
	if (c.failed)
		return -EINVAL;
	if (c.err) {
		buf_printf(error, "%s: %s", path, strerror(c.err));
		return -EINVAL;
	}
	if (line) {
		buf_printf(error, "%s:%d: neither [section] nor key = value", path, line);
		return -EINVAL;
	}
	return 0;
}

static int is_drop_in(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".conf") == 0;
}

int options_file(struct option_values *v, const char *path, bool must_exist, struct buf *error)
{
	int err = read_file(v, path, must_exist, error), n;
	cleanup_buf struct buf folder = BUF_INIT;
	struct dirent **entries;

	if (err)
		return err;
	buf_printf(&folder, "%s.d", path);
	n = scandir(buf_str(&folder), &entries, is_drop_in, alphasort);
	for (int i = 0; i < n; i++) {
		cleanup_buf struct buf file = BUF_INIT;

		buf_printf(&file, "%s/%s", buf_str(&folder), entries[i]->d_name);
		if (!err)
			err = read_file(v, buf_str(&file), true, error);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return err;
}

int options_environment(struct option_values *v, struct buf *error)
{
	for (size_t i = 0; i < v->n; i++) {
		cleanup_buf struct buf name = BUF_INIT;
		const char *text;

		if (v->table[i].command_line_only)
			continue;
		buf_printf(&name, "MBTRACE_%s_%s", v->command, v->table[i].name);
		for (size_t k = 0; k < name.len; k++)
			name.data[k] = name.data[k] == '-' ? '_' :
							     toupper((unsigned char)name.data[k]);
		text = getenv(buf_str(&name));
		if (text && set(v, &v->table[i], text, error)) {
			buf_printf(error, " (in the environment, %s)", buf_str(&name));
			return -EINVAL;
		}
	}
	return 0;
}

/* What getopt returns for the long option of row i. */
#define LONG_CODE(i) (256 + (int)(i))

static bool is_optional(const struct option *o)
{
	return o->implied != NULL;
}

/* getopt's view of the table: ':' behind what takes a value, '::' where it may be left out. */
static void make_getopt(const struct option_values *v, char *letters, struct getopt_option *longs)
{
	*letters++ = ':';
	for (size_t i = 0; i < v->n; i++) {
		const struct option *o = &v->table[i];
		int has_arg = o->kind == OPTION_FLAG ? no_argument :
			      is_optional(o)	     ? optional_argument :
						       required_argument;

		longs[i] = (struct getopt_option){ o->name, has_arg, NULL, LONG_CODE(i) };
		if (!o->letter)
			continue;
		*letters++ = o->letter;
		for (int k = 0; k < has_arg; k++)
			*letters++ = ':';
	}
	*letters = 0;
	longs[v->n] = (struct getopt_option){ 0 };
}

static const struct option *by_code(const struct option_values *v, int code)
{
	for (size_t i = 0; i < v->n; i++)
		if (code == LONG_CODE(i) || (code && code == v->table[i].letter))
			return &v->table[i];
	return NULL;
}

/* Says what is wrong with the word getopt stopped at. */
static int refuse(const struct option_values *v, char **argv, int c, struct buf *error)
{
	const char *word = argv[optind > 0 ? optind - 1 : 0];
	const struct option *o = by_code(v, optopt);

	if (c == ':' && o) {
		buf_printf(error, "--%s needs %s", o->name, o->value);
	} else if (o && o->kind == OPTION_FLAG) {
		buf_printf(error, "--%s takes no value", o->name);
	} else if (optopt && optopt < LONG_CODE(0)) {
		buf_printf(error, "unknown option \"-%c\"; `mbtrace help %s` lists them", optopt,
			   v->command);
	} else {
		cleanup_buf struct buf name = BUF_INIT;

		buf_add(&name, word + strspn(word, "-"), strcspn(word + strspn(word, "-"), "="));
		buf_printf(error, "unknown option \"--%s\"", buf_str(&name));
		suggest(v, buf_str(&name), "--", error);
	}
	return -EINVAL;
}

int options_command_line(struct option_values *v, int argc, char **argv, int *ret_rest,
			 struct buf *error)
{
	struct getopt_option longs[OPTIONS_MAX + 1];
	char letters[3 * OPTIONS_MAX + 2];
	int c;

	assert(v->n <= OPTIONS_MAX);
	make_getopt(v, letters, longs);
	opterr = 0;
	optind = 0; /* glibc: starts anew */
	while ((c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		const struct option *o = c == '?' || c == ':' ? NULL : by_code(v, c);

		if (!o)
			return refuse(v, argv, c, error);
		if (set(v, o, optarg ? optarg : is_optional(o) ? o->implied : "", error))
			return -EINVAL;
	}
	*ret_rest = optind;
	return 0;
}

void options_help(const struct option *table, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		const struct option *o = &table[i];
		char left[80];
		int used;

		if (o->letter)
			used = snprintf(left, sizeof(left), "  -%c, --%s", o->letter, o->name);
		else
			used = snprintf(left, sizeof(left), "      --%s", o->name);
		if (o->value)
			snprintf(left + used, sizeof(left) - used, "%s%s",
				 o->value[0] == '[' ? "" : " ", o->value);
		if (strlen(left) < 30)
			buf_printf(out, "%-30s %s", left, o->help);
		else
			buf_printf(out, "%s\n%31s%s", left, "", o->help);
		if (o->fallback)
			buf_printf(out, " (%s)", o->fallback);
		buf_addc(out, '\n');
	}
}
