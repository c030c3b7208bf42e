/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of a guest's output: a bounded backlog for the terminal and a log file that rotates by size.
 *
 * Both drop and count what exceeds their bounds. Writing to a file may wait for its disk: that is for the
 * threads of logwriter.c.
 */
#ifndef XENCONSOLED_OUTPUT_H
#define XENCONSOLED_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The newest bytes that nobody has read yet. */
struct backlog {
	char *data;
	size_t size, start, used; /* size: fixed; the oldest byte is at start */
	uint64_t dropped;
};

void backlog_init(struct backlog *b, size_t size);
void backlog_fini(struct backlog *b);
/* Appends; the oldest bytes make room for the newest. */
void backlog_put(struct backlog *b, const char *bytes, size_t n);
/* The oldest bytes that stand in one piece; *n is how many. */
const char *backlog_peek(const struct backlog *b, size_t *n);
void backlog_take(struct backlog *b, size_t n);

/*
 * How often a guest may make the daemon look at its console: so many times at once, and so many times a second in the
 * long run. One look takes as much as the ring holds, 2 KiB.
 */
#define LOOKS_AT_ONCE    2048
#define LOOKS_PER_SECOND 256
#define HOLD_US          (20 * INT64_C(1000)) /* a guest that is held waits so long */

struct throttle {
	int64_t filled_us;
	unsigned int looks;
};

void throttle_init(struct throttle *t, int64_t now_us);
/* Takes one; false when there is none: come again in *wait_us. */
bool throttle_take(struct throttle *t, int64_t now_us, int64_t *wait_us);

/* Limits of a log file. */
struct log_limits {
	uint64_t file_bytes;       /* beyond this FILE becomes FILE.1, and so on */
	unsigned int old_files;    /* kept besides FILE */
	uint64_t bytes_per_second; /* what is written in the long run */
	uint64_t burst_bytes;      /* and at once */
};

struct logfile {
	const struct log_limits *limits;
	char *path;
	int fd; /* -1: not open */
	uint64_t size, tokens, dropped;
	int64_t filled_us, opened_us; /* opened_us: or tried to */
	bool failed;                  /* a failure has been reported */
	bool rotates; /* a regular file; what is none stays what and where it is: /dev/null, a device */
};

/*
 * Opens or creates the file, to append to it. Returns 0 or an errno value, after a line in the daemon's log;
 * in either case the file may be written to, which tries again to open it, and must be closed.
 */
int logfile_open(struct logfile *l, const char *path, const struct log_limits *limits, int64_t now_us);
void logfile_close(struct logfile *l);
/* Appends what the rate allows and counts the rest, which is mentioned before the next bytes that pass. */
void logfile_write(struct logfile *l, const char *bytes, size_t n, int64_t now_us);

#endif
