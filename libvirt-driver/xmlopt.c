/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How libvirt's parser reads our domains: which kinds of guests exist, the defaults that Xen's users expect,
 * and where the checks of check.c run. Defaults are only ever added here, never refusals: this also runs when
 * definitions and states are loaded.
 */
#include "xmlopt.h"
#include "check.h"

#include "capabilities.h"
#include "compat.h"
#include "domain_conf.h"
#include "virclosecallbacks.h"
#include "virerror.h"

#define VIR_FROM_THIS VIR_FROM_XEN

/*
 * Paravirtual 64-bit guests are the only ones, and come first and alone: virt-install takes the first entry.
 * The PVH and HVM guests of stock definitions are loaded, listed and refused at start.
 */
virCaps *xmlopt_caps_new(void)
{
	g_autoptr(virCaps) caps = virCapabilitiesNew(VIR_ARCH_X86_64, true, true);
	static const char *const machines[] = { "xenpv", NULL };
	virCapsGuestMachine **list;
	virCapsGuest *guest;
	int count;

	if (!caps)
		return NULL;
	list = virCapabilitiesAllocMachines(machines, &count);
	guest = virCapabilitiesAddGuest(caps, VIR_DOMAIN_OSTYPE_XEN, VIR_ARCH_X86_64, NULL, NULL, count,
	                                list);
	virCapabilitiesAddGuestDomain(guest, VIR_DOMAIN_VIRT_XEN, NULL, NULL, 0, NULL);
	return g_steal_pointer(&caps);
}

static int add_default_console(virDomainDef *def)
{
	virDomainChrDef *console = virDomainChrDefNew(NULL);

	if (!console)
		return -1;
	console->deviceType = VIR_DOMAIN_CHR_DEVICE_TYPE_CONSOLE;
	console->targetType = VIR_DOMAIN_CHR_CONSOLE_TARGET_TYPE_XEN;
	console->target.port = 0;
	console->source->type = VIR_DOMAIN_CHR_TYPE_PTY;
	def->consoles = g_new0(virDomainChrDef *, 1);
	def->consoles[0] = console;
	def->nconsoles = 1;
	return 0;
}

static int domain_post_parse(virDomainDef *def, unsigned int flags G_GNUC_UNUSED, void *opaque G_GNUC_UNUSED,
                             void *parse_opaque G_GNUC_UNUSED)
{
	if (def->os.type != VIR_DOMAIN_OSTYPE_HVM && def->nconsoles == 0 && add_default_console(def) < 0)
		return -1;
	if (!def->memballoon) {
		def->memballoon = g_new0(virDomainMemballoonDef, 1);
		def->memballoon->model = VIR_DOMAIN_MEMBALLOON_MODEL_XEN;
	}
	return 0;
}

static int device_post_parse(virDomainDeviceDef *dev, const virDomainDef *def,
                             unsigned int flags G_GNUC_UNUSED, void *opaque G_GNUC_UNUSED,
                             void *parse_opaque G_GNUC_UNUSED)
{
	if (dev->type == VIR_DOMAIN_DEVICE_CHR &&
	    dev->data.chr->deviceType == VIR_DOMAIN_CHR_DEVICE_TYPE_CONSOLE &&
	    dev->data.chr->targetType == VIR_DOMAIN_CHR_CONSOLE_TARGET_TYPE_NONE &&
	    def->os.type != VIR_DOMAIN_OSTYPE_HVM)
		dev->data.chr->targetType = VIR_DOMAIN_CHR_CONSOLE_TARGET_TYPE_XEN;
	/* libvirt adds a <video> to <graphics> and does not load a definition in which it has no model. */
	if (dev->type == VIR_DOMAIN_DEVICE_VIDEO && dev->data.video->type == VIR_DOMAIN_VIDEO_TYPE_DEFAULT)
		dev->data.video->type = VIR_DOMAIN_VIDEO_TYPE_XEN;
	if (dev->type == VIR_DOMAIN_DEVICE_DISK &&
	    virDomainDiskGetFormat(dev->data.disk) == VIR_STORAGE_FILE_NONE)
		virDomainDiskSetFormat(dev->data.disk, VIR_STORAGE_FILE_RAW);
	return 0;
}

static int domain_validate(const virDomainDef *def, void *opaque G_GNUC_UNUSED,
                           void *parse_opaque G_GNUC_UNUSED)
{
	return check_domain(def);
}

static int device_validate(const virDomainDeviceDef *dev, const virDomainDef *def, void *opaque G_GNUC_UNUSED,
                           void *parse_opaque G_GNUC_UNUSED)
{
	return check_device(dev, def);
}

virDomainXMLOption *xmlopt_new(virDomainXMLPrivateDataCallbacks *private_data)
{
	/* At most this many calls wait for one guest, so that a hung one holds few of libvirtd's workers. */
	virDomainJobObjConfig jobs = { .maxQueuedJobs = 2 };
	virDomainDefParserConfig config = {
		.domainPostParseCallback = domain_post_parse,
		.devicesPostParseCallback = device_post_parse,
		.domainValidateCallback = domain_validate,
		.deviceValidateCallback = device_validate,
		.macPrefix = { 0x00, 0x16, 0x3e },
		.netPrefix = "vif",
		.defArch = VIR_ARCH_X86_64,
		.features = VIR_DOMAIN_DEF_FEATURE_USER_ALIAS | VIR_DOMAIN_DEF_FEATURE_FW_AUTOSELECT |
		            VIR_DOMAIN_DEF_FEATURE_NET_MODEL_STRING | VIR_DOMAIN_DEF_FEATURE_OFFLINE_VCPUPIN,
	};

	virDomainXMLOption *xmlopt = virDomainXMLOptionNew(&config, private_data, NULL, NULL, NULL, &jobs);

	virDomainXMLOptionSetCloseCallbackAlloc(xmlopt, virCloseCallbacksDomainAlloc);
	return xmlopt;
}
