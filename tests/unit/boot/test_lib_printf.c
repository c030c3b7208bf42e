/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hypervisor's formatted text against the C library's. */
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#undef snprintf
#undef vsnprintf
#include <stdio.h>

#include "../../lib/tap.h"

int hv_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
int hv_snprintf(char *buf, size_t size, const char *fmt, ...);

/* Both write into buffers of size bytes; text and length must be the same. */
static void same(size_t size, const char *fmt, ...)
{
	char ours[256], theirs[256];
	va_list ap, again;
	int n, m;

	memset(ours, '#', sizeof(ours));
	memset(theirs, '#', sizeof(theirs));
	ours[255] = theirs[255] = 0;
	va_start(ap, fmt);
	va_copy(again, ap);
	n = hv_vsnprintf(ours, size, fmt, ap);
	m = vsnprintf(theirs, size, fmt, again);
	va_end(again);
	va_end(ap);
	tap_ok(n == m && !memcmp(ours, theirs, sizeof(ours)), "\"%s\" in %zu bytes: \"%s\"", fmt, size,
	       theirs);
}

int main(void)
{
	static const char *const integers[] = { "%d",   "%5d",   "%-5d|",   "%05d", "%+d", "% d",
		                                "%x",   "%#x",   "%#010x",  "%X",   "%o",  "%u",
		                                "%.3d", "%8.3d", "%-8.3d|", "%hhd", "%hd", "%hhx" };
	static const int values[] = { 0, 1, -1, 42, 2147483647, -2147483647 - 1 };
	static const char *const longs[] = {
		"%ld", "%lu", "%lx", "%#lx", "%016lx", "%-20lx|", "%zu", "%llx"
	};
	static const long wide[] = { 0, -1, 0x123456789abcdefl, INT64_MIN, INT64_MAX };

	for (unsigned i = 0; i < sizeof(integers) / sizeof(*integers); i++)
		for (unsigned j = 0; j < sizeof(values) / sizeof(*values); j++)
			same(200, integers[i], values[j]);
	for (unsigned i = 0; i < sizeof(longs) / sizeof(*longs); i++)
		for (unsigned j = 0; j < sizeof(wide) / sizeof(*wide); j++)
			same(200, longs[i], wide[j]);
	same(200, "%s and %10s and %-10s|%.2s|%*s|%.*s", "a", "b", "c", "defg", 5, "h", 1, "ij");
	same(200, "%c%%%3c%-3c|", 'x', 'y', 'z');
	same(200, "%*d|%-*d|", -6, 7, 6, 7);
	same(200, "%.0d|%.0x", 0, 0);
	same(5, "%s", "longer than that");
	same(1, "%d", 12345);
	same(0, "%d", 12345);
	same(4, "%08x", 0xabcdefu);
	{
		char buf[32];

		hv_snprintf(buf, sizeof(buf), "%p", (void *)0x1234);
		tap_ok(!strcmp(buf, "0000000000001234"), "pointers have 16 digits: %s", buf);
		hv_snprintf(buf, sizeof(buf), "%q%d", 5);
		tap_ok(!strcmp(buf, "%q5"), "an unknown conversion is copied: %s", buf);
		hv_snprintf(buf, sizeof(buf), "%s", (const char *)NULL);
		tap_ok(!strcmp(buf, "(null)"), "no string: %s", buf);
		hv_snprintf(buf, sizeof(buf), "50%");
		tap_ok(!strcmp(buf, "50%"), "a lone %% at the end: %s", buf);
	}
	return tap_end();
}
