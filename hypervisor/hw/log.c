/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines for a person. loglvl= and guest_loglvl= name two thresholds: what is above the first is printed, what
 * is only above the second is printed as long as its rate is low.
 */
#include "lib/log.h"
#include "hw/options.h"
#include "lib/string.h"
#include "hw/console.h"
#include "hw/lock.h"
#include "hw/time.h"

#define RATE_LINES 10
#define RATE_NS    5000000000ull

static spinlock_t rate_lock = SPINLOCK(RANK_CONSOLE);
static struct {
	uint64_t window_ns;
	unsigned lines, dropped;
} rate;

static void emit(const char *prefix, const char *fmt, va_list ap)
{
	char line[400];
	size_t n = (size_t)snprintf(line, sizeof(line), "(xylem) %s", prefix);
	int more = vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);

	n = MIN(n + (size_t)more, sizeof(line) - 2);
	line[n++] = '\n';
	console_write(line, n);
}

/* True: may be printed now. *dropped: how many were not since the last one that was. */
static bool rate_allows(unsigned *dropped)
{
	uint64_t flags = spin_lock_irqsave(&rate_lock), now = time_now_ns();
	bool ok;

	if (now - rate.window_ns >= RATE_NS) {
		rate.window_ns = now;
		rate.lines = 0;
	}
	ok = rate.lines < RATE_LINES;
	if (ok) {
		rate.lines++;
		*dropped = rate.dropped;
		rate.dropped = 0;
	} else {
		rate.dropped++;
	}
	spin_unlock_irqrestore(&rate_lock, flags);
	return ok;
}

static void tell_dropped(unsigned dropped)
{
	char line[64];

	if (!dropped)
		return;
	console_write(line,
	              (size_t)snprintf(line, sizeof(line), "(xylem) %u lines were left out\n", dropped));
}

static const char *level_prefix(enum log_level level)
{
	return level == LOG_ERR ? "error: " : level == LOG_WARN ? "warning: " : "";
}

void log_line(enum log_level level, const char *fmt, ...)
{
	unsigned dropped = 0;
	va_list ap;

	if ((int)level >= options.loglvl_print &&
	    ((int)level >= options.loglvl_rate || !rate_allows(&dropped)))
		return;
	tell_dropped(dropped);
	va_start(ap, fmt);
	emit(level_prefix(level), fmt, ap);
	va_end(ap);
}

void log_answer(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit("", fmt, ap);
	va_end(ap);
}

void log_guest(enum log_level level, unsigned domid, const char *fmt, ...)
{
	char prefix[40];
	unsigned dropped = 0;
	va_list ap;

	if ((int)level >= options.guest_loglvl_print && (int)level >= options.guest_loglvl_rate)
		return;
	/* What guests cause is limited at every level: they choose how often. */
	if (!rate_allows(&dropped))
		return;
	tell_dropped(dropped);
	snprintf(prefix, sizeof(prefix), "%sd%u: ", level_prefix(level), domid);
	va_start(ap, fmt);
	emit(prefix, fmt, ap);
	va_end(ap);
}
