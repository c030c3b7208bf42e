/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Configuration files of xl and of the xm before it become domain definitions.
 *
 *  1. nativetext.c makes the text what libvirt's parser for such files takes, and that parses it.
 *  2. <type> first, since a file for another kind of guest has many keys that would be refused one by one.
 *  3. Each key is looked for in nativekeys.c: unknown and refused ones end it, those without meaning are noted.
 *  4. Those that are carried out are read, subject by subject.
 *  5. libvirt completes the definition, and check.c and elements.c have their say, as when XML is defined.
 *
 * No file is touched: whether a path exists, and whether it is a block device, is not looked at.
 */
#include "native.h"
#include "check.h"
#include "elements.h"

#include "../libxenctrl/src/guestlimits.h"
#include "domain_postparse.h"
#include "domain_validate.h"
#include "viralloc.h"
#include "virerror.h"
#include "virlog.h"
#include "virstring.h"
#include "viruuid.h"

#define VIR_FROM_THIS VIR_FROM_XEN

VIR_LOG_INIT("xylem.native");

#define MEMORY_MAX_MIB (GUEST_MEMORY_MAX_KIB / 1024)
/* What a bitmap of CPUs holds in libvirt. */
#define CPUS_MAX 1024
#define SAID_MAX 120

int native_refuse(const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list args;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	virReportError(VIR_ERR_CONFIG_UNSUPPORTED, "%s", text);
	return -1;
}

void native_note(struct native *n, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_ptr_array_add(n->notes, g_strdup_vprintf(format, args));
	va_end(args);
}

/* ---- values: for xl all of them are strings, and a string of digits is a number ---- */

/* 1, or 0 where the key is not there, or -1. */
static int get_number(struct native *n, const char *key, long long *number)
{
	const virConfValue *value = g_hash_table_lookup(n->values, key);

	if (!value)
		return 0;
	if (value->type == VIR_CONF_LLONG || value->type == VIR_CONF_ULLONG) {
		*number = value->l;
		return 1;
	}
	if (g_hash_table_contains(n->joined, key))
		return native_refuse("%s: += joins lists or strings, no numbers", key);
	if (value->type == VIR_CONF_STRING && virStrToLong_ll(value->str, NULL, 0, number) == 0)
		return 1;
	return native_refuse("%s: a number is needed", key);
}

static int get_number_within(struct native *n, const char *key, long long least, long long most,
                             long long *number)
{
	int got = get_number(n, key, number);

	if (got > 0 && (*number < least || *number > most))
		return native_refuse("%s = %lld: it is %lld..%lld", key, *number, least, most);
	return got;
}

/* NULL in *string where it is not there or empty. */
static int get_string(struct native *n, const char *key, char **string)
{
	const virConfValue *value = g_hash_table_lookup(n->values, key);

	*string = NULL;
	if (!value)
		return 0;
	if (value->type == VIR_CONF_LLONG || value->type == VIR_CONF_ULLONG)
		*string = g_strdup_printf("%lld", value->l);
	else if (value->type != VIR_CONF_STRING)
		return native_refuse("%s: a string is needed, not a list", key);
	else if (value->str[0])
		*string = g_strdup(value->str);
	return 0;
}

/* Calls read for each string of a list; a string that stands alone is a list of one, an empty one of none. */
static int get_list(struct native *n, const char *key,
                    int (*read)(struct native *n, const char *item, size_t index))
{
	const virConfValue *value = g_hash_table_lookup(n->values, key);
	const virConfValue *item;
	size_t index = 0;

	if (value && value->type == VIR_CONF_STRING)
		return value->str[0] ? read(n, value->str, 0) : 0;
	if (value && value->type != VIR_CONF_LIST)
		return native_refuse("%s: a list of strings is needed", key);
	for (item = value ? value->list : NULL; item; item = item->next) {
		if (item->type != VIR_CONF_STRING)
			return native_refuse("%s: a list of strings is needed", key);
		if (read(n, item->str, index++) < 0)
			return -1;
	}
	return 0;
}

static void restore(virConfValue *value)
{
	virConfValue *item;

	if (value->type == VIR_CONF_STRING && value->str)
		native_restore(value->str);
	/* No deeper than nativetext.c lets it be. */
	for (item = value->type == VIR_CONF_LIST ? value->list : NULL; item; item = item->next)
		restore(item);
}

/* ---- which keys there are ---- */

/* Nothing is asked for: 0, an empty string or list, or one of the key's own words. */
static bool is_off(const virConfValue *value, const char *harmless)
{
	if (value->type == VIR_CONF_STRING) {
		g_auto(GStrv) words = g_strsplit(harmless ? harmless : "", ",", 0);

		return !value->str[0] || STREQ(value->str, "0") ||
		       g_strv_contains((const char *const *)words, value->str);
	}
	if (value->type == VIR_CONF_LIST)
		return !value->list;
	if (harmless && value->l) {
		g_autofree char *number = g_strdup_printf("%lld", value->l);

		return STREQ(number, harmless);
	}
	return value->l == 0;
}

static int check_key(struct native *n, const char *name, const virConfValue *value)
{
	const struct native_key *key = native_key(name);

	if (!key)
		return native_refuse("%.40s: xl.cfg(5) has no such key", name);
	if (key->class == NATIVE_REFUSED && !is_off(value, key->harmless))
		return native_refuse("%s: %s", name, key->why);
	if (key->class == NATIVE_IDLE)
		native_note(n, "%s: %s", name, key->why);
	return 0;
}

struct seen {
	struct native *n;
	GPtrArray *names; /* in the order of the file */
};

static int collect(const char *name, virConfValue *value, void *opaque)
{
	struct seen *seen = opaque;
	virConfValue *before = g_hash_table_lookup(seen->n->values, name);
	int joined = native_join(value, before);

	if (joined < 0)
		return native_refuse("%.40s: += joins a list to a list, or a string to a string", name);
	restore(value);
	/* As it is for xl and for Python. */
	if (before && !joined)
		native_note(seen->n, "%s: given twice, the last one counts", name);
	if (!before)
		g_ptr_array_add(seen->names, (void *)name);
	g_hash_table_replace(seen->n->values, (void *)name, value);
	if (joined)
		g_hash_table_add(seen->n->joined, (void *)name);
	else
		g_hash_table_remove(seen->n->joined, name);
	return 0;
}

/* ---- the guest itself ---- */

static int read_type(struct native *n)
{
	g_autofree char *type = NULL, *builder = NULL;
	const char *kind;

	if (get_string(n, "type", &type) < 0 || get_string(n, "builder", &builder) < 0)
		return -1;
	kind = type ? type : builder ? builder : "pv";
	if (STREQ(kind, "pv") || (!type && (STREQ(kind, "linux") || STREQ(kind, "generic"))))
		return 0;
	return native_refuse("%s = \"%.40s\": only paravirtual guests (type = \"pv\") are supported",
	                     type ? "type" : "builder", kind);
}

static int read_names(struct native *n)
{
	g_autofree char *uuid = NULL;

	/* xl passes over the description, which SUSE's installer wrote. */
	if (get_string(n, "name", &n->def->name) < 0 || get_string(n, "uuid", &uuid) < 0 ||
	    get_string(n, "description", &n->def->description) < 0)
		return -1;
	if (!n->def->name)
		return native_refuse("name: it is missing");
	if (strchr(n->def->name, '/'))
		return native_refuse("name = \"%.40s\": a name has no '/'", n->def->name);
	if (uuid && virUUIDParse(uuid, n->def->uuid) < 0)
		return native_refuse("uuid = \"%.40s\": this is no UUID", uuid);
	if (!uuid && virUUIDGenerate(n->def->uuid) < 0)
		return native_refuse("uuid: none could be made");
	return 0;
}

static int read_memory(struct native *n)
{
	long long memory = 0, most = 0;
	int has_memory = get_number_within(n, "memory", 1, MEMORY_MAX_MIB, &memory);
	int has_most = has_memory < 0 ? -1 : get_number_within(n, "maxmem", 1, MEMORY_MAX_MIB, &most);

	if (has_memory < 0 || has_most < 0)
		return -1;
	if (!has_memory && !has_most)
		return native_refuse("memory: it is missing");
	if (!has_memory)
		memory = most;
	if (!has_most)
		most = memory;
	if (most < memory)
		return native_refuse("maxmem = %lld: less than memory = %lld", most, memory);
	virDomainDefSetMemoryTotal(n->def, (unsigned long long)most * 1024);
	n->def->mem.cur_balloon = (unsigned long long)memory * 1024;
	return 0;
}

/* What libvirt wrote into files of xm: vcpus is the most, and a bit for each that is there at start. */
static int read_vcpu_avail(struct native *n, long long most, long long *vcpus)
{
	long long mask = 0;
	int got = get_number_within(n, "vcpu_avail", 1, LLONG_MAX, &mask);

	if (got <= 0)
		return got;
	if (most < 63)
		mask &= (1LL << most) - 1;
	*vcpus = __builtin_popcountll((unsigned long long)mask);
	return *vcpus ? 0 : native_refuse("vcpu_avail: no vcpu would be there");
}

static int read_vcpus(struct native *n)
{
	long long vcpus = 1, most = 0;
	int has_most;

	if (get_number_within(n, "vcpus", 1, GUEST_VCPUS_MAX, &vcpus) < 0)
		return -1;
	has_most = get_number_within(n, "maxvcpus", 1, GUEST_VCPUS_MAX, &most);
	if (has_most < 0)
		return -1;
	if (!has_most)
		most = vcpus;
	if (most < vcpus)
		return native_refuse("maxvcpus = %lld: less than vcpus = %lld", most, vcpus);
	if (!has_most && read_vcpu_avail(n, most, &vcpus) < 0)
		return -1;
	if (virDomainDefSetVcpusMax(n->def, (unsigned int)most, n->xmlopt) < 0)
		return -1;
	return virDomainDefSetVcpus(n->def, (unsigned int)vcpus);
}

static int read_cpuid(struct native *n)
{
	g_autofree char *text = NULL;

	if (get_string(n, "cpuid", &text) < 0)
		return -1;
	return text ? native_read_cpuid(n, text) : 0;
}

/* ---- where vcpus run ---- */

static int cpu_range(const char *word, const char *text, unsigned int *first, unsigned int *last)
{
	char *end = NULL;

	if (g_ascii_isdigit(*word) && virStrToLong_uip(word, &end, 10, first) == 0) {
		*last = *first;
		if (*end == '-' && g_ascii_isdigit(end[1]) && virStrToLong_uip(end + 1, &end, 10, last) < 0)
			end = (char *)"-";
		if (!*end && *first <= *last && *last < CPUS_MAX)
			return 0;
	}
	return native_refuse("cpus = \"%.120s\": '%.40s' is no CPU, no range of CPUs and not \"all\"", text,
	                     word);
}

/* A list as "0-3,^1" or "all,^0"; *map is NULL for all CPUs. */
static int read_cpu_list(struct native *n, const char *text, virBitmap **map)
{
	g_auto(GStrv) words = g_strsplit(text, ",", 0);
	g_autoptr(virBitmap) cpus = virBitmapNew(CPUS_MAX);
	bool all = false, without = false;
	unsigned int cpu, first = 0, last = 0;
	size_t i;

	for (i = 0; words[i]; i++) {
		const char *word = g_strstrip(words[i]);
		bool minus = *word == '^';

		if (STRPREFIX(word + minus, "node:") || STRPREFIX(word + minus, "nodes:"))
			return native_refuse("cpus = \"%.120s\": name the CPUs, not their NUMA nodes", text);
		if (STREQ(word, "all")) {
			all = true;
			first = 0;
			last = n->host_cpus - 1;
		} else if (cpu_range(word + minus, text, &first, &last) < 0) {
			return -1;
		}
		without |= minus;
		for (cpu = first; cpu <= last; cpu++)
			ignore_value(minus ? virBitmapClearBit(cpus, cpu) : virBitmapSetBit(cpus, cpu));
	}
	if (virBitmapIsAllClear(cpus))
		return native_refuse("cpus = \"%.120s\": no CPU is left", text);
	if (!all || without)
		*map = g_steal_pointer(&cpus);
	return 0;
}

static int read_pin(struct native *n, const char *text, size_t index)
{
	virDomainVcpuDef *vcpu;

	if (index >= virDomainDefGetVcpusMax(n->def)) {
		native_note(n, "cpus: entry %zu is of a vcpu that there is not", index);
		return 0;
	}
	vcpu = virDomainDefGetVcpu(n->def, (unsigned int)index);
	return read_cpu_list(n, text, &vcpu->cpumask);
}

/* A string is for all vcpus, a list has one entry for each. */
static int read_cpus(struct native *n)
{
	const virConfValue *value = g_hash_table_lookup(n->values, "cpus");
	const virConfValue *item;
	g_autofree char *text = NULL;
	size_t index = 0;

	if (!value)
		return 0;
	if (value->type != VIR_CONF_LIST) {
		if (get_string(n, "cpus", &text) < 0)
			return -1;
		return text ? read_cpu_list(n, text, &n->def->cpumask) : 0;
	}
	for (item = value->list; item; item = item->next) {
		g_autofree char *number = NULL;

		if (item->type == VIR_CONF_LIST)
			return native_refuse("cpus: a list of strings or numbers is needed");
		if (item->type != VIR_CONF_STRING)
			number = g_strdup_printf("%lld", item->l);
		if (read_pin(n, number ? number : item->str, index++) < 0)
			return -1;
	}
	return 0;
}

/* A cap is in per cent of one CPU, of the whole guest. */
static int read_scheduler(struct native *n)
{
	virDomainCputune *tune = &n->def->cputune;
	long long weight = 0, cap = 0;
	int has_weight = get_number_within(n, "cpu_weight", 1, GUEST_WEIGHT_MAX, &weight);

	if (has_weight < 0 || get_number_within(n, "cap", 0, 100LL * GUEST_VCPUS_MAX, &cap) < 0)
		return -1;
	if (has_weight) {
		tune->shares = (unsigned long long)weight;
		tune->sharesSpecified = true;
	}
	if (cap) {
		tune->global_period = 100000;
		tune->global_quota = cap * 1000;
	}
	return 0;
}

/* ---- what it boots ---- */

/* cmdline, or else root and extra together, as xl puts them. */
static int read_cmdline(struct native *n, bool grub)
{
	g_autofree char *cmdline = NULL, *root = NULL, *extra = NULL;
	const char *device;

	if (get_string(n, "cmdline", &cmdline) < 0 || get_string(n, "root", &root) < 0 ||
	    get_string(n, "extra", &extra) < 0)
		return -1;
	if (cmdline && root)
		native_note(n, "root: cmdline is there, and stands for it");
	if (cmdline && extra)
		native_note(n, "extra: cmdline is there, and stands for it");
	if (grub && (cmdline || extra))
		return native_refuse("%s: a guest that boots from its disk has its command line there "
		                     "(GRUB_CMDLINE_LINUX in its /etc/default/grub); remove the line",
		                     cmdline ? "cmdline" : "extra");
	if (grub && root) {
		native_note(n, "root: a guest that boots from its disk has it in its grub.cfg");
		return 0;
	}
	if (cmdline || !root) {
		n->def->os.cmdline = cmdline ? g_steal_pointer(&cmdline) : g_steal_pointer(&extra);
		return 0;
	}
	device = STRPREFIX(root, "root=") ? root + strlen("root=") : root;
	n->def->os.cmdline = g_strdup_printf("root=%s%s%s", device, extra ? " " : "", extra ? extra : "");
	return 0;
}

static int read_firmware(struct native *n, bool *grub)
{
	g_autofree char *firmware = NULL;

	if (get_string(n, "firmware", &firmware) < 0)
		return -1;
	if (!firmware)
		return 0;
	if (STRNEQ(firmware, "pvgrub64"))
		return native_refuse("firmware = \"%.40s\": only pvgrub64 is for 64-bit paravirtual guests",
		                     firmware);
	if (n->def->os.kernel || n->def->os.initrd)
		return native_refuse("firmware beside kernel or ramdisk: a guest boots one of them");
	*grub = true;
	return 0;
}

static int read_boot(struct native *n)
{
	virDomainOSDef *os = &n->def->os;
	g_autofree char *bootloader = NULL;
	bool grub;

	if (get_string(n, "kernel", &os->kernel) < 0 || get_string(n, "ramdisk", &os->initrd) < 0 ||
	    get_string(n, "bootloader", &bootloader) < 0)
		return -1;
	grub = bootloader || !os->kernel;
	if (read_firmware(n, &grub) < 0)
		return -1;
	if (bootloader && !check_bootloader(bootloader))
		return native_refuse(
		        "bootloader = \"%.120s\": no programs are run for guests; pygrub stands for PV GRUB, "
		        "which boots a guest from its own disk",
		        bootloader);
	if (bootloader && os->kernel)
		return native_refuse("bootloader beside kernel: a guest boots one of them; remove the other");
	if (grub && os->initrd)
		return native_refuse("ramdisk without kernel: PV GRUB takes both from the guest's disk");
	if (grub && !n->def->ndisks)
		return native_refuse("kernel: it is missing, and there is no disk that the guest could boot");
	return read_cmdline(n, grub);
}

/* ---- what happens to it, and its clock ---- */

static int read_action(struct native *n, const char *key, int *action)
{
	g_autofree char *word = NULL;
	int known;

	if (get_string(n, key, &word) < 0)
		return -1;
	if (!word)
		return 0;
	known = virDomainLifecycleActionTypeFromString(word);
	if (known < 0)
		return native_refuse("%s = \"%.40s\": it is destroy, restart, preserve, rename-restart, "
		                     "coredump-destroy or coredump-restart",
		                     key, word);
	if ((known == VIR_DOMAIN_LIFECYCLE_ACTION_COREDUMP_DESTROY ||
	     known == VIR_DOMAIN_LIFECYCLE_ACTION_COREDUMP_RESTART) &&
	    STRNEQ(key, "on_crash") && STRNEQ(key, "on_watchdog"))
		return native_refuse(
		        "%s = \"%.40s\": a core file is written of a guest that crashes, by on_crash", key,
		        word);
	*action = known;
	return 0;
}

/* One word of the oldest xm for all three. */
static int read_restart(struct native *n)
{
	g_autofree char *word = NULL;

	if (get_string(n, "restart", &word) < 0)
		return -1;
	if (!word)
		return 0;
	if (n->format == NATIVE_XL) {
		native_note(n, "restart: xl does not read it; on_reboot and on_crash say it");
		return 0;
	}
	if (STREQ(word, "onreboot"))
		return 0;
	if (STRNEQ(word, "always") && STRNEQ(word, "never"))
		return native_refuse("restart = \"%.40s\": it is onreboot, always or never", word);
	n->def->onPoweroff = n->def->onReboot = n->def->onCrash =
	        STREQ(word, "always") ? VIR_DOMAIN_LIFECYCLE_ACTION_RESTART
	                              : VIR_DOMAIN_LIFECYCLE_ACTION_DESTROY;
	return 0;
}

static int read_actions(struct native *n)
{
	int poweroff = VIR_DOMAIN_LIFECYCLE_ACTION_DESTROY, reboot = VIR_DOMAIN_LIFECYCLE_ACTION_RESTART;
	int crash = VIR_DOMAIN_LIFECYCLE_ACTION_DESTROY, watchdog = -1;

	n->def->onPoweroff = poweroff;
	n->def->onReboot = reboot;
	n->def->onCrash = crash;
	if (read_restart(n) < 0)
		return -1;
	poweroff = n->def->onPoweroff;
	reboot = n->def->onReboot;
	crash = n->def->onCrash;
	if (read_action(n, "on_poweroff", &poweroff) < 0 || read_action(n, "on_reboot", &reboot) < 0 ||
	    read_action(n, "on_crash", &crash) < 0 || read_action(n, "on_watchdog", &watchdog) < 0)
		return -1;
	if (watchdog >= 0 && watchdog != crash)
		return native_refuse("on_watchdog: here the watchdog's end of a guest is a crash; give it "
		                     "the value of on_crash");
	n->def->onPoweroff = poweroff;
	n->def->onReboot = reboot;
	n->def->onCrash = crash;
	return 0;
}

static int read_tsc_mode(struct native *n)
{
	static const char *const modes[] = { "default", "always_emulate", "native", "native_paravirt" };
	virDomainTimerDef *timer;
	g_autofree char *word = NULL;
	unsigned int mode;

	if (get_string(n, "tsc_mode", &word) < 0)
		return -1;
	if (!word)
		return 0;
	for (mode = 0; mode < G_N_ELEMENTS(modes); mode++) {
		g_autofree char *number = g_strdup_printf("%u", mode);

		if (STREQ(word, modes[mode]) || STREQ(word, number))
			break;
	}
	if (mode == 0)
		return 0;
	if (mode != 1 && mode != 2)
		return native_refuse("tsc_mode = \"%.40s\": a paravirtual guest reads the host's counter "
		                     "(native) or the hypervisor's (always_emulate)",
		                     word);
	timer = g_new0(virDomainTimerDef, 1);
	timer->name = VIR_DOMAIN_TIMER_NAME_TSC;
	timer->mode = mode == 1 ? VIR_DOMAIN_TIMER_MODE_EMULATE : VIR_DOMAIN_TIMER_MODE_NATIVE;
	VIR_APPEND_ELEMENT(n->def->clock.timers, n->def->clock.ntimers, timer);
	return 0;
}

static int read_clock(struct native *n)
{
	virDomainClockDef *clock = &n->def->clock;
	long long localtime = 0, offset = 0;

	if (get_number(n, "localtime", &localtime) < 0 ||
	    get_number_within(n, "rtc_timeoffset", -GUEST_CLOCK_MAX_S, GUEST_CLOCK_MAX_S, &offset) < 0)
		return -1;
	clock->offset = localtime ? VIR_DOMAIN_CLOCK_OFFSET_LOCALTIME : VIR_DOMAIN_CLOCK_OFFSET_UTC;
	if (offset) {
		clock->offset = VIR_DOMAIN_CLOCK_OFFSET_VARIABLE;
		clock->data.variable.adjustment = offset;
		clock->data.variable.basis =
		        localtime ? VIR_DOMAIN_CLOCK_BASIS_LOCALTIME : VIR_DOMAIN_CLOCK_BASIS_UTC;
	}
	return read_tsc_mode(n);
}

static int read_one_disk(struct native *n, const char *spec, size_t index G_GNUC_UNUSED)
{
	if (n->def->ndisks >= GUEST_DISKS_MAX)
		return native_refuse("disk: a guest has at most %d", GUEST_DISKS_MAX);
	return native_read_disk(n, spec);
}

static int read_one_vif(struct native *n, const char *spec, size_t index)
{
	if (n->def->nnets >= GUEST_NICS_MAX)
		return native_refuse("vif: a guest has at most %d", GUEST_NICS_MAX);
	return native_read_vif(n, spec, index);
}

/* ---- all of it ---- */

/* What libvirt's parser says, with the line itself. */
static void report_syntax(const char *text)
{
	g_autofree char *said = g_strdup(virGetLastErrorMessage());
	const char *at = strstr(said, "memory conf:");
	unsigned int number = 0, i;
	char *what = NULL;

	if (!at || virStrToLong_ui(at + strlen("memory conf:"), &what, 10, &number) < 0)
		return;
	for (i = 1; i < number && strchr(text, '\n'); i++)
		text = strchr(text, '\n') + 1;
	virReportError(VIR_ERR_CONF_SYNTAX,
	               "line %u, '%.*s'%s; a setting is KEY = VALUE, with a string in quotes, a number or a "
	               "list (Python is not run)",
	               number, (int)MIN(strcspn(text, "\r\n"), SAID_MAX), text, what);
}

static virConf *parse(const char *text, enum native_format format)
{
	g_autofree char *prepared = native_prepare(text, format);
	virConf *conf;

	if (!prepared)
		return NULL;
	/* libvirt's parser wants a setting in what is not empty. */
	conf = prepared[strspn(prepared, " \t\r\n")] ? virConfReadString(prepared, 0) : virConfNew();
	if (!conf)
		report_syntax(text);
	return conf;
}

static int read_all(struct native *n, const GPtrArray *names)
{
	guint i;

	n->def->virtType = VIR_DOMAIN_VIRT_XEN;
	n->def->id = -1;
	n->def->os.type = VIR_DOMAIN_OSTYPE_XEN;
	n->def->os.arch = VIR_ARCH_X86_64;
	n->def->os.machine = g_strdup("xenpv");
	if (read_type(n) < 0)
		return -1;
	for (i = 0; i < names->len; i++) {
		const char *name = g_ptr_array_index(names, i);

		if (check_key(n, name, g_hash_table_lookup(n->values, name)) < 0)
			return -1;
	}
	if (read_names(n) < 0 || read_memory(n) < 0 || read_vcpus(n) < 0 || read_cpuid(n) < 0 ||
	    read_cpus(n) < 0 || read_scheduler(n) < 0 || get_list(n, "disk", read_one_disk) < 0 ||
	    get_list(n, "vif", read_one_vif) < 0 || get_list(n, "channel", native_read_channel) < 0 ||
	    read_boot(n) < 0 || read_actions(n) < 0 || read_clock(n) < 0)
		return -1;
	if (virDomainDefPostParse(n->def, VIR_DOMAIN_DEF_PARSE_INACTIVE, n->xmlopt, NULL) < 0 ||
	    virDomainDefValidate(n->def, VIR_DOMAIN_DEF_PARSE_INACTIVE, n->xmlopt, NULL) < 0)
		return -1;
	return elements_check_def(n->def, n->xmlopt);
}

virDomainDef *native_read(const char *text, enum native_format format, unsigned int host_cpus,
                          virDomainXMLOption *xmlopt, GPtrArray *notes)
{
	g_autoptr(virConf) conf = parse(text, format);
	g_autoptr(GHashTable) values = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GHashTable) joined = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GPtrArray) names = g_ptr_array_new();
	g_autoptr(virDomainDef) def = virDomainDefNew(xmlopt);
	struct native n = { .values = values,
		            .joined = joined,
		            .format = format,
		            .host_cpus = CLAMP(host_cpus, 1, CPUS_MAX),
		            .xmlopt = xmlopt,
		            .def = def,
		            .notes = notes };
	struct seen seen = { &n, names };

	if (!conf || !def || virConfWalk(conf, collect, &seen) < 0 || read_all(&n, names) < 0)
		return NULL;
	return g_steal_pointer(&def);
}
