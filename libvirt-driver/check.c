/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a guest cannot have here, refused by the name of its element. Nothing in a definition is ignored
 * silently: an element is either carried out, refused here, or one of the few that docs/driver.md lists as
 * without effect (the log says so at start).
 */
#include "check.h"

#include <libxml/tree.h>

#include "conf.h"
#include "consolecheck.h"
#include "iotunecheck.h"
#include "screencheck.h"

#include "../libxenctrl/src/guestlimits.h"
#include "compat.h"
#include "cpuhide.h"
#include "cpu_conf.h"
#include "network_conf.h"
#include "numa_conf.h"
#include "virerror.h"
#include "virlog.h"
#include "virmacaddr.h"
#include "virstring.h"
#include "virutil.h"
#include "vlan.h"

#define VIR_FROM_THIS VIR_FROM_XEN

VIR_LOG_INIT("xylem.check");

/* NAME_MAX less ".xml.new" */
#define NAME_BYTES_MAX 247

int conf_refuse(const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list args;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	virReportError(VIR_ERR_CONFIG_UNSUPPORTED, "%s", text);
	return -1;
}

/* One line for each thing that must not be there. */
struct absent {
	bool here;
	const char *element;
	const char *why;
};

static int check_absent(const struct absent *list, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (list[i].here)
			return conf_refuse("%s: %s", list[i].element, list[i].why);
	}
	return 0;
}

#define NOT_HERE    "not supported by this driver"
#define PATH_NEEDED "an absolute path without control characters is needed, of at most 4,095 bytes"

static bool has_control_chars(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	}
	return false;
}

static bool path_good(const char *path)
{
	return path[0] == '/' && strlen(path) < PATH_MAX && !has_control_chars(path);
}

/* What the kernel accepts as an interface's name. */
static bool ifname_good(const char *name)
{
	size_t length = strlen(name), i;

	if (length < 1 || length > 15 || STREQ(name, ".") || STREQ(name, ".."))
		return false;
	for (i = 0; i < length; i++) {
		if ((unsigned char)name[i] <= 0x20 || (unsigned char)name[i] >= 0x7f ||
		    strchr("/:%", name[i]))
			return false;
	}
	return true;
}

/* Files are named after it, and written anew as NAME.xml.new. */
int check_name(const char *name)
{
	size_t bytes = strlen(name);

	if (bytes > NAME_BYTES_MAX)
		return conf_refuse("<name>%.20s...: %zu bytes, a guest's name has at most %d", name, bytes,
		                   NAME_BYTES_MAX);
	if (has_control_chars(name))
		return conf_refuse(
		        "<name>: tabs, newlines and other control characters are not possible in a name");
	if (STREQ(name, ".") || STREQ(name, ".."))
		return conf_refuse("<name>%s</name>: this names a folder, no guest", name);
	return 0;
}

/* What boots a guest from its own disk by other hypervisors' words: PV GRUB does it here, in the guest. */
bool check_bootloader(const char *bootloader)
{
	static const char *const names[] = { "pygrub", "pvgrub", "pvgrub64", "grub-x86_64-xen.bin" };
	const char *slash = strrchr(bootloader, '/');

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		if (STREQ(slash ? slash + 1 : bootloader, names[i]))
			return true;
	}
	return false;
}

static int check_os(const virDomainDef *def)
{
	const virDomainOSDef *os = &def->os;
	const struct absent list[] = {
		{ os->bootloaderArgs != NULL, "<bootloader_args>",
		  "PV GRUB takes none, it reads grub.cfg on the guest's disk" },
		{ os->loader != NULL, "<os><loader>", "paravirtual guests have no firmware" },
		{ os->firmware != 0, "<os firmware=...>", "paravirtual guests have no firmware" },
		{ os->root != NULL, "<os><root>", "put root=... into <cmdline>" },
		{ os->dtb != NULL, "<os><dtb>", NOT_HERE },
		{ compat_has_acpi_tables(os), "<os><acpi>", "paravirtual guests have no ACPI tables" },
		{ os->init != NULL, "<os><init>", "only containers have one" },
		{ os->smbios_mode != 0, "<os><smbios>", "paravirtual guests have no SMBIOS" },
		{ def->nsysinfo != 0, "<sysinfo>", "paravirtual guests have no SMBIOS" },
		{ def->genidRequested, "<genid>", NOT_HERE },
	};

	if (def->virtType != VIR_DOMAIN_VIRT_XEN)
		return conf_refuse("<domain type='%s'>: only 'xen' is supported",
		                   virDomainVirtTypeToString(def->virtType));
	if (os->type != VIR_DOMAIN_OSTYPE_XEN)
		return conf_refuse(
		        "<os><type>%s</type>: only paravirtual guests (<type>linux</type>) are supported",
		        virDomainOSTypeToString(os->type));
	if (os->arch != VIR_ARCH_X86_64)
		return conf_refuse("<os><type arch='%s'>: only x86_64 guests are supported",
		                   virArchToString(os->arch));
	if (os->machine && STRNEQ(os->machine, "xenpv"))
		return conf_refuse("<os><type machine='%s'>: the only machine is 'xenpv'", os->machine);
	if (check_absent(list, G_N_ELEMENTS(list)) < 0)
		return -1;
	if (os->bootloader && !check_bootloader(os->bootloader))
		return conf_refuse(
		        "<bootloader>%.200s</bootloader>: no programs are run for guests; one without <kernel> boots "
		        "from its own disk by PV GRUB, which 'pygrub' stands for here",
		        os->bootloader);
	if (os->bootloader && os->kernel)
		return conf_refuse(
		        "<bootloader> beside <kernel>: a guest boots one of them; remove the other");
	if (os->kernel && !path_good(os->kernel))
		return conf_refuse("<os><kernel>%.200s</kernel>: " PATH_NEEDED, os->kernel);
	if (os->initrd && !path_good(os->initrd))
		return conf_refuse("<os><initrd>%.200s</initrd>: " PATH_NEEDED, os->initrd);
	if (os->cmdline && strlen(os->cmdline) > GUEST_CMDLINE_MAX)
		return conf_refuse("<os><cmdline>: %zu bytes, the start of day has room for %d",
		                   strlen(os->cmdline), GUEST_CMDLINE_MAX);
	return 0;
}

static int check_features(const virDomainDef *def)
{
	size_t i;

	for (i = 0; i < VIR_DOMAIN_FEATURE_LAST; i++) {
		/* Firmware features of definitions that were converted; without effect on a paravirtual guest. */
		if (i == VIR_DOMAIN_FEATURE_ACPI || i == VIR_DOMAIN_FEATURE_APIC ||
		    i == VIR_DOMAIN_FEATURE_PAE)
			continue;
		if (def->features[i])
			return conf_refuse("<features><%s>: " NOT_HERE, virDomainFeatureTypeToString((int)i));
	}
	return 0;
}

static int check_memory(const virDomainDef *def)
{
	unsigned long long total = virDomainDefGetMemoryTotal(def);
	const virDomainMemtune *mem = &def->mem;
	const struct absent list[] = {
		{ mem->nhugepages != 0, "<memoryBacking><hugepages>", NOT_HERE },
		{ mem->nosharepages, "<memoryBacking><nosharepages>",
		  "pages are never shared; remove the element" },
		{ mem->locked, "<memoryBacking><locked>",
		  "a guest's memory is never swapped; remove the element" },
		{ mem->source != 0, "<memoryBacking><source>", NOT_HERE },
		{ mem->access != 0, "<memoryBacking><access>", NOT_HERE },
		{ mem->allocation != 0 || mem->allocation_threads != 0, "<memoryBacking><allocation>",
		  NOT_HERE },
		{ mem->discard != 0, "<memoryBacking><discard>", NOT_HERE },
		{ mem->dump_core != 0, "<memory dumpCore=...>", "dumps are not supported by this driver" },
		{ mem->max_memory != 0 || mem->memory_slots != 0, "<maxMemory>",
		  "memory is not plugged in slots; <memory> is the limit up to which <currentMemory> may balloon" },
		{ virMemoryLimitIsSet(mem->hard_limit) || virMemoryLimitIsSet(mem->soft_limit) ||
		          virMemoryLimitIsSet(mem->swap_hard_limit) || mem->min_guarantee,
		  "<memtune>", NOT_HERE },
		{ def->nmems != 0, "<memory model=...>", NOT_HERE },
		{ virDomainNumaGetNodeCount(def->numa) != 0, "<cpu><numa>", NOT_HERE },
		{ virDomainNumatuneHasPlacementAuto(def->numa) ||
		          virDomainNumatuneHasPerNodeBinding(def->numa) ||
		          virDomainNumatuneGetNodeset(def->numa, NULL, -1),
		  "<numatune>", NOT_HERE },
	};

	if (check_absent(list, G_N_ELEMENTS(list)) < 0)
		return -1;
	if (mem->cur_balloon < GUEST_MEMORY_MIN_KIB)
		return conf_refuse("<currentMemory>: %llu KiB, a guest needs %llu", mem->cur_balloon,
		                   GUEST_MEMORY_MIN_KIB);
	if (total > GUEST_MEMORY_MAX_KIB)
		return conf_refuse("<memory>: %llu KiB, a guest has at most %llu", total,
		                   GUEST_MEMORY_MAX_KIB);
	if (total % 4)
		return conf_refuse("<memory>: %llu KiB are no whole pages of 4 KiB", total);
	if (mem->cur_balloon % 4)
		return conf_refuse("<currentMemory>: %llu KiB are no whole pages of 4 KiB", mem->cur_balloon);
	return 0;
}

static int check_cpu(const virDomainDef *def)
{
	const virDomainCputune *tune = &def->cputune;
	const virCPUDef *cpu = def->cpu;
	const struct absent list[] = {
		{ tune->emulatorpin || tune->emulatorsched || tune->emulator_quota || tune->emulator_period,
		  "<cputune><emulator...>", "a paravirtual guest has no emulator" },
		{ tune->iothread_quota || tune->iothread_period || def->niothreadids || def->defaultIOThread,
		  "<iothreads>", NOT_HERE },
		{ def->nresctrls != 0, "<cputune><cachetune>", NOT_HERE },
		{ def->placement_mode == VIR_DOMAIN_CPU_PLACEMENT_MODE_AUTO, "<vcpu placement='auto'>",
		  NOT_HERE },
		{ tune->quota > 0 && tune->global_quota > 0, "<cputune><quota>",
		  "it excludes <global_quota>" },
	};
	size_t i;

	if (check_absent(list, G_N_ELEMENTS(list)) < 0)
		return -1;
	if (virDomainDefGetVcpusMax(def) > GUEST_VCPUS_MAX)
		return conf_refuse("<vcpu>%u</vcpu>: a guest has at most %d", virDomainDefGetVcpusMax(def),
		                   GUEST_VCPUS_MAX);
	if (!virDomainDefGetVcpus(def))
		return conf_refuse("<vcpu current='0'>%u</vcpu>: a guest starts with at least one",
		                   virDomainDefGetVcpusMax(def));
	if (tune->sharesSpecified && (tune->shares < 1 || tune->shares > GUEST_WEIGHT_MAX))
		return conf_refuse("<cputune><shares>%llu</shares>: the scheduler's weights are 1..65535",
		                   tune->shares);
	for (i = 0; i < def->maxvcpus; i++) {
		if (def->vcpus[i]->sched.policy != VIR_PROC_POLICY_NONE)
			return conf_refuse("<cputune><vcpusched>: " NOT_HERE);
	}
	if (!cpu)
		return 0;
	if ((cpu->mode != VIR_CPU_MODE_HOST_PASSTHROUGH &&
	     (cpu->mode != VIR_CPU_MODE_CUSTOM || cpu->model)) ||
	    cpu->cache || cpu->addr || cpu->vendor)
		return conf_refuse(
		        "<cpu>: a paravirtual guest sees the host's CPU (mode='host-passthrough')");
	if (cpu->sockets || cpu->cores || cpu->threads)
		return conf_refuse("<cpu><topology>: a paravirtual guest has no topology of its own");
	return cpuhide_check(cpu);
}

int check_action(unsigned int type, unsigned int action)
{
	static const char *const elements[] = { "on_poweroff", "on_reboot", "on_crash" };

	if (type >= G_N_ELEMENTS(elements))
		return conf_refuse("lifecycle type %u: there are poweroff, reboot and crash", type);
	switch (action) {
	case VIR_DOMAIN_LIFECYCLE_ACTION_DESTROY:
	case VIR_DOMAIN_LIFECYCLE_ACTION_RESTART:
	case VIR_DOMAIN_LIFECYCLE_ACTION_PRESERVE:
	case VIR_DOMAIN_LIFECYCLE_ACTION_RESTART_RENAME:
		return 0;
	case VIR_DOMAIN_LIFECYCLE_ACTION_COREDUMP_DESTROY:
	case VIR_DOMAIN_LIFECYCLE_ACTION_COREDUMP_RESTART:
		if (type == VIR_DOMAIN_LIFECYCLE_CRASH)
			return 0;
		return conf_refuse(
		        "<%s>%s</%s>: a core file is written of a guest that crashes, by <on_crash>",
		        elements[type], virDomainLifecycleActionTypeToString((int)action), elements[type]);
	default:
		return conf_refuse("<%s>: lifecycle action %u is not known", elements[type], action);
	}
}

static int check_lifecycle(const virDomainDef *def)
{
	if (check_action(VIR_DOMAIN_LIFECYCLE_POWEROFF, (unsigned int)def->onPoweroff) < 0 ||
	    check_action(VIR_DOMAIN_LIFECYCLE_REBOOT, (unsigned int)def->onReboot) < 0)
		return -1;
	return check_action(VIR_DOMAIN_LIFECYCLE_CRASH, (unsigned int)def->onCrash);
}

static int check_timer(const virDomainTimerDef *timer)
{
	const char *name = virDomainTimerNameTypeToString(timer->name);

	if (timer->name == VIR_DOMAIN_TIMER_NAME_TSC) {
		if (timer->frequency || timer->tickpolicy || timer->track || timer->catchup.threshold ||
		    timer->catchup.slew || timer->catchup.limit)
			return conf_refuse("<clock><timer name='tsc'>: it has a mode and nothing else");
		if (timer->present != VIR_TRISTATE_BOOL_NO && (timer->mode == VIR_DOMAIN_TIMER_MODE_NATIVE ||
		                                               timer->mode == VIR_DOMAIN_TIMER_MODE_EMULATE))
			return 0;
		return conf_refuse("<clock><timer name='tsc'>: a paravirtual guest reads the host's counter "
		                   "(mode='native') or the hypervisor's (mode='emulate')");
	}
	/* There is none anyway. */
	if (timer->present == VIR_TRISTATE_BOOL_NO)
		return 0;
	return conf_refuse("<clock><timer name='%s'>: a paravirtual guest has Xen's clock only", name);
}

static int check_clock(const virDomainDef *def)
{
	long long adjustment = 0;
	unsigned int tscs = 0;
	size_t i;

	for (i = 0; i < def->clock.ntimers; i++) {
		if (check_timer(def->clock.timers[i]) < 0)
			return -1;
		tscs += def->clock.timers[i]->name == VIR_DOMAIN_TIMER_NAME_TSC;
	}
	if (tscs > 1)
		return conf_refuse("<clock>: more than one <timer name='tsc'>");
	switch (def->clock.offset) {
	case VIR_DOMAIN_CLOCK_OFFSET_VARIABLE:
		adjustment = def->clock.data.variable.adjustment;
		if (adjustment < -GUEST_CLOCK_MAX_S || adjustment > GUEST_CLOCK_MAX_S)
			return conf_refuse("<clock adjustment='%lld'>: seconds, of at most 100 years",
			                   adjustment);
		return 0;
	case VIR_DOMAIN_CLOCK_OFFSET_UTC:
	case VIR_DOMAIN_CLOCK_OFFSET_LOCALTIME: /* adjustment='reset' is what is done: each start begins with the offset */
		return 0;
	default:
		return conf_refuse("<clock offset='%s'>: only utc, localtime and variable are supported",
		                   virDomainClockOffsetTypeToString(def->clock.offset));
	}
}

/* Kinds of devices that there are none of. */
static int check_no_devices(const virDomainDef *def)
{
	const struct absent list[] = {
		{ def->nsounds != 0 || def->naudios != 0, "<sound>", NOT_HERE },
		{ def->nhostdevs != 0, "<hostdev>", "devices are not passed through to guests" },
		{ def->nredirdevs != 0 || def->redirfilter, "<redirdev>", NOT_HERE },
		{ def->nfss != 0, "<filesystem>", NOT_HERE },
		{ def->nsmartcards != 0, "<smartcard>", NOT_HERE },
		{ def->nparallels != 0, "<parallel>", NOT_HERE },
		{ def->nleases != 0, "<lease>", NOT_HERE },
		{ def->nhubs != 0, "<hub>", NOT_HERE },
		{ def->nrngs != 0, "<rng>", NOT_HERE },
		{ def->nshmems != 0, "<shmem>", NOT_HERE },
		{ def->npanics != 0, "<panic>",
		  "<on_crash> sees crashes without a device; remove the element" },
		{ def->ntpms != 0, "<tpm>", NOT_HERE },
		{ compat_has_watchdog(def), "<watchdog>", NOT_HERE },
		{ def->nvram != NULL, "<nvram>", NOT_HERE },
		{ def->iommu != NULL, "<iommu>", NOT_HERE },
		{ def->vsock != NULL, "<vsock>", NOT_HERE },
	};

	if (check_screen(def) < 0)
		return -1;
	return check_absent(list, G_N_ELEMENTS(list));
}

static int check_rest(const virDomainDef *def)
{
	const struct absent list[] = {
		{ def->blkio.weight || def->blkio.ndevices, "<blkiotune>", NOT_HERE },
		{ def->resource != NULL, "<resource>", NOT_HERE },
		{ def->idmap.nuidmap || def->idmap.ngidmap, "<idmap>", "only containers have one" },
		{ def->pm.s3 == VIR_TRISTATE_BOOL_YES || def->pm.s4 == VIR_TRISTATE_BOOL_YES, "<pm>",
		  "a paravirtual guest cannot suspend its machine" },
		{ def->keywrap != NULL, "<keywrap>", NOT_HERE },
		{ def->sec != NULL, "<launchSecurity>", NOT_HERE },
		{ def->nseclabels != 0, "<seclabel>", NOT_HERE },
		{ def->onLockFailure != 0, "<on_lockfailure>", NOT_HERE },
		{ def->namespaceData != NULL, "<xen:commandline>",
		  "there is no emulator whose command line it could be" },
	};
	size_t i;

	for (i = 0; i < VIR_PERF_EVENT_LAST; i++) {
		if (def->perf.events[i])
			return conf_refuse("<perf>: " NOT_HERE);
	}
	return check_absent(list, G_N_ELEMENTS(list));
}

static int check_disk(const virDomainDiskDef *disk);

/* libvirt adds controllers for disks on other buses: it is the disk that somebody wrote. */
static int check_controller(const virDomainControllerDef *controller, const virDomainDef *def)
{
	static const struct {
		virDomainControllerType type;
		virDomainDiskBus bus;
	} buses[] = {
		{ VIR_DOMAIN_CONTROLLER_TYPE_IDE, VIR_DOMAIN_DISK_BUS_IDE },
		{ VIR_DOMAIN_CONTROLLER_TYPE_SCSI, VIR_DOMAIN_DISK_BUS_SCSI },
		{ VIR_DOMAIN_CONTROLLER_TYPE_SATA, VIR_DOMAIN_DISK_BUS_SATA },
		{ VIR_DOMAIN_CONTROLLER_TYPE_FDC, VIR_DOMAIN_DISK_BUS_FDC },
	};
	size_t i, n;

	for (i = 0; i < G_N_ELEMENTS(buses); i++) {
		for (n = 0; def && (int)controller->type == (int)buses[i].type && n < def->ndisks; n++) {
			if (def->disks[n]->bus == buses[i].bus && check_disk(def->disks[n]) < 0)
				return -1;
		}
	}
	if (controller->type != VIR_DOMAIN_CONTROLLER_TYPE_XENBUS)
		return conf_refuse("<controller type='%s'>: paravirtual guests have xenbus only",
		                   virDomainControllerTypeToString(controller->type));
	if (controller->opts.xenbusopts.maxGrantFrames > 0)
		return conf_refuse("<controller type='xenbus' maxGrantFrames=...>: " NOT_HERE);
	if (controller->opts.xenbusopts.maxEventChannels > 0)
		return conf_refuse("<controller type='xenbus' maxEventChannels=...>: " NOT_HERE);
	return 0;
}

static int check_memballoon(const virDomainMemballoonDef *balloon)
{
	if (balloon->model != VIR_DOMAIN_MEMBALLOON_MODEL_XEN &&
	    balloon->model != VIR_DOMAIN_MEMBALLOON_MODEL_NONE)
		return conf_refuse("<memballoon model='%s'>: only 'xen' and 'none' are supported",
		                   virDomainMemballoonModelTypeToString(balloon->model));
	if (balloon->period || balloon->autodeflate || balloon->free_page_reporting)
		return conf_refuse("<memballoon>: it has no options here");
	return 0;
}

const char *check_twin(const virDomainDef *def, const virDomainNetDef *net, char **element)
{
	char mac[VIR_MAC_STRING_BUFLEN];

	for (size_t i = 0; i < def->nnets; i++) {
		if (def->nets[i] == net)
			continue;
		if (net->ifname && STREQ_NULLABLE(net->ifname, def->nets[i]->ifname)) {
			*element = g_strdup_printf("<target dev='%s'/>", net->ifname);
			return "name";
		}
		if (virMacAddrCmp(&net->mac, &def->nets[i]->mac) == 0) {
			*element = g_strdup_printf("<mac address='%s'/>", virMacAddrFormat(&net->mac, mac));
			return "address";
		}
	}
	return NULL;
}

static int check_twins(const virDomainDef *def)
{
	for (size_t i = 0; i < def->nnets; i++) {
		g_autofree char *element = NULL;
		const char *what = check_twin(def, def->nets[i], &element);

		if (what)
			return conf_refuse("<interface>%s: two interfaces have this %s", element, what);
	}
	return 0;
}

/* 0, or -1 with an error; what is not there stays as it is. */
static int read_number(xmlNode *node, const char *name, unsigned int most, unsigned int *value)
{
	g_autofree char *text = virXMLPropString(node, name);

	if (!text || (virStrToLong_uip(text, NULL, 10, value) == 0 && *value <= most))
		return 0;
	return conf_refuse("<metadata>: <start %s='%s'>: not a number up to %u", name, text, most);
}

int conf_start_order(const virDomainDef *def, unsigned int *order, unsigned int *delay_s)
{
	xmlNode *node = def->metadata ? def->metadata->children : NULL;
	unsigned int first = UINT_MAX, delay = 0;

	*order = first;
	*delay_s = delay;
	while (node && !(virXMLNodeNameEqual(node, "start") && node->ns &&
	                 xmlStrEqual(node->ns->href, BAD_CAST CONF_START_URI)))
		node = node->next;
	if (!node)
		return 0;
	if (read_number(node, "order", CONF_ORDER_MAX, &first) < 0 ||
	    read_number(node, "delay", CONF_DELAY_S_MAX, &delay) < 0)
		return -1;
	*order = first;
	*delay_s = delay;
	return 0;
}

static int check_start_order(const virDomainDef *def)
{
	unsigned int order, delay_s;

	return conf_start_order(def, &order, &delay_s);
}

int check_domain(const virDomainDef *def)
{
	size_t i;

	if (check_start_order(def) < 0)
		return -1;
	if (check_name(def->name) < 0 || check_os(def) < 0 || check_features(def) < 0 ||
	    check_no_devices(def) < 0 || check_memory(def) < 0 || check_cpu(def) < 0 ||
	    check_lifecycle(def) < 0 || check_clock(def) < 0 || check_rest(def) < 0)
		return -1;
	if (def->ndisks > GUEST_DISKS_MAX)
		return conf_refuse("<disk>: %zu of them, a guest has at most %d", def->ndisks,
		                   GUEST_DISKS_MAX);
	if (def->nnets > GUEST_NICS_MAX)
		return conf_refuse("<interface>: %zu of them, a guest has at most %d", def->nnets,
		                   GUEST_NICS_MAX);
	if (check_twins(def) < 0)
		return -1;
	if (check_consoles(def) < 0)
		return -1;
	for (i = 0; i < def->ncontrollers; i++) {
		if (check_controller(def->controllers[i], def) < 0)
			return -1;
	}
	return def->memballoon ? check_memballoon(def->memballoon) : 0;
}

#define NO_MEDIA                                                                                            \
	"there are no empty drives, as the kernel's backend of disks cannot change what is in one; attach " \
	"and detach the whole drive"

static int check_disk_source(const virDomainDiskDef *disk)
{
	static const char *const drivers[] = { "phy", "file", "loop", "tap", "tap2", "qemu" };
	const char *driver = virDomainDiskGetDriver(disk);
	const virStorageSource *src = disk->src;
	bool known = driver == NULL;
	size_t i;

	switch (virStorageSourceGetActualType(src)) {
	case VIR_STORAGE_TYPE_FILE:
	case VIR_STORAGE_TYPE_BLOCK:
		if (!src->path && disk->device == VIR_DOMAIN_DISK_DEVICE_CDROM)
			return conf_refuse("<disk device='cdrom'> %s without <source>: " NO_MEDIA, disk->dst);
		if (!src->path)
			return conf_refuse(
			        "<disk> %s without <source>: a disk needs a file or a block device",
			        disk->dst);
		if (!path_good(src->path))
			return conf_refuse("<disk> %s, <source> '%.200s': " PATH_NEEDED, disk->dst,
			                   src->path);
		break;
	case VIR_STORAGE_TYPE_VOLUME: /* resolved when the guest starts */
		break;
	default:
		return conf_refuse("<disk type='%s'> %s: only file, block and volume are supported",
		                   virStorageTypeToString(src->type), disk->dst);
	}
	if (src->format > VIR_STORAGE_FILE_NONE && src->format != VIR_STORAGE_FILE_RAW &&
	    !conf_is_image(disk))
		return conf_refuse(
		        "<disk> %s, <driver type='%s'>: only raw and qcow2 images are supported (qemu-img convert)",
		        disk->dst, virStorageFileFormatTypeToString(src->format));
	if (conf_is_image(disk) && driver && STRNEQ(driver, "qemu"))
		return conf_refuse(
		        "<disk> %s, <driver name='%s' type='%s'>: QEMU serves such images (name='qemu')",
		        disk->dst, driver, virStorageFileFormatTypeToString(src->format));
	if (conf_is_image(disk) && src->shared)
		return conf_refuse(
		        "<disk> %s, <shareable/>: two guests that write to a %s image would spoil it",
		        disk->dst, virStorageFileFormatTypeToString(src->format));
	for (i = 0; !known && i < G_N_ELEMENTS(drivers); i++)
		known = STREQ(driver, drivers[i]);
	if (!known)
		return conf_refuse(
		        "<disk> %s, <driver name='%s'>: disks are served by the kernel; leave the name out",
		        disk->dst, driver);
	return 0;
}

static int check_disk_cache(const virDomainDiskDef *disk)
{
	bool block = virStorageSourceGetActualType(disk->src) == VIR_STORAGE_TYPE_BLOCK;

	switch (disk->cachemode) {
	case VIR_DOMAIN_DISK_CACHE_DEFAULT:
	case VIR_DOMAIN_DISK_CACHE_DISABLE:
		return 0;
	case VIR_DOMAIN_DISK_CACHE_WRITEBACK:
		if (!block)
			return 0;
		return conf_refuse("<disk> %s, cache='writeback': a block device is never cached", disk->dst);
	default:
		return conf_refuse("<disk> %s, cache='%s': only none and writeback are supported", disk->dst,
		                   virDomainDiskCacheTypeToString(disk->cachemode));
	}
}

/* libvirt's parser makes the structure for each <driver> element. */
static bool virtio_wanted(const virDomainVirtioOptions *virtio)
{
	return virtio && (virtio->iommu || virtio->ats || virtio->packed || virtio->page_per_vq);
}

static int check_disk(const virDomainDiskDef *disk)
{
	const virStorageSource *src = disk->src;
	const struct absent list[] = {
		{ src->encryption != NULL, "<encryption>", NOT_HERE },
		{ src->auth != NULL, "<auth>", NOT_HERE },
		{ src->pr != NULL, "<reservations>", NOT_HERE },
		{ src->sliceStorage != NULL, "<slices>", NOT_HERE },
		{ src->nseclabels != 0, "<seclabel>", NOT_HERE },
		{ virStorageSourceHasBacking(src), "<backingStore>", "images have no backing files here" },
		{ disk->mirror != NULL, "<mirror>", NOT_HERE },
		{ disk->serial || disk->wwn || disk->vendor || disk->product,
		  "<serial>, <wwn>, <vendor> or <product>", NOT_HERE },
		{ disk->geometry.cylinders || disk->geometry.heads || disk->geometry.sectors, "<geometry>",
		  NOT_HERE },
		{ disk->blockio.logical_block_size || disk->blockio.physical_block_size, "<blockio>",
		  NOT_HERE },
		{ disk->transient, "<transient>", NOT_HERE },
		{ disk->startupPolicy != 0, "<source startupPolicy=...>", NOT_HERE },
		{ disk->domain_name != NULL, "<backenddomain>", "disks are served by Domain-0" },
		{ disk->info.bootIndex != 0, "<boot>", "a guest boots its <kernel>, or its disk by PV GRUB" },
		{ disk->error_policy != 0 || disk->rerror_policy != 0, "error_policy", NOT_HERE },
		{ !conf_is_image(disk) && disk->iomode != 0 && disk->iomode != VIR_DOMAIN_DISK_IO_NATIVE,
		  "<driver io=...>", "disks are served by the kernel, which is what 'native' says" },
		{ conf_is_image(disk) && disk->iomode != 0 && disk->iomode != VIR_DOMAIN_DISK_IO_THREADS,
		  "<driver io=...>", "QEMU reads and writes images by 'threads'" },
		{ disk->snapshot != 0 && disk->snapshot != VIR_DOMAIN_SNAPSHOT_LOCATION_NO,
		  "<disk snapshot=...>",
		  "there are no snapshots of disks; snapshot='no' is what can be had" },
		{ disk->ioeventfd || disk->event_idx || disk->iothread || disk->queues || disk->queue_size ||
		          virtio_wanted(disk->virtio),
		  "<driver>'s virtio options", NOT_HERE },
		{ disk->copy_on_read == VIR_TRISTATE_SWITCH_ON, "<driver copy_on_read=...>", NOT_HERE },
		{ disk->detect_zeroes != 0, "<driver detect_zeroes=...>", NOT_HERE },
		{ disk->rawio || disk->sgio, "rawio or sgio", NOT_HERE },
		{ disk->removable != 0 || disk->rotation_rate != 0, "<target>'s options", NOT_HERE },
		{ src->metadataCacheMaxSize != 0, "<metadata_cache>", NOT_HERE },
	};
	size_t i;

	/* As it may be in a file. */
	if (!disk->dst)
		return conf_refuse(
		        "<disk> without <target dev=...>: which disk of the guest it is is missing");
	if (disk->device != VIR_DOMAIN_DISK_DEVICE_DISK && disk->device != VIR_DOMAIN_DISK_DEVICE_CDROM)
		return conf_refuse("<disk device='%s'> %s: only 'disk' and 'cdrom' are supported",
		                   virDomainDiskDeviceTypeToString(disk->device), disk->dst);
	/* The bus may be libvirt's guess. */
	if (disk->bus != VIR_DOMAIN_DISK_BUS_XEN)
		return conf_refuse(
		        "<disk> %s, <target> on the bus '%s': paravirtual guests have disks on the bus 'xen' "
		        "only (<target dev='%s%s' bus='xen'/>)",
		        disk->dst, virDomainDiskBusTypeToString(disk->bus),
		        STRPREFIX(disk->dst, "vd") ? "x" : "",
		        conf_disk_number(disk->dst) >= 0 || STRPREFIX(disk->dst, "vd") ? disk->dst : "xvda");
	if (conf_disk_number(disk->dst) < 0)
		return conf_refuse(
		        "<disk> %.40s, <target>: disks are called xvda to xvdzz, with a number behind it for "
		        "a partition",
		        disk->dst);
	if (check_disk_source(disk) < 0 || check_disk_cache(disk) < 0)
		return -1;
	for (i = 0; i < G_N_ELEMENTS(list); i++) {
		if (list[i].here)
			return conf_refuse("<disk> %s, %s: %s", disk->dst, list[i].element, list[i].why);
	}
	return check_iotune(disk);
}

static int check_net_source(const virDomainNetDef *net, const char *name)
{
	virDomainNetType type = virDomainNetGetActualType(net);

	if (type == VIR_DOMAIN_NET_TYPE_BRIDGE) {
		const char *bridge = virDomainNetGetActualBridgeName((virDomainNetDef *)net);

		if (!bridge || !bridge[0])
			return conf_refuse("<interface> %s, <source>: which bridge it belongs to is missing",
			                   name);
		if (!ifname_good(bridge))
			return conf_refuse(
			        "<interface> %s, <source bridge='%.40s'>: no bridge has such a name", name,
			        bridge);
		if (virDomainNetGetActualBridgeMACTableManager(net) ==
		    VIR_NETWORK_BRIDGE_MAC_TABLE_MANAGER_LIBVIRT)
			return conf_refuse(
			        "<interface> %s, <source>: the network says macTableManager='libvirt', and "
			        "the kernel's bridge keeps its own table here",
			        name);
		return 0;
	}
	if (type == VIR_DOMAIN_NET_TYPE_NETWORK) /* resolved when the guest starts */
		return 0;
	return conf_refuse("<interface type='%s'> %s: only bridge, and network with a bridge, are supported",
	                   virDomainNetTypeToString(type), name);
}

static int check_net_vlan(const virDomainNetDef *net, const char *name)
{
	const virNetDevVlan *vlan = virDomainNetGetActualVlan(net);
	g_autofree bool *seen = g_new0(bool, VLAN_LAST + 1);

	for (int i = 0; vlan && i < vlan->nTags; i++) {
		unsigned int id = vlan->tag[i];

		if (id < VLAN_FIRST || id > VLAN_LAST)
			return conf_refuse("<interface> %s, <vlan><tag id='%u'>: it is %d..%d", name, id,
			                   VLAN_FIRST, VLAN_LAST);
		if (seen[id])
			return conf_refuse("<interface> %s, <vlan><tag id='%u'>: it is there twice", name,
			                   id);
		seen[id] = true;
	}
	return 0;
}

static int check_net(const virDomainNetDef *net)
{
	const virNetDevBandwidth *limits = virDomainNetGetActualBandwidth(net);
	const struct absent list[] = {
		{ limits && limits->in && limits->in->floor && net->type != VIR_DOMAIN_NET_TYPE_NETWORK,
		  "<bandwidth><inbound floor=...>", "only a network can promise it" },
		{ virDomainNetGetActualVirtPortProfile(net) != NULL, "<virtualport>", NOT_HERE },
		{ net->domain_name != NULL, "<backenddomain>", "interfaces are served by Domain-0" },
		{ net->info.bootIndex != 0, "<boot>", "a guest boots its <kernel>, or its disk by PV GRUB" },
		{ net->info.romfile || net->info.romenabled || net->info.rombar, "<rom>", NOT_HERE },
		{ net->hostIP.nips || net->hostIP.nroutes || net->guestIP.nips || net->guestIP.nroutes,
		  "<ip>", "addresses are the guest's own business" },
		{ net->ifname_guest != NULL, "<guest>", NOT_HERE },
		{ net->downscript != NULL, "<downscript>", "no scripts are run" },
		{ net->tune.sndbuf_specified, "<tune>", NOT_HERE },
		{ net->coalesce != NULL, "<coalesce>", NOT_HERE },
		{ net->teaming != NULL, "<teaming>", NOT_HERE },
		{ net->backend.tap || net->backend.vhost, "<backend>", NOT_HERE },
		{ virtio_wanted(net->virtio) || net->driver.virtio.name || net->driver.virtio.queues,
		  "<driver>", NOT_HERE },
		{ net->trustGuestRxFilters == VIR_TRISTATE_BOOL_YES, "trustGuestRxFilters", NOT_HERE },
		{ net->nPortForwards != 0, "<portForward>", NOT_HERE },
	};
	g_autofree char *name = conf_net_name(net);
	const char *model = virDomainNetGetModelString(net);
	size_t i;

	if (check_net_source(net, name) < 0 || check_net_vlan(net, name) < 0)
		return -1;
	if (model && STRNEQ(model, "netfront"))
		return conf_refuse("<interface> %s, <model type='%s'>: only 'netfront' is supported", name,
		                   model);
	if (net->ifname && (!ifname_good(net->ifname) || STRPREFIX(net->ifname, "vif")))
		return conf_refuse(
		        "<interface> %s, <target dev='%.40s'>: a name of at most 15 characters, which does not "
		        "begin with vif, is possible",
		        name, net->ifname);
	if (net->mtu && (net->mtu < GUEST_MTU_MIN || net->mtu > GUEST_MTU_MAX))
		return conf_refuse("<interface> %s, <mtu size='%u'>: it is 68..65535", name, net->mtu);
	/* What this script of stock Xen does is done without one. */
	if (net->script && STRNEQ(net->script, "vif-bridge") &&
	    STRNEQ(net->script, "/etc/xen/scripts/vif-bridge"))
		return conf_refuse("<interface> %s, <script path='%s'>: no scripts are run", name,
		                   net->script);
	for (i = 0; i < G_N_ELEMENTS(list); i++) {
		if (list[i].here)
			return conf_refuse("<interface> %s, %s: %s", name, list[i].element, list[i].why);
	}
	return 0;
}

int check_device(const virDomainDeviceDef *dev, const virDomainDef *def)
{
	switch (dev->type) {
	case VIR_DOMAIN_DEVICE_DISK:
		return check_disk(dev->data.disk);
	case VIR_DOMAIN_DEVICE_NET:
		return check_net(dev->data.net);
	case VIR_DOMAIN_DEVICE_CHR:
		return check_chr(dev->data.chr, def);
	case VIR_DOMAIN_DEVICE_CONTROLLER:
		return check_controller(dev->data.controller, def);
	case VIR_DOMAIN_DEVICE_MEMBALLOON:
		return check_memballoon(dev->data.memballoon);
	case VIR_DOMAIN_DEVICE_GRAPHICS:
		return check_graphics(dev->data.graphics);
	case VIR_DOMAIN_DEVICE_VIDEO:
		return check_video(dev->data.video);
	case VIR_DOMAIN_DEVICE_INPUT:
		return check_input(dev->data.input);
	default:
		break;
	}
	return conf_refuse("<%s>: " NOT_HERE, virDomainDeviceTypeToString(dev->type));
}

static int check_cpus(const virBitmap *cpus, unsigned int host_cpus, const char *element)
{
	g_autofree char *text = NULL;
	ssize_t first = cpus ? virBitmapNextSetBit((virBitmap *)cpus, -1) : -1;

	if (first < 0 || (size_t)first < host_cpus)
		return 0;
	text = virBitmapFormat((virBitmap *)cpus);
	return conf_refuse("%s cpuset='%.100s'>: this host has the CPUs 0-%u only", element, text,
	                   host_cpus - 1);
}

int check_start(const virDomainDef *def, unsigned int host_cpus)
{
	size_t i;

	if (!def->os.kernel && !def->ndisks)
		return conf_refuse(
		        "<os> without <kernel>, and no <disk>: there is nothing that it could boot; give it one of "
		        "them with virsh edit %s",
		        def->name);
	if (!def->os.kernel && (def->os.initrd || def->os.cmdline))
		return conf_refuse("<os><%s> without <kernel>: PV GRUB takes it from the guest's disk",
		                   def->os.initrd ? "initrd" : "cmdline");
	if (check_cpus(def->cpumask, host_cpus, "<vcpu") < 0)
		return -1;
	for (i = 0; i < def->maxvcpus; i++) {
		g_autofree char *element = g_strdup_printf("<cputune><vcpupin vcpu='%zu'", i);

		if (check_cpus(def->vcpus[i]->cpumask, host_cpus, element) < 0)
			return -1;
	}
	return 0;
}
