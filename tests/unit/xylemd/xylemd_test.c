/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Host tests of xylemd's pure parts, under the sanitizers: configuration, store layout against golden lists,
 * policy and journal. argv[1] is the folder of the golden files; with XYLEM_UPDATE_GOLDEN set they are
 * written instead.
 */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "../../lib/tap.h"
#include "diskimage.h"
#include "error.h"
#include "guestconf.h"
#include "journal.h"
#include "layout.h"
#include "policy.h"
#include "xenctrl.h"

#define MINIMAL \
	"'name': <'g'>, 'uuid': <'11111111-2222-3333-4444-555555555501'>, 'memory_kib': <uint64 32768>, 'kernel': <'/k'>"
#define GUEST(name, uuid, memory, kernel)                                            \
	"{'name': <'" name "'>, 'uuid': <'" uuid "'>, 'memory_kib': <uint64 " memory \
	">, 'kernel': <'" kernel "'>}"
#define UUID "11111111-2222-3333-4444-555555555501"
#define DISK "'vdev': <'xvda'>, 'source': <'/d'>, 'type': <'block'>"
#define LIMITS(limits) \
	"{" MINIMAL ", 'disks': <[{" DISK ", 'format': <'qcow2'>, 'limits': <@a{st} {" limits "}>}]>}"
#define SCREEN(keys)  "{" MINIMAL ", 'screens': <[{" keys "}]>}"
#define CONSOLE(keys) "{" MINIMAL ", 'console_devices': <[{" keys "}]>}"
#define NIC           "'mac': <'00:16:3e:00:00:01'>, 'bridge': <'br0'>"
/* Masks of CPUID: 1, 8 and 63, before another one. */
#define MASK   "(uint32 1, uint32 0, uint32 0, uint32 0, uint32 0, uint32 0), "
#define MASKS8 MASK MASK MASK MASK MASK MASK MASK MASK
#define MASKS  MASKS8 MASKS8 MASKS8 MASKS8 MASKS8 MASKS8 MASKS8 MASK MASK MASK MASK MASK MASK MASK
#define FULL                                                                                                                                                                                 \
	"{'name': <'full'>, 'uuid': <'AAAAAAAA-2222-3333-4444-555555555501'>, 'memory_kib': <uint64 65536>, "                                                                                \
	"'max_memory_kib': <uint64 131072>, 'vcpus': <uint32 2>, 'max_vcpus': <uint32 3>, 'kernel': <'/boot/k'>, "                                                                           \
	"'ramdisk': <'/boot/r'>, 'cmdline': <'root=/dev/xvda'>, 'on_poweroff': <'preserve'>, "                                                                                               \
	"'on_reboot': <'destroy'>, 'on_crash': <'restart'>, 'weight': <uint32 512>, 'cap': <uint32 150>, "                                                                                   \
	"'cpumap': <[byte 0x03]>, 'cpu_hidden': <[(uint32 7, uint32 0, uint32 0, uint32 32, uint32 0, uint32 1)]>, 'vcpu_pins': <[(uint32 1, [byte 0x02])]>, 'clock_offset': <'variable'>, " \
	"'clock_adjustment': <int64 -3600>, 'tsc': <'emulate'>, 'consoles': <uint32 1>, "                                                                                                    \
	"'disks': <[{'vdev': <'xvda'>, 'source': <'/dev/vg/a'>, 'type': <'block'>}, "                                                                                                        \
	"{'vdev': <'xvdq'>, 'source': <'/img'>, 'type': <'file'>, 'readonly': <true>, 'discard': <false>, "                                                                                  \
	"'cache': <'none'>}, {'vdev': <'hdc'>, 'source': <'/dev/sr0'>, 'type': <'block'>, 'device': <'cdrom'>}, "                                                                            \
	"{'vdev': <'xvde'>, 'source': <'/q'>, 'type': <'file'>, 'format': <'qcow2'>, "                                                                                                       \
	"'limits': <{'total_bytes_sec': uint64 1000, 'size_iops_sec': 4096, 'read_iops_sec': 5}>}]>, "                                                                                       \
	"'nics': <[{'mac': <'00:16:3E:00:00:0A'>, 'bridge': <'xenbr0'>, 'mtu': <uint32 9000>}, "                                                                                             \
	"{'mac': <'00:16:3e:00:00:0b'>, 'bridge': <'br1'>, 'ifname': <'web0'>, 'link': <false>}]>, 'screens': <[{'type': <'vnc'>, 'listen': <'::1'>, 'port': <uint32 5901>}]>, "             \
	"'console_devices': <[{'type': <'pty'>}, {'type': <'file'>, 'path': <'/log'>}, "                                                                                                     \
	"{'type': <'unix'>, 'path': <'/s'>, 'name': <'org.example'>, 'number': <uint32 5>}, "                                                                                                \
	"{'type': <'tcp'>, 'host': <'::1'>, 'port': <uint32 4000>, 'mode': <'connect'>}]>, 'opaque': <'<domain/>'>}"

static struct guestconf *parse(const char *text, GError **error)
{
	g_autoptr(GVariant) dict = g_variant_parse(G_VARIANT_TYPE_VARDICT, text, NULL, NULL, error);

	if (!dict)
		g_error("the test's own text is wrong: %s: %s", text, (*error)->message);
	return guestconf_parse(dict, error);
}

static void check_accept(const char *text, const char *what)
{
	g_autoptr(GError) error = NULL;
	struct guestconf *conf = parse(text, &error);

	tap_ok(conf != NULL, "accepted: %s%s%s", what, error ? ": " : "", error ? error->message : "");
	guestconf_free(conf);
}

/* The refusal's code is right, and its message names the element. */
static void check_refuse(const char *text, enum xd_error code, const char *names)
{
	g_autoptr(GError) error = NULL;
	struct guestconf *conf = parse(text, &error);
	bool ok = !conf && error && error->domain == xd_error_quark() && error->code == (int)code &&
	          strstr(error->message, names);

	tap_ok(ok, "refused: %s: %s", names, error ? error->message : "(accepted)");
	guestconf_free(conf);
}

static void test_refusals(void)
{
	static const struct {
		const char *text;
		const char *names;
	} invalid[] = {
		{ "{'uuid': <'11111111-2222-3333-4444-555555555501'>}", "name is missing" },
		{ "{" MINIMAL ", 'colour': <'red'>}", "unknown key \"colour\"" },
		{ "{" MINIMAL ", 'vcpus': <'two'>}", "vcpus has type s" },
		{ "{" MINIMAL ", 'vcpus': <uint32 1>, 'vcpus': <uint32 2>}", "vcpus is given twice" },
		{ "{" MINIMAL ", 'vcpus': <uint32 0>}", "vcpus" },
		{ "{" MINIMAL ", 'vcpus': <uint32 2>, 'max_vcpus': <uint32 1>}", "max_vcpus" },
		{ "{" MINIMAL ", 'max_vcpus': <uint32 129>}", "max_vcpus" },
		{ "{" MINIMAL ", 'max_memory_kib': <uint64 32764>}", "max_memory_kib" },
		{ "{" MINIMAL ", 'weight': <uint32 0>}", "weight" },
		{ "{" MINIMAL ", 'weight': <uint32 65536>}", "weight" },
		{ "{" MINIMAL ", 'cap': <uint32 101>}", "cap" },
		{ "{" MINIMAL ", 'cpumap': <[byte 0x00, 0x00]>}", "cpumap" },
		{ "{" MINIMAL ", 'cpumap': <@ay []>}", "cpumap" },
		{ "{" MINIMAL ", 'vcpu_pins': <[(uint32 1, [byte 0x01])]>}", "vcpu_pins" },
		{ "{" MINIMAL ", 'vcpu_pins': <[(uint32 0, [byte 0x01]), (0, [byte 0x01])]>}", "vcpu_pins" },
		{ "{" MINIMAL ", 'cpu_hidden': <[" MASKS MASK "(1, 0, 0, 0, 0, 0)]>}", "cpu_hidden" },
		{ "{" MINIMAL ", 'ramdisk': <'relative'>}", "ramdisk" },
		{ "{" MINIMAL ", 'on_crash': <'explode'>}", "on_crash" },
		{ "{" MINIMAL ", 'clock_offset': <'lunar'>}", "clock_offset" },
		{ "{" MINIMAL ", 'tsc': <'quartz'>}", "tsc" },
		{ "{" MINIMAL ", 'clock_adjustment': <int64 9223372036854775807>}", "clock_adjustment" },
		{ GUEST("a/b", UUID, "32768", "/k"), "name" },
		{ GUEST("", UUID, "32768", "/k"), "name" },
		{ GUEST("Domain-0", UUID, "32768", "/k"), "name" },
		{ GUEST("g", "00000000-0000-0000-0000-000000000000", "32768", "/k"), "uuid" },
		{ GUEST("g", "1111", "32768", "/k"), "uuid" },
		{ GUEST("g", UUID, "4092", "/k"), "memory_kib" },
		{ GUEST("g", UUID, "32769", "/k"), "memory_kib" },
		{ GUEST("g", UUID, "18446744073709551612", "/k"), "memory_kib" },
		{ GUEST("g", UUID, "32768", "k"), "kernel" },
		{ "{" MINIMAL ", 'disks': <[{" DISK "}, {" DISK "}]>}", "disk 1: vdev xvda" },
		{ "{" MINIMAL ", 'disks': <[{'vdev': <'vda'>, 'source': <'/d'>, 'type': <'block'>}]>}",
		  "disk 0: vdev" },
		{ "{" MINIMAL ", 'disks': <[{'vdev': <'xvda'>, 'source': <'d'>, 'type': <'block'>}]>}",
		  "disk 0: source" },
		{ "{" MINIMAL ", 'disks': <[{'vdev': <'xvda'>, 'source': <'/d'>, 'type': <'qcow2'>}]>}",
		  "disk 0: type" },
		{ "{" MINIMAL ", 'disks': <[{" DISK ", 'device': <'floppy'>}]>}", "disk 0: device" },
		{ "{" MINIMAL ", 'disks': <[{" DISK ", 'format': <'vmdk'>}]>}", "disk 0: format" },
		{ "{" MINIMAL ", 'disks': <[{'vdev': <'xvda'>, 'source': <'/d'>}]>}",
		  "disk 0: type is missing" },
		{ "{" MINIMAL ", 'nics': <[{'mac': <'01:16:3e:00:00:01'>, 'bridge': <'br0'>}]>}",
		  "nic 0: mac" },
		{ "{" MINIMAL ", 'nics': <[{'mac': <'00:00:00:00:00:00'>, 'bridge': <'br0'>}]>}",
		  "nic 0: mac" },
		{ "{" MINIMAL ", 'nics': <[{'mac': <'00:16:3e:00:00'>, 'bridge': <'br0'>}]>}", "nic 0: mac" },
		{ "{" MINIMAL ", 'nics': <[{" NIC "}, {" NIC "}]>}", "nic 1: mac" },
		{ "{" MINIMAL ", 'nics': <[{'mac': <'00:16:3e:00:00:01'>, 'bridge': <'a/b'>}]>}",
		  "nic 0: bridge" },
		{ "{" MINIMAL ", 'nics': <[{'mac': <'00:16:3e:00:00:01'>, 'bridge': <'abcdefghijklmnop'>}]>}",
		  "nic 0: bridge" },
		{ "{" MINIMAL ", 'nics': <[{" NIC ", 'ifname': <'vif9.9'>}]>}", "nic 0: ifname" },
		{ "{" MINIMAL ", 'nics': <[{" NIC ", 'mtu': <uint32 67>}]>}", "nic 0: mtu" },
		{ "{" MINIMAL ", 'nics': <[{" NIC ", 'script': <'/x'>}]>}", "unknown key \"script\"" },
		{ SCREEN("'port': <uint32 5901>"), "screen: type is missing" },
		{ SCREEN("'type': <'vnc'>, 'password': <'secret'>"), "unknown key \"password\"" },
		{ SCREEN("'type': <'vnc'>, 'listen': <'localhost'>"), "screen: listen" },
		{ SCREEN("'type': <'vnc'>, 'listen': <'127.0.0.1,x'>"), "screen: listen" },
		{ SCREEN("'type': <'vnc'>, 'port': <uint32 5899>"), "screen: port 5899" },
		{ SCREEN("'type': <'vnc'>, 'port': <uint32 65536>"), "screen: port 65536" },
		{ SCREEN("'type': <'vnc'>, 'socket': <'relative'>"), "screen: socket" },
		{ SCREEN("'type': <'vnc'>, 'socket': <'/s'>, 'port': <uint32 5901>"),
		  "a socket has neither" },
		{ "{" MINIMAL ", 'screens': <[{'type': <'vnc'>}, {'type': <'vnc'>}]>}",
		  "more than 1 screen" },
		{ LIMITS("'group_name': 1"), "limits: unknown \"group_name\"" },
		{ LIMITS("'total_bytes_sec': 1, 'total_bytes_sec': 2"),
		  "limits: total_bytes_sec is given twice" },
		{ LIMITS("'total_bytes_sec': 1, 'read_bytes_sec': 2"),
		  "total_bytes_sec and read_bytes_sec exclude" },
		{ LIMITS("'total_iops_sec': 1, 'write_iops_sec': 2"),
		  "total_iops_sec and write_iops_sec exclude" },
		{ LIMITS("'total_iops_sec': 1, 'total_iops_sec_max': 2, 'read_iops_sec_max': 2"),
		  "total_iops_sec_max and read_iops_sec_max exclude" },
		{ LIMITS("'write_bytes_sec': 1000000000000001"),
		  "write_bytes_sec 1000000000000001 is more than 1000000000000000" },
		{ LIMITS("'read_bytes_sec_max': 5"), "read_bytes_sec_max without read_bytes_sec" },
		{ LIMITS("'read_iops_sec': 6, 'read_iops_sec_max': 5"),
		  "read_iops_sec_max 5 is less than read_iops_sec 6" },
		{ LIMITS("'total_iops_sec': 6, 'total_iops_sec_max_length': 2"),
		  "total_iops_sec_max_length without total_iops_sec_max" },
		{ LIMITS("'write_iops_sec': 6, 'write_iops_sec_max': 100000000000000, "
		         "'write_iops_sec_max_length': 11"),
		  "write_iops_sec_max_length 11 is too long" },
		{ LIMITS("'write_iops_sec': 6, 'write_iops_sec_max': 7, "
		         "'write_iops_sec_max_length': 4294967296"),
		  "write_iops_sec_max_length 4294967296 is too long" },
		{ LIMITS("'total_bytes_sec': 6, 'size_iops_sec': 512"),
		  "size_iops_sec without a limit of requests" },
		{ CONSOLE("'path': <'/f'>"), "console device 0: type is missing" },
		{ CONSOLE("'type': <'tls'>"), "type has no value \"tls\"" },
		{ CONSOLE("'type': <'pty'>, 'number': <uint32 0>"), "number 0 is outside 1..9" },
		{ CONSOLE("'type': <'pty'>, 'number': <uint32 10>"), "number 10 is outside 1..9" },
		{ CONSOLE("'type': <'pty'>}, {'type': <'pty'>, 'number': <uint32 1>"),
		  "console device 1: number 1 is used twice" },
		{ CONSOLE("'type': <'pty'>, 'number': <uint32 9>}, {'type': <'pty'>"), "number 10" },
		{ CONSOLE("'type': <'pty'>, 'path': <'/f'>"), "path is for file and unix" },
		{ CONSOLE("'type': <'file'>"), "path is for file and unix" },
		{ CONSOLE("'type': <'file'>, 'path': <'f'>"), "path \"f\"" },
		{ CONSOLE("'type': <'file'>, 'path': <'/f'>, 'mode': <'listen'>"), "mode is for" },
		{ CONSOLE("'type': <'unix'>, 'path': <'/s'>, 'mode': <'both'>"), "mode has no value" },
		{ CONSOLE("'type': <'unix'>, 'path': <'/s'>}, {'type': <'unix'>, 'path': <'/s'>"),
		  "path /s is used twice" },
		{ CONSOLE("'type': <'tcp'>, 'host': <'::1'>"), "host and port" },
		{ CONSOLE("'type': <'tcp'>, 'port': <uint32 1>"), "host and port" },
		{ CONSOLE("'type': <'unix'>, 'path': <'/s'>, 'port': <uint32 1>"), "host and port" },
		{ CONSOLE("'type': <'tcp'>, 'host': <'localhost'>, 'port': <uint32 1>"),
		  "host \"localhost\"" },
		{ CONSOLE("'type': <'tcp'>, 'host': <'::1'>, 'port': <uint32 65536>"), "port 65536" },
		{ CONSOLE("'type': <'pty'>, 'name': <''>"), "name is not" },
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(invalid); i++)
		check_refuse(invalid[i].text, XD_ERROR_INVALID_ARGUMENT, invalid[i].names);
	check_refuse("{" MINIMAL ", 'consoles': <uint32 2>}", XD_ERROR_NOT_SUPPORTED, "consoles");
	check_refuse("{" MINIMAL ", 'nics': <[{" NIC ", 'model': <'e1000'>}]>}", XD_ERROR_NOT_SUPPORTED,
	             "model");
	check_refuse("{" MINIMAL ", 'disks': <[{" DISK ", 'cache': <'writeback'>}]>}", XD_ERROR_NOT_SUPPORTED,
	             "cache");
	check_refuse("{" MINIMAL ", 'disks': <[{" DISK ", 'format': <'qcow2'>, 'shareable': <true>}]>}",
	             XD_ERROR_NOT_SUPPORTED, "shareable");
	check_refuse("{" MINIMAL ", 'disks': <[{" DISK ", 'limits': <{'total_iops_sec': uint64 9}>}]>}",
	             XD_ERROR_NOT_SUPPORTED, "the kernel serves raw disks");
	check_accept(LIMITS(""), "an image without limits");
	check_accept(
	        LIMITS("'read_bytes_sec': 1000000000000000, 'write_bytes_sec': 10, 'write_bytes_sec_max': 100, "
	               "'write_bytes_sec_max_length': 4294967295, 'total_iops_sec': 1, "
	               "'total_iops_sec_max_length': 1, 'size_iops_sec': 1"),
	        "the most that an image's limits may be");
	check_refuse(SCREEN("'type': <'spice'>"), XD_ERROR_NOT_SUPPORTED, "type \"spice\"");
	check_accept(SCREEN("'type': <'vnc'>"), "a screen on any port");
	check_accept(SCREEN("'type': <'vnc'>, 'socket': <'/run/s,1'>"), "a screen on a socket");
	check_accept("{" MINIMAL "}", "the required keys alone");
	check_accept(FULL, "all keys");
	check_accept("{" MINIMAL ", 'cpu_hidden': <[" MASKS "(1, 0, 0, 0, 0, 0)]>}", "64 masks of CPUID");
}

static void test_round_trip(void)
{
	g_autoptr(GError) error = NULL;
	struct guestconf *conf = parse(FULL, &error), *again;
	g_autoptr(GVariant) first = g_variant_ref_sink(guestconf_to_variant(conf)), second = NULL;

	again = guestconf_parse(first, &error);
	second = again ? g_variant_ref_sink(guestconf_to_variant(again)) : NULL;
	tap_ok(second && g_variant_equal(first, second), "what is encoded decodes to the same");
	tap_ok(((struct disk_conf *)g_ptr_array_index(again->disks, 2))->cdrom &&
	               ((struct disk_conf *)g_ptr_array_index(again->disks, 2))->readonly,
	       "a CD drive stays one, and is read-only without being told to");
	tap_ok(((struct disk_conf *)g_ptr_array_index(again->disks, 3))->limits.value[IO_RATE] == 1000 &&
	               ((struct disk_conf *)g_ptr_array_index(again->disks, 3))->limits.value[IO_SIZE] ==
	                       4096,
	       "limits are kept");
	tap_ok(!strcmp(conf->uuid, "aaaaaaaa-2222-3333-4444-555555555501"), "the uuid becomes lower case");
	tap_ok(!strcmp(((struct nic_conf *)g_ptr_array_index(conf->nics, 0))->mac_text, "00:16:3e:00:00:0a"),
	       "the mac becomes lower case");
	guestconf_free(conf);
	guestconf_free(again);
}

static void test_vdev(void)
{
	static const struct {
		const char *name;
		uint32_t devid;
	} good[] = { { "xvda", 51712 },
		     { "xvda1", 51713 },
		     { "xvdp15", 51967 },
		     { "xvdq", 1u << 28 | 16 << 8 },
		     { "xvda16", 1u << 28 | 16 },
		     { "xvdaa", 1u << 28 | 26 << 8 },
		     { "xvdzz", 1u << 28 | 701 << 8 },
		     { "sda", 2048 },
		     { "sdp15", 2048 + 255 },
		     { "hda", 768 },
		     { "hdb2", 834 },
		     { "hdd", 22 << 8 | 64 } };
	static const char *const bad[] = { "",        "xvd",    "xvdA",   "xvda0",  "xvda01",
		                           "xvda256", "xvdaaa", "vda",    "sdq",    "sda16",
		                           "hde",     "hda64",  "xvda-1", "xvda1x", "xvda 1" };
	uint32_t devid;
	guint i;

	for (i = 0; i < G_N_ELEMENTS(good); i++)
		tap_ok(vdev_to_devid(good[i].name, &devid) && devid == good[i].devid, "%s is %u",
		       good[i].name, good[i].devid);
	for (i = 0; i < G_N_ELEMENTS(bad); i++)
		tap_ok(!vdev_to_devid(bad[i], &devid), "\"%s\" is no disk", bad[i]);
}

static void put(uint8_t *at, uint64_t value, int bytes)
{
	while (bytes--) {
		at[bytes] = (uint8_t)value;
		value >>= 8;
	}
}

/* Each field that would have QEMU open something else, or that we know nothing of, is a refusal; no byte is beyond the end. */
static void test_images(void)
{
	static const struct {
		int at, bytes;
		uint64_t value;
		const char *word; /* NULL: it is taken */
	} fields[] = {
		{ 0, 4, 0x514649fb, NULL },
		{ 0, 4, 0x514649fa, "no qcow2" },
		{ 4, 4, 2, NULL },
		{ 4, 4, 1, "version" },
		{ 4, 4, 4, "version" },
		{ 8, 8, 512, "backing file" },
		{ 8, 8, 1ull << 63, "backing file" },
		{ 16, 4, 1, "backing file" },
		{ 20, 4, 8, "whole header" },
		{ 20, 4, 22, "whole header" },
		{ 20, 4, 0xffffffff, "whole header" },
		{ 32, 4, 1, "encrypted" },
		{ 32, 4, 2, "encrypted" },
		{ 72, 8, 1, NULL },
		{ 72, 8, 8, NULL },
		{ 72, 8, 16, NULL },
		{ 72, 8, 2, "corrupt" },
		{ 72, 8, 4, "another file" },
		{ 72, 8, 32, "not known" },
		{ 72, 8, 1ull << 63, "not known" },
		{ 100, 4, 103, "whole header" },
		{ 100, 4, 65537, "whole header" },
		{ 100, 4, 112, NULL },
	};
	uint8_t head[DISKIMAGE_HEAD];
	bool shut = true;
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(fields); i++) {
		const char *problem;

		memset(head, 0, sizeof(head));
		put(head, 0x514649fb, 4);
		put(head + 4, 3, 4);
		put(head + 20, 16, 4);
		put(head + 24, 1 << 20, 8);
		put(head + 100, 104, 4);
		put(head + fields[i].at, fields[i].value, fields[i].bytes);
		problem = diskimage_refusal(DISK_QCOW2, head, sizeof(head));
		tap_ok(fields[i].word ? problem && strstr(problem, fields[i].word) : !problem,
		       "an image with %" G_GINT64_MODIFIER "x at %d: %s", fields[i].value, fields[i].at,
		       problem ? problem : "is taken");
	}
	for (i = 0; i < 104; i++) {
		g_autofree uint8_t *less = g_memdup2(head, i + 1);

		shut = shut && diskimage_refusal(DISK_QCOW2, less, i);
	}
	tap_ok(shut && !diskimage_refusal(DISK_QCOW2, head, 104), "one that ends early is refused");
	for (i = 0; i < 100000; i++) {
		size_t k;

		for (k = 0; k < 112; k++)
			head[k] = (uint8_t)g_random_int();
		put(head, 0x514649fb, 4);
		put(head + 4, g_random_int_range(1, 5), 4);
		put(head + 20, g_random_int_range(0, 64), 4);
		shut = shut && diskimage_refusal(DISK_QCOW2, head, sizeof(head));
	}
	tap_ok(shut, "none of random bytes is taken");
}

static void test_references(void)
{
	static const struct {
		const char *text;
		bool good;
	} refs[] = {
		{ "{'class': <'disk'>, 'vdev': <'xvda'>}", true },
		{ "{'class': <'nic'>, 'mac': <'00:16:3E:00:00:01'>, 'force': <true>}", true },
		{ "{'class': <'disk'>}", false },
		{ "{'class': <'disk'>, 'vdev': <'xvda'>, 'mac': <'00:16:3e:00:00:01'>}", false },
		{ "{'class': <'nic'>, 'mac': <'zz'>}", false },
		{ "{'class': <'usb'>, 'vdev': <'x'>}", false },
		{ "{'vdev': <'xvda'>}", false },
		{ "{'class': <'disk'>, 'vdev': <'xvda'>, 'x': <1>}", false },
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(refs); i++) {
		g_autoptr(GVariant) dict =
		        g_variant_parse(G_VARIANT_TYPE_VARDICT, refs[i].text, NULL, NULL, NULL);
		g_autoptr(GError) error = NULL;
		struct device_ref ref;
		bool ok = device_ref_parse(dict, &ref, &error);

		tap_ok(ok == refs[i].good && ok == !error, "reference %s", refs[i].text);
		device_ref_clear(&ref);
	}
}

static void compare_golden(const char *dir, const char *name, GArray *nodes)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	g_autofree char *text = layout_to_text(nodes), *want = NULL;

	if (g_getenv("XYLEM_UPDATE_GOLDEN"))
		g_file_set_contents(path, text, -1, NULL);
	tap_ok(g_file_get_contents(path, &want, NULL, NULL) && !strcmp(text, want), "store layout: %s", name);
	if (want && strcmp(text, want))
		fprintf(stderr, "%s:\n%s", name, text);
	g_array_unref(nodes);
}

static void test_layout(const char *dir)
{
	struct layout_ids ids = {
		.domid = 7, .store_port = 1, .store_mfn = 4660, .console_port = 2, .console_mfn = 4661
	};
	g_autoptr(GError) error = NULL;
	struct guestconf *full = parse(FULL, &error),
	                 *bare = parse("{" MINIMAL ", 'consoles': <uint32 0>}", &error);
	GArray *nodes = layout_new();

	layout_add_guest(nodes, full, 7);
	layout_add_rings(nodes, full, &ids);
	layout_add_disk(nodes, 7, g_ptr_array_index(full->disks, 0), 254, 3);
	layout_add_disk(nodes, 7, g_ptr_array_index(full->disks, 1), 7, 31);
	layout_add_disk(nodes, 7, g_ptr_array_index(full->disks, 2), 11, 0);
	layout_add_disk(nodes, 7, g_ptr_array_index(full->disks, 3), 0, 0);
	layout_add_nic(nodes, 7, g_ptr_array_index(full->nics, 0), 0, 9000);
	layout_add_nic(nodes, 7, g_ptr_array_index(full->nics, 1), 1, 0);
	layout_add_screen(nodes, 7);
	for (guint i = 0; i < full->consoles->len; i++)
		layout_add_console(nodes, 7, g_ptr_array_index(full->consoles, i));
	compare_golden(dir, "full.layout", nodes);
	nodes = layout_new();
	layout_add_guest(nodes, bare, 7);
	layout_add_rings(nodes, bare, &ids);
	compare_golden(dir, "minimal.layout", nodes);
	guestconf_free(full);
	guestconf_free(bare);
}

/* Everything the guest may write is below its own directory, and nothing that dom0 believes is among it. */
static void test_layout_rights(void)
{
	static const char *const closed[] = { "/console", "/store", "/memory", "/cpu", "/name", "/vm" };
	struct layout_ids ids = { .domid = 7 };
	g_autoptr(GError) error = NULL;
	struct guestconf *conf = parse(FULL, &error);
	GArray *nodes = layout_new();
	bool inside = true, shut = true;
	guint i, j;

	layout_add_guest(nodes, conf, 7);
	layout_add_rings(nodes, conf, &ids);
	layout_add_disk(nodes, 7, g_ptr_array_index(conf->disks, 0), 254, 3);
	for (i = 0; i < nodes->len; i++) {
		struct layout_node *node = &g_array_index(nodes, struct layout_node, i);

		if (node->perms != LAYOUT_GUEST_OWNS && node->perms != LAYOUT_FRONTEND)
			continue;
		inside = inside && g_str_has_prefix(node->path, "/local/domain/7/");
		for (j = 0; j < G_N_ELEMENTS(closed); j++)
			shut = shut && !g_str_has_prefix(node->path + strlen("/local/domain/7"), closed[j]);
	}
	tap_ok(inside, "what a guest owns is below its own directory");
	tap_ok(shut, "a guest owns none of console, store, memory, cpu, name and vm");
	guestconf_free(conf);
	g_array_unref(nodes);
}

static void test_policy(void)
{
	g_autoptr(GError) error = NULL;
	struct guestconf *conf = parse(FULL, &error);
	struct policy_state state = { .started_us = 1000 };
	int64_t late = state.started_us + POLICY_QUICK_RUN_US;
	struct policy_verdict v;
	guint i;

	v = policy_decide(conf, &state, XYL_SHUTDOWN_POWEROFF, late);
	tap_ok(v.action == POLICY_PRESERVE && !strcmp(v.event, "shutdown") && !strcmp(v.reason, "poweroff"),
	       "poweroff");
	v = policy_decide(conf, &state, XYL_SHUTDOWN_REBOOT, late);
	tap_ok(v.action == POLICY_DESTROY && !strcmp(v.event, "shutdown") && !strcmp(v.reason, "reboot"),
	       "reboot");
	v = policy_decide(conf, &state, XYL_SHUTDOWN_CRASH, late);
	tap_ok(v.action == POLICY_RESTART && !strcmp(v.event, "crashed") && !strcmp(v.reason, "crash"),
	       "crash");
	v = policy_decide(conf, &state, XYL_SHUTDOWN_WATCHDOG, late);
	tap_ok(v.action == POLICY_RESTART && !strcmp(v.event, "crashed") && !strcmp(v.reason, "watchdog"),
	       "watchdog");
	v = policy_decide(conf, &state, XYL_SHUTDOWN_SUSPEND, late);
	tap_ok(v.action == POLICY_PRESERVE && !strcmp(v.reason, "suspend"), "suspend is kept");
	v = policy_decide(conf, &state, 77, late);
	tap_ok(v.action == POLICY_RESTART && !strcmp(v.event, "crashed") && !strcmp(v.reason, "other"),
	       "unknown reasons are crashes");
	for (i = 0; i + 1 < POLICY_QUICK_RUNS_MAX; i++) {
		v = policy_decide(conf, &state, XYL_SHUTDOWN_CRASH, state.started_us + 1);
		if (v.action != POLICY_RESTART || v.rate_limited)
			break;
		state = policy_restarted(&state, state.started_us + 1);
	}
	tap_ok(i == POLICY_QUICK_RUNS_MAX - 1, "quick runs are restarted %u times",
	       POLICY_QUICK_RUNS_MAX - 1);
	v = policy_decide(conf, &state, XYL_SHUTDOWN_CRASH, state.started_us + 1);
	tap_ok(v.action == POLICY_DESTROY && v.rate_limited, "and then no more");
	v = policy_decide(conf, &state, XYL_SHUTDOWN_CRASH, state.started_us + POLICY_QUICK_RUN_US);
	tap_ok(v.action == POLICY_RESTART && !v.rate_limited, "unless the last run was long");
	state = policy_restarted(&state, state.started_us + POLICY_QUICK_RUN_US);
	tap_ok(state.quick_runs == 0, "which makes the count begin anew");
	guestconf_free(conf);
}

/* An action of two steps, and what an end too many leaves of it. */
static void test_policy_steps(void)
{
	static const struct {
		const char *action;
		bool dump, keep;
		enum policy_action then;
	} steps[] = { { "rename-restart", false, true, POLICY_RESTART },
		      { "coredump-restart", true, false, POLICY_RESTART },
		      { "coredump-destroy", true, false, POLICY_DESTROY } };
	struct policy_state slow = { .started_us = 1000 };
	struct policy_state quick = { .started_us = 1000, .quick_runs = POLICY_QUICK_RUNS_MAX - 1 };
	g_autoptr(GError) error = NULL;
	guint i;

	for (i = 0; i < G_N_ELEMENTS(steps); i++) {
		g_autofree char *text =
		        g_strdup_printf("{" MINIMAL ", 'on_crash': <'%s'>, 'on_poweroff': <'%s'>}",
		                        steps[i].action, steps[i].action);
		struct guestconf *conf = parse(text, &error);
		g_autoptr(GVariant) back = g_variant_ref_sink(guestconf_to_variant(conf));
		const char *kept = "";
		struct policy_verdict v =
		        policy_decide(conf, &slow, XYL_SHUTDOWN_CRASH, 1000 + POLICY_QUICK_RUN_US);

		g_variant_lookup(back, "on_poweroff", "&s", &kept);
		tap_ok(v.action == steps[i].then && v.dump == steps[i].dump && v.keep == steps[i].keep &&
		               !v.rate_limited && !strcmp(kept, steps[i].action),
		       "%s", steps[i].action);
		v = policy_decide(conf, &quick, XYL_SHUTDOWN_CRASH, 1001);
		tap_ok(v.action == POLICY_DESTROY && v.dump == steps[i].dump && !v.keep &&
		               v.rate_limited == (steps[i].then == POLICY_RESTART),
		       "%s, too often: it is not started again%s", steps[i].action,
		       steps[i].dump ? ", and dumped" : "");
		v = policy_decide(conf, &slow, XYL_SHUTDOWN_SUSPEND, 1001);
		tap_ok(v.action == POLICY_PRESERVE && !v.dump && !v.keep, "%s is nothing for a suspend",
		       steps[i].action);
		guestconf_free(conf);
	}
}

static struct journal *make_journal(void)
{
	g_autoptr(GError) error = NULL;
	struct journal *journal = g_new0(struct journal, 1);
	uint32_t devids[] = { 0, 3 };

	journal->phase = JOURNAL_RESTART;
	journal->domid = 42;
	journal->unpaused = true;
	journal->policy.started_us = 123456789;
	journal->policy.quick_runs = 2;
	journal->kept_of = g_strdup("a uuid");
	journal->conf = parse(FULL, &error);
	journal->nic_devids = g_array_new(FALSE, FALSE, sizeof(uint32_t));
	g_array_append_vals(journal->nic_devids, devids, 2);
	return journal;
}

/* Whether all that xylemd relies on holds. */
static bool journal_sound(const struct journal *journal)
{
	const struct guestconf *conf = journal->conf;

	return journal->phase <= JOURNAL_RESTART && conf && conf->name && *conf->name && conf->kernel &&
	       g_uuid_string_is_valid(conf->uuid) && journal->nic_devids &&
	       journal->nic_devids->len == conf->nics->len;
}

/* Whatever bytes a journal's file holds, loading ends in an error or in a valid journal. */
static void test_journal_damage(const char *path)
{
	g_autofree char *bytes = NULL;
	gsize size, cut;
	guint loaded = 0, refused = 0, unsound = 0;
	guint32 seed = 1;

	g_file_get_contents(path, &bytes, &size, NULL);
	for (cut = 0; cut < size; cut += 1 + size / 200) {
		struct journal *journal;

		g_file_set_contents(path, bytes, (gssize)cut, NULL);
		journal = journal_load(path, NULL);
		refused += !journal;
		loaded += journal != NULL;
		journal_free(journal);
	}
	tap_ok(loaded == 0 && refused > 0, "a cut-off file is refused at each of %u lengths", refused);
	for (cut = 0; cut < 400; cut++) {
		g_autofree char *copy = g_memdup2(bytes, size);
		struct journal *journal;

		seed = seed * 1664525 + 1013904223;
		copy[seed % size] ^= (char)(1 << (seed >> 24) % 8);
		g_file_set_contents(path, copy, (gssize)size, NULL);
		journal = journal_load(path, NULL);
		loaded += journal != NULL;
		unsound += journal && !journal_sound(journal);
		journal_free(journal);
	}
	tap_ok(loaded < 400 && unsound == 0, "of 400 files with one wrong bit %u load, and are valid",
	       loaded);
}

/* A new guest's journal can be read before the guest is built: what is half built must be found. */
static void test_journal_of_new(void)
{
	g_autofree char *dir = g_dir_make_tmp("xylemd-test-XXXXXX", NULL);
	g_autoptr(GError) error = NULL;
	struct journal *journal = journal_new(parse(FULL, &error)), *back;
	g_autofree char *path = g_build_filename(dir, journal->conf->uuid, NULL);
	g_autoptr(GVariant) conf = g_variant_ref_sink(guestconf_to_variant(journal->conf));

	journal->domid = 7;
	tap_ok(journal_save(dir, journal, conf, &error), "the journal of a new guest with nics is saved");
	back = journal_load(path, &error);
	tap_ok(back && back->phase == JOURNAL_BUILDING && back->domid == 7 && back->nic_devids->len == 2,
	       "and loaded, as of a guest that is being built%s%s", error ? ": " : "",
	       error ? error->message : "");
	journal_free(back);
	journal_free(journal);
	g_unlink(path);
	g_rmdir(dir);
}

static void test_journal(void)
{
	g_autofree char *dir = g_dir_make_tmp("xylemd-test-XXXXXX", NULL);
	struct journal *journal = make_journal(), *back;
	g_autofree char *path = g_build_filename(dir, journal->conf->uuid, NULL);
	g_autoptr(GVariant) want = g_variant_ref_sink(guestconf_to_variant(journal->conf)), got = NULL;
	g_autoptr(GError) error = NULL;

	tap_ok(journal_save(dir, journal, want, &error), "the journal is saved");
	back = journal_load(path, &error);
	got = back ? g_variant_ref_sink(guestconf_to_variant(back->conf)) : NULL;
	tap_ok(back && back->phase == JOURNAL_RESTART && back->domid == 42 && back->unpaused &&
	               back->policy.started_us == 123456789 && back->policy.quick_runs == 2 &&
	               !g_strcmp0(back->kept_of, "a uuid") && back->nic_devids->len == 2 &&
	               g_array_index(back->nic_devids, uint32_t, 1) == 3 && g_variant_equal(want, got),
	       "and loaded as it was%s%s", error ? ": " : "", error ? error->message : "");
	journal_free(back);
	test_journal_damage(path);
	tap_ok(journal_remove(dir, journal->conf->uuid, &error) && access(path, F_OK), "and removed");
	tap_ok(journal_remove(dir, journal->conf->uuid, &error), "removing it twice is no error");
	g_clear_error(&error);
	tap_ok(!journal_save("/nonexistent", journal, want, &error) && error &&
	               strstr(error->message, "/nonexistent"),
	       "a missing folder is an error that names it");
	journal_free(journal);
	g_rmdir(dir);
}

static bool scheduler_is(const struct guestconf *conf, const char *text, uint32_t weight, uint32_t cap)
{
	g_autoptr(GVariant) dict = g_variant_ref_sink(g_variant_new_parsed(text));
	uint32_t got[2] = { 0 };

	return scheduler_parse(dict, conf, &got[0], &got[1], NULL) && got[0] == weight && got[1] == cap;
}

static bool pin_is_refused(const struct guestconf *conf, const char *text)
{
	g_autoptr(GVariant) argument = g_variant_ref_sink(g_variant_new_parsed(text));
	struct vcpu_pin pin = { 0 };
	bool refused = !pin_parse(argument, conf, &pin, NULL);

	g_clear_pointer(&pin.cpumap, g_bytes_unref);
	return refused;
}

/* Settings of a running guest: checked as at its start, and part of the configuration afterwards. */
static void test_live_settings(void)
{
	struct guestconf *conf =
	        parse("{" MINIMAL ", 'vcpus': <uint32 2>, 'weight': <uint32 300>, 'cap': <uint32 20>}", NULL);
	g_autoptr(GVariant) argument = g_variant_ref_sink(g_variant_new_parsed("(uint32 1, [byte 4])"));
	struct vcpu_pin pin;

	tap_ok(scheduler_is(conf, "@a{sv} {'weight': <uint32 512>}", 512, 20) &&
	               scheduler_is(conf, "@a{sv} {'cap': <uint32 0>}", 300, 0) &&
	               scheduler_is(conf, "@a{sv} {}", 300, 20),
	       "what SetScheduler does not name stays");
	tap_ok(!scheduler_is(conf, "@a{sv} {'weight': <uint32 0>}", 0, 20) &&
	               !scheduler_is(conf, "@a{sv} {'cap': <uint32 201>}", 300, 201) &&
	               !scheduler_is(conf, "@a{sv} {'slice': <uint32 1>}", 300, 20),
	       "and what is out of range or unknown is refused");
	tap_ok(pin_is_refused(conf, "(uint32 2, [byte 1])") && pin_is_refused(conf, "(uint32 0, [byte 0])") &&
	               pin_is_refused(conf, "(uint32 0, @ay [])"),
	       "a vcpu that is not there, or no CPU");
	for (int i = 0; i < 2; i++) {
		if (!pin_parse(argument, conf, &pin, NULL))
			break;
		guestconf_set_pin(conf, &pin);
	}
	tap_ok(conf->pins->len == 1 && g_array_index(conf->pins, struct vcpu_pin, 0).vcpu == 1,
	       "a vcpu's new affinity takes the place of the old");
	guestconf_free(conf);
}

int main(int argc, char **argv)
{
	if (argc != 2 && !g_getenv("GOLDEN"))
		g_error("usage: xylemd_test GOLDEN-FOLDER");
	test_refusals();
	test_round_trip();
	test_vdev();
	test_images();
	test_references();
	test_live_settings();
	test_layout(argc == 2 ? argv[1] : g_getenv("GOLDEN"));
	test_layout_rights();
	test_policy();
	test_policy_steps();
	test_journal();
	test_journal_of_new();
	return tap_end();
}
