/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guests' descriptions in files, and devices in words. */
#ifndef XENCTL_GUESTFILE_H
#define XENCTL_GUESTFILE_H

#include <gio/gio.h>

/*
 * Reads a guest's description: lines "key = value", sections [disk] and [nic] (which may come again), #
 * comments; xenctl(1). The daemon checks the values. NULL and an error that names the line.
 */
GVariant *guestfile_read(const char *path, GError **error);
/* One device from words key=value. */
GVariant *device_from_words(const char *class, char **words, int count, GError **error);

#endif
