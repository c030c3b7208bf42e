/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits of a disk's requests; see iolimits.h. The rules are QEMU's. */
#include "iolimits.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REFUSAL_BYTES 200

static const char *const names[IO_LIMITS] = {
	"total_bytes_sec",
	"read_bytes_sec",
	"write_bytes_sec",
	"total_iops_sec",
	"read_iops_sec",
	"write_iops_sec",
	"total_bytes_sec_max",
	"read_bytes_sec_max",
	"write_bytes_sec_max",
	"total_iops_sec_max",
	"read_iops_sec_max",
	"write_iops_sec_max",
	"size_iops_sec",
	"total_bytes_sec_max_length",
	"read_bytes_sec_max_length",
	"write_bytes_sec_max_length",
	"total_iops_sec_max_length",
	"read_iops_sec_max_length",
	"write_iops_sec_max_length",
};

const char *io_limit_name(unsigned int which)
{
	return which < IO_LIMITS ? names[which] : NULL;
}

unsigned int io_limit_named(const char *name)
{
	unsigned int which;

	for (which = 0; which < IO_LIMITS && strcmp(names[which], name); which++)
		;
	return which;
}

bool io_limits_any(const struct io_limits *limits)
{
	unsigned int which;

	for (which = 0; which < IO_LIMITS && !limits->value[which]; which++)
		;
	return which < IO_LIMITS;
}

static char *refusal(const char *format, ...) __attribute__((format(printf, 1, 2)));
static char *refusal(const char *format, ...)
{
	char *text = malloc(REFUSAL_BYTES);
	va_list args;

	if (!text)
		abort();
	va_start(args, format);
	vsnprintf(text, REFUSAL_BYTES, format, args);
	va_end(args);
	return text;
}

/* What is said in all is not said of one direction as well. first: the total one of three. */
static char *check_total(const struct io_limits *limits, unsigned int first)
{
	unsigned int which;

	for (which = first + 1; which < first + 3; which++)
		if (limits->value[first] && limits->value[which])
			return refusal("%s and %s exclude each other", names[first], names[which]);
	return NULL;
}

static char *check_burst(const struct io_limits *limits, unsigned int which)
{
	uint64_t rate = limits->value[IO_RATE + which], burst = limits->value[IO_BURST + which],
	         seconds = limits->value[IO_SECONDS + which];
	const char *rate_name = names[IO_RATE + which], *burst_name = names[IO_BURST + which],
	           *seconds_name = names[IO_SECONDS + which];

	if (burst && !rate)
		return refusal("%s without %s", burst_name, rate_name);
	if (burst && burst < rate)
		return refusal("%s %" PRIu64 " is less than %s %" PRIu64, burst_name, burst, rate_name, rate);
	if (seconds > 1 && !burst)
		return refusal("%s without %s", seconds_name, burst_name);
	if (seconds > UINT32_MAX || (burst && seconds > IO_LIMIT_MAX / burst))
		return refusal("%s %" PRIu64 " is too long for %s %" PRIu64, seconds_name, seconds,
		               burst_name, burst);
	return NULL;
}

char *io_limits_refusal(const struct io_limits *limits)
{
	unsigned int which;
	bool requests = false;
	char *why = NULL;

	for (which = 0; which < IO_SECONDS; which++)
		if (limits->value[which] > IO_LIMIT_MAX)
			return refusal("%s %" PRIu64 " is more than %" PRIu64, names[which],
			               limits->value[which], IO_LIMIT_MAX);
	for (which = 0; which < IO_SIZE && !why; which += 3)
		why = check_total(limits, which);
	for (which = 0; which < IO_RATES && !why; which++)
		why = check_burst(limits, which);
	for (which = IO_RATES / 2; which < IO_RATES; which++)
		requests = requests || limits->value[IO_RATE + which];
	if (!why && limits->value[IO_SIZE] && !requests)
		why = refusal("%s without a limit of requests", names[IO_SIZE]);
	return why;
}
