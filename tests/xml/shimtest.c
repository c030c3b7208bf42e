/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The shim never stops libvirtd: without a driver for the release, with one that does not load and with one
 * that has no entry point it returns 0; with a good one it returns what the driver's entry point does.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char shimtest_dir[256];

#include "../lib/tap.h"
#include "shim.c"

/* Compiles a shared object from one line of C at path. */
static bool compile(const char *path, const char *source)
{
	char command[1024];
	FILE *pipe;

	snprintf(command, sizeof(command), "${CC:-cc} -shared -fPIC -x c -o '%s' -", path);
	pipe = popen(command, "w");
	if (!pipe)
		return false;
	fputs(source, pipe);
	return pclose(pipe) == 0;
}

int main(void)
{
	char base[] = "/tmp/xylem-shim-XXXXXX", release[320], path[400];
	unsigned long version;
	FILE *file;

	if (!mkdtemp(base) || virGetVersion(&version, NULL, NULL) < 0) {
		printf("Bail out! no temporary folder or no libvirt: %s\n", strerror(errno));
		return 1;
	}
	snprintf(shimtest_dir, sizeof(shimtest_dir), "%s", base);
	snprintf(release, sizeof(release), "%s/%lu.%lu.%lu", base, version / 1000000, version / 1000 % 1000,
	         version % 1000);
	snprintf(path, sizeof(path), "%s/driver.so", release);
	tap_ok(libxlRegister() == 0, "no driver for this release: 0");
	if (mkdir(release, 0700) < 0) {
		printf("Bail out! %s: %s\n", release, strerror(errno));
		return 1;
	}
	file = fopen(path, "w");
	if (file) {
		fputs("not an object\n", file);
		fclose(file);
	}
	tap_ok(libxlRegister() == 0, "a broken driver: 0");
	unlink(path);
	tap_ok(compile(path, "int unrelated(void); int unrelated(void) { return 7; }\n") &&
	               libxlRegister() == 0,
	       "a driver without entry point: 0");
	unlink(path);
	rmdir(release);
	/* Another folder: what has been opened under one name stays. */
	snprintf(shimtest_dir, sizeof(shimtest_dir), "%s/good", base);
	snprintf(release, sizeof(release), "%s/good/%lu.%lu.%lu", base, version / 1000000,
	         version / 1000 % 1000, version % 1000);
	snprintf(path, sizeof(path), "%s/driver.so", release);
	if (mkdir(shimtest_dir, 0700) < 0 || mkdir(release, 0700) < 0) {
		printf("Bail out! %s: %s\n", release, strerror(errno));
		return 1;
	}
	tap_ok(compile(path, "int xylemRegister(void); int xylemRegister(void) { return 42; }\n") &&
	               libxlRegister() == 42,
	       "a good driver: its own answer");
	unlink(path);
	rmdir(release);
	rmdir(shimtest_dir);
	memset(shimtest_dir, 'x', sizeof(shimtest_dir) - 1);
	tap_ok(libxlRegister() == 0, "a path that is no path: 0");
	rmdir(base);
	return tap_end();
}
