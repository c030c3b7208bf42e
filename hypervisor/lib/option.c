/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/option.h"
#include "lib/string.h"

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool option_next_word(const char **line, char *word, size_t size)
{
	const char *p = *line;
	size_t n = 0;

	while (blank(*p))
		p++;
	*line = p;
	if (!*p)
		return false;
	for (; *p && !blank(*p); p++)
		if (n + 1 < size)
			word[n++] = *p;
	word[n] = 0;
	*line = p;
	return true;
}

bool option_next_item(const char **list, char sep, char *item, size_t size)
{
	const char *p = *list;
	size_t n = 0;

	if (!p)
		return false;
	for (; *p && *p != sep; p++)
		if (n + 1 < size)
			item[n++] = *p;
	item[n] = 0;
	*list = *p ? p + 1 : NULL;
	return true;
}

int option_bool(const char *value)
{
	static const char *const yes[] = { "yes", "on", "true", "enable", "1" };
	static const char *const no[] = { "no", "off", "false", "disable", "0" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (!strcmp(value, yes[i]))
			return 1;
		if (!strcmp(value, no[i]))
			return 0;
	}
	return -1;
}

static int digit(char c, unsigned base)
{
	int d = c >= '0' && c <= '9'   ? c - '0'
	        : c >= 'a' && c <= 'f' ? c - 'a' + 10
	        : c >= 'A' && c <= 'F' ? c - 'A' + 10
	                               : 99;

	return d < (int)base ? d : -1;
}

/* At least one digit, no overflow; moves *s behind the last one. */
static bool scan(const char **s, uint64_t *number)
{
	unsigned base = 10;
	const char *p = *s;
	uint64_t v = 0;

	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X') && digit(p[2], 16) >= 0) {
		base = 16;
		p += 2;
	}
	if (digit(*p, base) < 0)
		return false;
	for (; digit(*p, base) >= 0; p++)
		if (__builtin_mul_overflow(v, base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)digit(*p, base), &v))
			return false;
	*number = v;
	*s = p;
	return true;
}

bool option_number(const char *value, uint64_t *number)
{
	return scan(&value, number) && !*value;
}

bool option_size(const char **value, uint64_t *bytes)
{
	const char *p = *value;
	unsigned shift = 10;
	uint64_t v;

	if (!scan(&p, &v))
		return false;
	switch (*p) {
	case 'B':
	case 'b':
		shift = 0;
		p++;
		break;
	case 'K':
	case 'k':
		shift = 10;
		p++;
		break;
	case 'M':
	case 'm':
		shift = 20;
		p++;
		break;
	case 'G':
	case 'g':
		shift = 30;
		p++;
		break;
	case 'T':
	case 't':
		shift = 40;
		p++;
		break;
	}
	if (v > UINT64_MAX >> shift)
		return false;
	*bytes = v << shift;
	*value = p;
	return true;
}

void option_copy(char *to, size_t size, const char *text)
{
	size_t n = strnlen(text, size - 1);

	memcpy(to, text, n);
	to[n] = 0;
}

static const char *const level_names[] = { "none", "error", "warning", "info", "debug", "all" };

static int level(const char *name)
{
	for (int i = 0; i < (int)ARRAY_SIZE(level_names); i++)
		if (!strcmp(name, level_names[i]))
			return MIN(i, 4);
	return -1;
}

const char *option_level_name(int n)
{
	return n < 0 ? "none" : n >= 4 ? "all" : level_names[n];
}

bool option_levels(const char *value, int *print, int *rate)
{
	char item[16];
	int first, second;

	if (!option_next_item(&value, '/', item, sizeof(item)) || (first = level(item)) < 0)
		return false;
	second = first;
	if (option_next_item(&value, '/', item, sizeof(item)) && (second = level(item)) < 0)
		return false;
	*print = first;
	*rate = MAX(first, second);
	return true;
}
