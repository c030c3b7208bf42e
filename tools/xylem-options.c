/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Says what the hypervisor would report of its options, before it is started with them: xylem-options WORD...
 * The parser is the hypervisor's own (hypervisor/boot/cmdline.c), so the two cannot differ.
 *
 * What is unknown, wrong or without effect goes to standard error, a line for each. Status: 0, 1 where one is unknown or
 * wrong, 2 where the words are no command line. No option of the hypervisor's begins with a dash: --help, -h are ours.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "boot/boot.h"
#include "lib/log.h"

static bool wrong;

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	wrong |= level <= LOG_WARN;
}

int main(int argc, char **argv)
{
	char line[BOOT_CMDLINE_MAX] = "";
	size_t bytes = 0;

	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		puts("usage: xylem-options WORD...\n\nTells which of the hypervisor's options are unknown, wrong or without effect. "
		     "They are in xylem(7).");
		return 0;
	}
	for (int i = 1; i < argc; i++) {
		size_t more = strlen(argv[i]);

		if (more + 2 > sizeof(line) - bytes) {
			fprintf(stderr, "options of more than %zu characters\n", sizeof(line) - 1);
			return 2;
		}
		memcpy(line + bytes, argv[i], more);
		bytes += more;
		line[bytes++] = ' ';
		line[bytes] = '\0';
	}
	cmdline_parse(line);
	cmdline_report(line);
	return wrong;
}
