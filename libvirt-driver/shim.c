/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt_driver_libxl.so: the file that a stock libvirtd opens for its Xen driver.
 *
 * libvirt's private symbols are bound to one release, and a module that was built for another one would stop
 * all of libvirtd. So this file uses only the public API, asks which release runs, and opens the driver that
 * was built for exactly that one. Where there is none, or it does not load, it says so in the log and returns
 * 0: libvirtd then runs without a Xen driver, and everything else in it works on.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <syslog.h>

#include <libvirt/libvirt.h>

__attribute__((visibility("default"))) int libxlRegister(void);

int libxlRegister(void)
{
	unsigned long version = 0;
	char path[512];
	void *driver;
	int (*enter)(void);
	int length;

	if (virGetVersion(&version, NULL, NULL) < 0) {
		syslog(LOG_ERR, "xylem: libvirt does not report its version; its Xen driver stays away");
		return 0;
	}
	length = snprintf(path, sizeof(path), "%s/%lu.%lu.%lu/driver.so", XYLEM_DRIVER_DIR, version / 1000000,
	                  version / 1000 % 1000, version % 1000);
	if (length < 0 || (size_t)length >= sizeof(path)) {
		syslog(LOG_ERR, "xylem: the path of the driver under %s is too long", XYLEM_DRIVER_DIR);
		return 0;
	}
	driver = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!driver) {
		syslog(LOG_ERR, "xylem: no Xen driver for this libvirt: %s", dlerror());
		return 0;
	}
	*(void **)&enter = dlsym(driver, "xylemRegister");
	if (!enter) {
		syslog(LOG_ERR, "xylem: %s has no entry point: %s", path, dlerror());
		return 0;
	}
	return enter();
}
