/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdint.h>
#include <string.h>

#include "lib/option.h"
#include "../../lib/tap.h"

static void size_is(const char *text, uint64_t bytes, const char *rest)
{
	uint64_t v = 0;
	const char *p = text;
	bool good = option_size(&p, &v);

	tap_ok(good && v == bytes && !strcmp(p, rest), "size %s is %llu", text, (unsigned long long)bytes);
}

static void size_refused(const char *text)
{
	uint64_t v;

	tap_ok(!option_size(&text, &v), "size %s is refused", text);
}

int main(void)
{
	const char *line = "  one\ttwo=2  three", *list = "a,,b";
	char word[5];
	uint64_t v;

	tap_ok(option_next_word(&line, word, sizeof(word)) && !strcmp(word, "one"), "first word");
	tap_ok(option_next_word(&line, word, sizeof(word)) && !strcmp(word, "two="), "a long word is cut");
	tap_ok(option_next_word(&line, word, sizeof(word)) && !strcmp(word, "thre"),
	       "and the next one begins behind it");
	tap_ok(!option_next_word(&line, word, sizeof(word)), "the end");
	tap_ok(option_next_item(&list, ',', word, sizeof(word)) && !strcmp(word, "a"), "first item");
	tap_ok(option_next_item(&list, ',', word, sizeof(word)) && !*word, "an empty item");
	tap_ok(option_next_item(&list, ',', word, sizeof(word)) && !strcmp(word, "b"), "last item");
	tap_ok(!option_next_item(&list, ',', word, sizeof(word)), "no more items");
	size_is("2048M", 2048ull << 20, "");
	size_is("1g,max:2g", 1ull << 30, ",max:2g");
	size_is("512", 512 << 10, "");
	size_is("0x10k", 16 << 10, "");
	size_is("3T", 3ull << 40, "");
	size_refused("");
	size_refused("M");
	size_refused("-5M");
	size_refused("18446744073709551616B");
	size_refused("99999999999999T");
	tap_ok(option_bool("on") == 1 && option_bool("false") == 0 && option_bool("maybe") == -1, "switches");
	tap_ok(option_number("0x3f8", &v) && v == 0x3f8, "hexadecimal");
	tap_ok(!option_number("12x", &v) && !option_number("", &v) && !option_number("0x", &v),
	       "what is no number");
	return tap_end();
}
