/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Host test of xenctl's guest files, under the sanitizers: what they become, and the errors that name the line. */
#include <glib/gstdio.h>
#include <string.h>

#include "../../lib/tap.h"
#include "guestfile.h"

static char *path;

static void check_read(const char *text, const char *want, const char *what)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GVariant) dict = NULL;
	g_autofree char *got = NULL;

	g_file_set_contents(path, text, -1, NULL);
	dict = guestfile_read(path, &error);
	got = dict ? g_variant_print(dict, TRUE) : g_strdup(error->message);
	if (!tap_ok(dict && !strcmp(got, want), "%s", what))
		printf("# got %s\n", got);
}

static void check_bad(const char *text, const char *says)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GVariant) dict = NULL;

	g_file_set_contents(path, text, -1, NULL);
	dict = guestfile_read(path, &error);
	tap_ok(!dict && strstr(error->message, says), "error: %s", dict ? "(accepted)" : error->message);
}

static void check_words(const char *class, const char *words, const char *want)
{
	g_auto(GStrv) list = g_strsplit(words, " ", 0);
	g_autoptr(GError) error = NULL;
	g_autoptr(GVariant) dict = device_from_words(class, list, (int)g_strv_length(list), &error);
	g_autofree char *got = dict ? g_variant_print(dict, TRUE) : g_strdup(error->message);

	if (!tap_ok(!strcmp(got, want), "device %s %s", class, words))
		printf("# got %s\n", got);
}

int main(void)
{
	g_autofree char *dir = g_dir_make_tmp("xenctl-test-XXXXXX", NULL);

	path = g_build_filename(dir, "guest", NULL);
	check_read("", "{'disks': <@aa{sv} []>, 'nics': <@aa{sv} []>}", "an empty file");
	check_read(
	        "# remark\n\n  name =  a b  \nvcpus=2\nmemory_kib = 4096\nclock_adjustment = -5\ncpumap = 0-2,9\n",
	        "{'name': <'a b'>, 'vcpus': <uint32 2>, 'memory_kib': <uint64 4096>, 'clock_adjustment': <int64 -5>, "
	        "'cpumap': <[byte 0x07, 0x02]>, 'disks': <@aa{sv} []>, 'nics': <@aa{sv} []>}",
	        "each type of value");
	check_read("name = x\n[disk]\nvdev = xvda\nreadonly = yes\n[nic]\nmac = 1\n[disk]\nvdev = xvdb\n",
	           "{'name': <'x'>, 'disks': <[{'vdev': <'xvda'>, 'readonly': <true>}, {'vdev': <'xvdb'>}]>, "
	           "'nics': <[{'mac': <'1'>}]>}",
	           "sections, in any order");
	check_read("cmdline = root=/dev/xvda ro\n",
	           "{'cmdline': <'root=/dev/xvda ro'>, 'disks': <@aa{sv} []>, 'nics': <@aa{sv} []>}",
	           "a value with equals signs");
	check_bad("name\n", ":1: ");
	check_bad("name = a\ncolour = red\n", ":2: unknown key \"colour\"");
	check_bad("vcpus = two\n", "vcpus: \"two\"");
	check_bad("vcpus = -1\n", "vcpus: \"-1\"");
	check_bad("vcpus = 4294967296\n", "vcpus");
	check_bad("[floppy]\n", "section [floppy]");
	check_bad("[disk]\nreadonly = true\n", ":2: readonly");
	check_bad("[disk]\nmac = 1\n", ":2: unknown key \"mac\"");
	check_bad("cpumap = 3-1\n", "cpumap");
	check_bad("cpumap = 8192\n", "cpumap");
	check_bad("cpumap =\n", "cpumap");
	check_bad("name = \xff\n", "name");
	check_words("disk", "vdev=xvda type=file", "{'class': <'disk'>, 'vdev': <'xvda'>, 'type': <'file'>}");
	check_words("nic", "mtu=9000", "{'class': <'nic'>, 'mtu': <uint32 9000>}");
	check_words("nic", "vdev=xvda", "unknown key \"vdev\"");
	check_words("usb", "x=1", "\"usb\" is neither disk nor nic");
	g_unlink(path);
	g_rmdir(dir);
	g_free(path);
	return tap_end();
}
