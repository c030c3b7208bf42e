/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: any command line is parsed and reported on without a fault, and options stay within their bounds. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boot/boot.h"
#include "hw/options.h"
#include "lib/log.h"

void log_line(enum log_level level, const char *fmt, ...)
{
	char line[400];
	va_list ap;

	(void)level;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = malloc(size + 1);

	memcpy(line, data, size);
	line[size] = 0;
	cmdline_parse(line);
	cmdline_report(line);
	if (options.conring_bytes > 16u << 20 || options.dom0_mem > INT64_MAX ||
	    !memchr(options.console, 0, sizeof(options.console)) ||
	    !memchr(options.com1, 0, sizeof(options.com1)) ||
	    !memchr(options.reboot, 0, sizeof(options.reboot)) ||
	    (options.dom0_max_vcpus && options.dom0_max_vcpus < options.dom0_max_vcpus_min))
		abort();
	free(line);
	return 0;
}
