/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Words for what went wrong, one meaning each:
 *   assert(x)  an invariant of our own, checked in debug builds only;
 *   CHECK(x)   an invariant that isolation rests on, always checked;
 *   panic()    the machine is unusable;
 * and domain_crash() in dom/domain.h: a guest broke its contract. No guest input may reach the first three.
 *
 * Log levels follow the options loglvl= and guest_loglvl= (Xen's names: none, error, warning, info, debug, all).
 * Lines about what a guest did go through log_guest(), which is limited in rate.
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include "lib/types.h"

enum log_level { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Writes one line (a newline is added) to the console and its ring. Any context but NMI. */
void log_line(enum log_level level, const char *fmt, ...) __printf(2, 3);
/* What a person asked for: written whatever the level is. */
void log_answer(const char *fmt, ...) __printf(1, 2);
/* The same for what a guest caused; dropped and counted beyond a rate. */
void log_guest(enum log_level level, unsigned domid, const char *fmt, ...) __printf(3, 4);
/* Stops the machine: message, registers, stack with symbols, current domain; reboots unless noreboot. */
void panic(const char *fmt, ...) __printf(1, 2) __noreturn;

#define log_err(...)   log_line(LOG_ERR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

#define CHECK(x)                                                                    \
	do {                                                                        \
		if (unlikely(!(x)))                                                 \
			panic("CHECK failed: %s at %s:%d", #x, __FILE__, __LINE__); \
	} while (0)

#undef assert
#ifdef XYLEM_DEBUG
#define assert(x)                                                                       \
	do {                                                                            \
		if (unlikely(!(x)))                                                     \
			panic("assertion failed: %s at %s:%d", #x, __FILE__, __LINE__); \
	} while (0)
#else
#define assert(x) ((void)sizeof(!(x)))
#endif

#endif
