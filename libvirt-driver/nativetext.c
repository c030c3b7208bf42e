/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Configuration files of xl and xm, before libvirt's parser (virConf) reads them, and strings as xl wants them.
 *
 * virConf does not know comments within a list, escapes in strings and KEY += VALUE, which xl has; it reads lists within
 * lists by recursion without end, numbers of any length in 64 bits, 010 as ten (xl: as eight), and in a time that grows with
 * the square of the settings. So one pass over the text blanks comments, resolves escapes, marks what is to be joined and
 * refuses the rest by its line.
 * What is a setting and what is not is virConf's business alone.
 */
#include "native.h"

#include "virerror.h"

#define VIR_FROM_THIS VIR_FROM_XEN

#define TEXT_MAX      65536
/* vsnd is a list of lists. */
#define DEPTH_MAX 4
/* All that 64 bits hold for certain. */
#define DIGITS_MAX 18
/* Stand for the two quotes within a string, where virConf would see its end. */
#define HIDDEN_DOUBLE '\001'
#define HIDDEN_SINGLE '\002'
/* Begins a string, or is the first item of a list, that is joined to what its key has. */
#define HIDDEN_JOIN "\003"

struct scan {
	const char *at;
	unsigned int line;
	unsigned int depth; /* lists that are open */
	bool word;          /* the last character belongs to a name or a number */
	bool join;          /* a value follows, behind += */
	enum native_format format;
	GString *out;
};

static int G_GNUC_PRINTF(2, 3) refuse(unsigned int line, const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list args;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	virReportError(VIR_ERR_CONF_SYNTAX, "line %u: %s", line, text);
	return -1;
}

static void put(struct scan *s, char c)
{
	if (c == '"')
		c = HIDDEN_DOUBLE;
	else if (c == '\'')
		c = HIDDEN_SINGLE;
	g_string_append_c(s->out, c);
}

/* Behind a backslash. Python leaves what it does not know as it is. */
static int scan_escape(struct scan *s)
{
	char c = *++s->at;

	if (c == '\\' || c == '"' || c == '\'') {
		put(s, c);
	} else if (s->format == NATIVE_XL || c == '\0' || c == '\n' || strchr("abfnrtvxuUN01234567", c)) {
		return refuse(s->line, "a backslash in a string stands before a quote or a backslash only");
	} else {
		g_string_append_c(s->out, '\\');
		put(s, c);
	}
	if (c)
		s->at++;
	return 0;
}

/* From its first quote to behind its last: 'x', "x", and Python's '''x'''. */
static int scan_string(struct scan *s)
{
	char end[4] = { *s->at, *s->at, *s->at, '\0' };
	unsigned int line = s->line;

	if (!STRPREFIX(s->at, end))
		end[1] = '\0';
	s->at += strlen(end);
	g_string_append(s->out, s->join ? "\"" HIDDEN_JOIN : "\"");
	s->join = false;
	while (!STRPREFIX(s->at, end)) {
		if (!*s->at || *s->at == '\n' || *s->at == '\r')
			return refuse(line, "a string does not end in its line");
		if (*s->at == '\t')
			return refuse(line, "a tab in a string");
		if (*s->at != '\\')
			put(s, *s->at++);
		else if (scan_escape(s) < 0)
			return -1;
	}
	s->at += strlen(end);
	g_string_append_c(s->out, '"');
	return 0;
}

static int scan_number(struct scan *s)
{
	size_t digits = strspn(s->at, "0123456789");

	if (s->join)
		return refuse(s->line, "+= joins lists or strings, no numbers");
	if (digits > DIGITS_MAX)
		return refuse(s->line, "%.18s...: no number is that large", s->at);
	if (digits > 1 && *s->at == '0')
		return refuse(s->line, "%.*s: a number that begins with 0 is octal for xl; write it without",
		              (int)digits, s->at);
	g_string_append_len(s->out, s->at, (gssize)digits);
	s->at += digits;
	return 0;
}

/* What is in no string, no number and no comment. */
static void scan_plain(struct scan *s)
{
	char c = *s->at++;

	if (c == '+' && *s->at == '=' && !s->depth) {
		s->join = true;
		return;
	}
	g_string_append_c(s->out, c);
	if (c == '[' && s->join)
		g_string_append(s->out, "\"" HIDDEN_JOIN "\",");
	if (!strchr("= \t-", c))
		s->join = false;
}

static int scan_one(struct scan *s)
{
	char c = *s->at;
	bool word = s->word;

	s->word = g_ascii_isalnum(c) || c == '_';
	if (c == '"' || c == '\'')
		return scan_string(s);
	if (g_ascii_isdigit(c) && !word)
		return scan_number(s);
	if (c == '#') {
		s->at += strcspn(s->at, "\n");
		return 0;
	}
	if (c == '[' && ++s->depth > DEPTH_MAX)
		return refuse(s->line, "lists within lists within lists");
	if (c == ']' && s->depth)
		s->depth--;
	if (c == '\n')
		s->line++;
	scan_plain(s);
	return 0;
}

/* Bytes that are in no file, and that no XML could hold. */
static int check_bytes(const char *text)
{
	unsigned int line = 1;
	const char *bad;

	if (strlen(text) > TEXT_MAX)
		return refuse(1, "%zu bytes, a configuration has at most %d", strlen(text), TEXT_MAX);
	if (!g_utf8_validate(text, -1, &bad)) {
		for (; text < bad; text++)
			line += *text == '\n';
		return refuse(line, "a byte 0x%02x, which is not UTF-8", (unsigned char)*bad);
	}
	for (; *text; text++) {
		line += *text == '\n';
		if (((unsigned char)*text < 0x20 && !strchr("\t\n\r", *text)) || *text == 0x7f)
			return refuse(line, "a control character 0x%02x", (unsigned char)*text);
		if (STRPREFIX(text, "\357\277\276") || STRPREFIX(text, "\357\277\277"))
			return refuse(line, "U+FFFE or U+FFFF, which are no characters");
	}
	return 0;
}

char *native_prepare(const char *text, enum native_format format)
{
	struct scan s = { .at = text, .line = 1, .format = format };

	if (check_bytes(text) < 0)
		return NULL;
	s.out = g_string_new(NULL);
	while (*s.at) {
		if (scan_one(&s) < 0) {
			g_string_free(s.out, TRUE);
			return NULL;
		}
	}
	return g_string_free(s.out, FALSE);
}

/* Takes the mark off a value. */
static bool is_joined(virConfValue *value)
{
	virConfValue *first = value->type == VIR_CONF_LIST ? value->list : value;

	if (!first || first->type != VIR_CONF_STRING || !STRPREFIX(first->str, HIDDEN_JOIN))
		return false;
	if (first == value) {
		memmove(value->str, value->str + strlen(HIDDEN_JOIN), strlen(value->str));
	} else {
		value->list = first->next;
		virConfFreeValue(first);
	}
	return true;
}

int native_join(virConfValue *value, virConfValue *before)
{
	virConfValue **end;

	if (!is_joined(value))
		return 0;
	if (before && before->type != value->type)
		return -1;
	if (before && value->type == VIR_CONF_STRING) {
		char *string = g_strconcat(before->str, value->str, NULL);
		g_free(value->str);
		value->str = string;
	} else if (before) {
		for (end = &before->list; *end;)
			end = &(*end)->next;
		*end = value->list;
		value->list = g_steal_pointer(&before->list);
	}
	return 1;
}

void native_restore(char *string)
{
	for (; *string; string++) {
		if (*string == HIDDEN_DOUBLE)
			*string = '"';
		else if (*string == HIDDEN_SINGLE)
			*string = '\'';
	}
}

void native_quote(GString *out, const char *string)
{
	char quote = strchr(string, '"') && !strchr(string, '\'') ? '\'' : '"';

	g_string_append_c(out, quote);
	for (; *string; string++) {
		if (*string == '\\' || *string == quote)
			g_string_append_c(out, '\\');
		g_string_append_c(out, *string);
	}
	g_string_append_c(out, quote);
}
