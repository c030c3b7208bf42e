/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The driver's table and state: where libvirtd enters. It begins, reloads and ends here, connections are
 * opened here, and each call is named with the file that serves it. What is not in the table is answered by
 * libvirt itself with "not supported by the connection driver".
 */
#include "xylem.h"

#include "aside.h"
#include "autostart.h"
#include "compat.h"
#include "console.h"
#include "convert.h"
#include "cpu.h"
#include "datatypes.h"
#include "define.h"
#include "devices.h"
#include "dirtyrate.h"
#include "domain.h"
#include "domain_event.h"
#include "driver.h"
#include "dump.h"
#include "events.h"
#include "host.h"
#include "iotune.h"
#include "job.h"
#include "lifecycle.h"
#include "locks.h"
#include "meta.h"
#include "migrate.h"
#include "net.h"
#include "save.h"
#include "screen.h"
#include "stats.h"
#include "tune.h"
#include "viraccessapicheck.h"
#include "virclosecallbacks.h"
#include "virdomainobjlist.h"
#include "virerror.h"
#include "virfile.h"
#include "virhook.h"
#include "virlog.h"
#include "virpidfile.h"
#include "virportallocator.h"
#include "virstring.h"
#include "virthread.h"
#include "viruri.h"
#include "virutil.h"
#include "configmake.h"
#include "xmlopt.h"

#include <gio/gio.h>
#include <xenctrl.h>

VIR_LOG_INIT("xylem.driver");

/* As the stock driver's name, by which clients know Xen. */
#define DRIVER_NAME  "Xen"
#define STATE_NAME   "xenlight"
#define CAPABILITIES "/proc/xen/capabilities"
#define STORE_SOCKET "/run/xenstored/socket"
#define STORE_MS     5000
/* After which a guest that does not get started does not keep others from it. */
#define START_LATE_MS 30000
/* How long the folder of managed saves is waited for. */
#define SAVES_MS 5000

__attribute__((visibility("default"))) int xylemRegister(void);

struct xylem_driver *xylem;

/* Only root's libvirtd in a control domain has something to do. */
static bool should_run(bool privileged)
{
	g_autofree char *text = NULL;

	if (!privileged)
		return false;
	if (virFileReadAllQuiet(CAPABILITIES, 64, &text) < 0 || !STRPREFIX(text, "control_d")) {
		VIR_INFO("this is no control domain (%s); the Xen driver stays away", CAPABILITIES);
		return false;
	}
	return true;
}

static int state_cleanup(void)
{
	/* libvirtd ends while a guest is still being built, or comes from another host, or has its changes counted, or a disk
	 * does not answer: the process goes, and nothing is taken from that thread. */
	if (!xylem || autostart_busy() || migrate_busy() || aside_busy() || dirtyrate_busy())
		return 0;
	if (xylem->context)
		events_stop();
	if (xylem->store)
		xyl_store_close(xylem->store);
	g_clear_pointer(&xylem->context, g_main_context_unref);
	virObjectUnref(xylem->domains);
	virObjectUnref(xylem->xmlopt);
	virObjectUnref(xylem->caps);
	virObjectUnref(xylem->events);
	if (xylem->xen)
		xyl_close(xylem->xen);
	if (xylem->lock_fd >= 0)
		virPidFileRelease(xylem->state_dir, "driver", xylem->lock_fd);
	locks_close();
	g_free(xylem->conf_base_dir);
	g_free(xylem->config_dir);
	g_free(xylem->autostart_dir);
	g_free(xylem->state_dir);
	g_free(xylem->save_dir);
	virPortAllocatorRangeFree(xylem->migration_ports);
	g_free(xylem->pvgrub);
	virCondDestroy(&xylem->slot_free);
	virMutexDestroy(&xylem->lock);
	g_clear_pointer(&xylem, g_free);
	return 0;
}

static int make_dirs(void)
{
	xylem->conf_base_dir = g_strdup(SYSCONFDIR "/libvirt");
	xylem->config_dir = g_strdup(SYSCONFDIR "/libvirt/libxl");
	xylem->autostart_dir = g_strdup(SYSCONFDIR "/libvirt/libxl/autostart");
	xylem->state_dir = g_strdup(RUNSTATEDIR "/libvirt/libxl");
	xylem->save_dir = g_strdup(LOCALSTATEDIR "/lib/libvirt/libxl/save");
	xylem->pvgrub = g_strdup(XYLEM_PVGRUB);
	if (g_mkdir_with_parents(xylem->state_dir, 0755) < 0 ||
	    g_mkdir_with_parents(xylem->config_dir, 0755) < 0) {
		virReportSystemError(errno, "cannot create %s and %s", xylem->state_dir, xylem->config_dir);
		return -1;
	}
	xylem->lock_fd = virPidFileAcquire(xylem->state_dir, "driver", getpid());
	return xylem->lock_fd < 0 ? -1 : 0;
}

static int open_host(void)
{
	xylem->xen = xyl_open();
	if (!xylem->xen) {
		virReportError(VIR_ERR_INTERNAL_ERROR, "%s", xyl_error());
		return -1;
	}
	xylem->context = g_main_context_new();
	xylem->store = xyl_store_open_path(xylem->context, STORE_SOCKET);
	if (!xylem->store) {
		virReportError(VIR_ERR_INTERNAL_ERROR, "%s", xyl_error());
		return -1;
	}
	/* Calls that read the store are not capped: an xenstored that hangs must not keep them for long. */
	xyl_store_set_timeout(xylem->store, STORE_MS);
	return host_init();
}

/* State files first: they make objects active, which definitions then join. */
static int load_all(void)
{
	if (virDomainObjListLoadAllConfigs(xylem->domains, xylem->state_dir, xylem->autostart_dir, true,
	                                   xylem->xmlopt, NULL, NULL) < 0)
		return -1;
	return virDomainObjListLoadAllConfigs(xylem->domains, xylem->config_dir, xylem->autostart_dir, false,
	                                      xylem->xmlopt, NULL, NULL);
}

static int recover(virDomainObj *vm, void *opaque G_GNUC_UNUSED)
{
	struct domain_private *priv = vm->privateData;

	virObjectLock(vm);
	if (virDomainObjIsActive(vm) && !domain_is_dom0(vm)) {
		g_autoptr(virConnect) conn = NULL;
		size_t i;

		priv->held = !priv->foreign;
		net_reserve_names(vm->def);
		domain_count_active(1);
		for (i = 0; i < vm->def->nnets; i++) {
			if (vm->def->nets[i]->type != VIR_DOMAIN_NET_TYPE_NETWORK)
				continue;
			if (!conn)
				conn = virGetConnectNetwork();
			if (conn)
				virDomainNetNotifyActualDevice(conn, vm->def, vm->def->nets[i]);
		}
		ignore_value(domain_hook(vm, vm->def, VIR_HOOK_LIBXL_OP_RECONNECT, VIR_HOOK_SUBOP_BEGIN));
	}
	virObjectUnlock(vm);
	return 0;
}

/* libvirtd accepts clients only after initialisation: guests start meanwhile. */
static void start_autostart(void)
{
	bool autostart = false;

	if (virDriverShouldAutostart(xylem->state_dir, &autostart) < 0)
		VIR_WARN("guests are not started with the host: %s", virGetLastErrorMessage());
	if (autostart)
		autostart_begin(START_LATE_MS);
}

static virDrvStateInitResult state_initialize(bool privileged, const char *root,
                                              bool monolithic G_GNUC_UNUSED, virStateInhibitCallback inhibit,
                                              void *inhibit_opaque)
{
	if (root || !should_run(privileged))
		return VIR_DRV_STATE_INIT_SKIPPED;
	xylem = g_new0(struct xylem_driver, 1);
	xylem->lock_fd = -1;
	xylem->inhibit = inhibit;
	xylem->inhibit_opaque = inhibit_opaque;
	if (virMutexInit(&xylem->lock) < 0 || virCondInit(&xylem->slot_free) < 0) {
		g_clear_pointer(&xylem, g_free);
		return VIR_DRV_STATE_INIT_SKIPPED;
	}
	xylem->domains = virDomainObjListNew();
	xylem->events = virObjectEventStateNew();
	xylem->xmlopt = xmlopt_new(&domain_private_data);
	xylem->migration_ports = virPortAllocatorRangeNew("migration", MIGRATE_PORT_MIN, MIGRATE_PORT_MAX);
	if (!xylem->domains || !xylem->events || !xylem->xmlopt || !xylem->migration_ports ||
	    make_dirs() < 0 || open_host() < 0 || host_add_dom0() < 0 || load_all() < 0)
		goto error;
	virDomainObjListForEach(xylem->domains, false, recover, NULL);
	locks_read_conf(SYSCONFDIR "/libvirt/libxl.conf");
	if (events_start() < 0)
		goto error;
	save_find_all(SAVES_MS);
	start_autostart();
	return VIR_DRV_STATE_INIT_COMPLETE;

error:
	/* An error here would stop libvirtd with all its other drivers. */
	VIR_ERROR("the Xen driver does not start: %s", virGetLastErrorMessage());
	state_cleanup();
	return VIR_DRV_STATE_INIT_SKIPPED;
}

static int state_reload(void)
{
	if (!xylem)
		return 0;
	return virDomainObjListLoadAllConfigs(xylem->domains, xylem->config_dir, xylem->autostart_dir, false,
	                                      xylem->xmlopt, NULL, NULL);
}

static int connect_probe(char **uri)
{
	if (!xylem)
		return 0;
	*uri = g_strdup("xen:///system");
	return 1;
}

static virDrvOpenStatus connect_open(virConnectPtr conn, virConnectAuthPtr auth G_GNUC_UNUSED,
                                     virConf *conf G_GNUC_UNUSED, unsigned int flags)
{
	virCheckFlags(VIR_CONNECT_RO, VIR_DRV_OPEN_ERROR);

	if (!xylem) {
		virReportError(
		        VIR_ERR_INTERNAL_ERROR, "%s",
		        "the Xen driver is not active: this is no control domain, or the log of libvirtd says more");
		return VIR_DRV_OPEN_ERROR;
	}
	if (STRNEQ(conn->uri->path, "") && STRNEQ(conn->uri->path, "/") &&
	    STRNEQ(conn->uri->path, "/system")) {
		virReportError(VIR_ERR_INTERNAL_ERROR, "unexpected Xen URI path '%s', try xen:///system",
		               conn->uri->path);
		return VIR_DRV_OPEN_ERROR;
	}
	if (virConnectOpenEnsureACL(conn) < 0)
		return VIR_DRV_OPEN_ERROR;
	conn->privateData = xylem;
	return VIR_DRV_OPEN_SUCCESS;
}

static int connect_close(virConnectPtr conn)
{
	virCloseCallbacksDomainRunForConn(xylem->domains, conn);
	conn->privateData = NULL;
	return 0;
}

static const char *connect_type(virConnectPtr conn)
{
	return virConnectGetTypeEnsureACL(conn) < 0 ? NULL : DRIVER_NAME;
}

static char *connect_hostname(virConnectPtr conn)
{
	return virConnectGetHostnameEnsureACL(conn) < 0 ? NULL : virGetHostname();
}

static int connect_is_alive(virConnectPtr conn G_GNUC_UNUSED)
{
	return 1;
}

/* Within this host; what carries a client's words to libvirtd is not the driver's. */
static int connect_is_secure(virConnectPtr conn G_GNUC_UNUSED)
{
	return 1;
}

static int connect_is_encrypted(virConnectPtr conn G_GNUC_UNUSED)
{
	return 0;
}

static int connect_feature(virConnectPtr conn, int feature)
{
	int supported;

	if (virConnectSupportsFeatureEnsureACL(conn) < 0)
		return -1;
	if (virDriverFeatureIsGlobal(feature, &supported))
		return supported;
	switch (feature) {
	case VIR_DRV_FEATURE_MIGRATION_V3:
	case VIR_DRV_FEATURE_MIGRATION_PARAMS:
	case VIR_DRV_FEATURE_MIGRATION_P2P:
	case VIR_DRV_FEATURE_MIGRATION_OFFLINE:
	case VIR_DRV_FEATURE_MIGRATE_CHANGE_PROTECTION:
		return 1;
	default:
		return 0;
	}
}

static int event_register(virConnectPtr conn, virConnectDomainEventCallback callback, void *opaque,
                          virFreeCallback done)
{
	if (virConnectDomainEventRegisterEnsureACL(conn) < 0)
		return -1;
	return virDomainEventStateRegister(conn, xylem->events, callback, opaque, done) < 0 ? -1 : 0;
}

static int event_deregister(virConnectPtr conn, virConnectDomainEventCallback callback)
{
	if (virConnectDomainEventDeregisterEnsureACL(conn) < 0)
		return -1;
	return virDomainEventStateDeregister(conn, xylem->events, callback) < 0 ? -1 : 0;
}

static int event_register_any(virConnectPtr conn, virDomainPtr dom, int event,
                              virConnectDomainEventGenericCallback callback, void *opaque,
                              virFreeCallback done)
{
	int id;

	if (virConnectDomainEventRegisterAnyEnsureACL(conn) < 0)
		return -1;
	return virDomainEventStateRegisterID(conn, xylem->events, dom, event, callback, opaque, done, &id) < 0
	               ? -1
	               : id;
}

static int event_deregister_any(virConnectPtr conn, int id)
{
	if (virConnectDomainEventDeregisterAnyEnsureACL(conn) < 0)
		return -1;
	return virObjectEventStateDeregisterID(conn, xylem->events, id, true) < 0 ? -1 : 0;
}

static virHypervisorDriver hypervisor_driver = {
	.name = DRIVER_NAME,
	.connectURIProbe = connect_probe,
	.connectOpen = connect_open,
	.connectClose = connect_close,
	.connectSupportsFeature = connect_feature,
	.connectGetType = connect_type,
	.connectGetVersion = host_version,
	.connectGetHostname = connect_hostname,
	.connectGetMaxVcpus = host_max_vcpus,
	.connectGetCapabilities = host_capabilities,
	.connectGetDomainCapabilities = host_domain_capabilities,
	.connectDomainXMLFromNative = convert_from_native,
	.connectDomainXMLToNative = convert_to_native,
	.connectIsAlive = connect_is_alive,
	.connectIsSecure = connect_is_secure,
	.connectIsEncrypted = connect_is_encrypted,
	.connectListDomains = define_list_ids,
	.connectNumOfDomains = define_count_ids,
	.connectListDefinedDomains = define_list_names,
	.connectNumOfDefinedDomains = define_count_names,
	.connectListAllDomains = define_list_all,
	.connectGetAllDomainStats = stats_all,
	.connectDomainEventRegister = event_register,
	.connectDomainEventDeregister = event_deregister,
	.connectDomainEventRegisterAny = event_register_any,
	.connectDomainEventDeregisterAny = event_deregister_any,
	.nodeGetInfo = host_node_info,
	.nodeGetFreeMemory = host_free_memory,
	.nodeGetCellsFreeMemory = host_cells_free,
	.nodeGetCPUMap = host_cpu_map,
	.nodeGetMemoryStats = host_memory_stats,
	.nodeGetFreePages = host_free_pages,
	.nodeGetSecurityModel = host_security_model,
	.nodeGetCPUStats = cpu_node_stats,
	.connectCompareCPU = cpu_compare,
	.connectCompareHypervisorCPU = cpu_compare_hypervisor,
	.connectBaselineCPU = cpu_baseline,
	.connectBaselineHypervisorCPU = cpu_baseline_hypervisor,
	.connectGetCPUModelNames = cpu_models,
	.connectGetSysinfo = host_sysinfo,
	.domainLookupByID = define_lookup_id,
	.domainLookupByUUID = define_lookup_uuid,
	.domainLookupByName = define_lookup_name,
	.domainDefineXML = define_xml,
	.domainDefineXMLFlags = define_xml_flags,
	.domainUndefine = define_undefine,
	.domainUndefineFlags = define_undefine_flags,
	.domainHasManagedSaveImage = define_has_save,
	.domainManagedSaveRemove = define_remove_save,
	.domainCoreDump = dump_core,
	.domainCoreDumpWithFormat = dump_core_format,
	.domainManagedSave = save_managed,
	.domainManagedSaveGetXMLDesc = save_managed_get_xml,
	.domainManagedSaveDefineXML = save_managed_define,
	.domainSave = save_to,
	.domainSaveFlags = save_to_flags,
	.domainSaveParams = save_params,
	.domainRestore = save_restore,
	.domainRestoreFlags = save_restore_flags,
	.domainRestoreParams = save_restore_params,
	.domainSaveImageGetXMLDesc = save_image_get_xml,
	.domainSaveImageDefineXML = save_image_define,
	.domainGetXMLDesc = define_get_xml,
	.domainGetOSType = define_get_os_type,
	.domainGetAutostart = define_get_autostart,
	.domainSetAutostart = define_set_autostart,
	.domainIsActive = define_is_active,
	.domainIsPersistent = define_is_persistent,
	.domainIsUpdated = define_is_updated,
	.domainCreateXML = lifecycle_create_xml,
	.domainCreate = lifecycle_create,
	.domainCreateWithFlags = lifecycle_create_flags,
	.domainSuspend = lifecycle_suspend,
	.domainResume = lifecycle_resume,
	.domainShutdown = lifecycle_shutdown,
	.domainShutdownFlags = lifecycle_shutdown_flags,
	.domainReboot = lifecycle_reboot,
	.domainDestroy = lifecycle_destroy,
	.domainDestroyFlags = lifecycle_destroy_flags,
	.domainSetLifecycleAction = lifecycle_set_action,
	.domainReset = lifecycle_reset,
	.domainInjectNMI = lifecycle_inject_nmi,
	.domainAbortJob = lifecycle_abort_job,
	.domainAbortJobFlags = lifecycle_abort_job_flags,
	.domainGetState = lifecycle_get_state,
	.domainGetInfo = stats_get_info,
	.domainBlockStats = stats_block,
	.domainBlockStatsFlags = stats_block_flags,
	.domainGetBlockInfo = stats_block_info,
	.domainGetDiskErrors = stats_block_errors,
	.domainInterfaceStats = stats_interface,
	.domainMemoryStats = stats_memory,
	.domainSetVcpus = tune_set_vcpus,
	.domainSetVcpusFlags = tune_set_vcpus_flags,
	.domainGetVcpusFlags = tune_get_vcpus_flags,
	.domainGetMaxVcpus = tune_get_max_vcpus,
	.domainPinVcpu = tune_pin_vcpu,
	.domainPinVcpuFlags = tune_pin_vcpu_flags,
	.domainGetVcpuPinInfo = tune_get_pin_info,
	.domainGetVcpus = tune_get_vcpus,
	.domainSetMemory = tune_set_memory,
	.domainSetMemoryFlags = tune_set_memory_flags,
	.domainSetMaxMemory = tune_set_max_memory,
	.domainGetMaxMemory = tune_get_max_memory,
	.domainGetSchedulerType = tune_get_scheduler_type,
	.domainGetSchedulerParameters = tune_get_scheduler,
	.domainGetSchedulerParametersFlags = tune_get_scheduler_flags,
	.domainSetSchedulerParameters = tune_set_scheduler,
	.domainSetSchedulerParametersFlags = tune_set_scheduler_flags,
	.domainGetNumaParameters = tune_get_numa,
	.domainAttachDevice = devices_attach,
	.domainAttachDeviceFlags = devices_attach_flags,
	.domainDetachDevice = devices_detach,
	.domainDetachDeviceFlags = devices_detach_flags,
	.domainUpdateDeviceFlags = devices_update_flags,
	.domainDetachDeviceAlias = devices_detach_alias,
	.domainSetBlockIoTune = iotune_set,
	.domainGetBlockIoTune = iotune_get,
	.domainBlockResize = devices_resize,
	.domainOpenConsole = console_open,
	.domainOpenChannel = console_open_channel,
	.domainScreenshot = screen_shoot,
	.domainSendKey = screen_send_key,
	.domainOpenGraphics = screen_open,
	.domainOpenGraphicsFD = screen_open_fd,
	.domainSetInterfaceParameters = net_set_parameters,
	.domainGetInterfaceParameters = net_get_parameters,
	.domainInterfaceAddresses = net_addresses,
	.domainGetHostname = net_hostname,
	.domainSetMetadata = meta_set,
	.domainGetMetadata = meta_get,
	.domainRename = meta_rename,
	.domainGetControlInfo = meta_control_info,
	.domainGetMessages = meta_messages,
	.domainGetJobInfo = job_info,
	.domainGetJobStats = job_stats,
	.domainStartDirtyRateCalc = dirtyrate_start,
	.domainGetCPUStats = stats_cpu,
	.domainMigrateBegin3Params = migrate_begin,
	.domainMigratePrepare3Params = migrate_prepare,
	.domainMigratePrepareTunnel3Params = migrate_prepare_tunnel,
	.domainMigratePerform3Params = migrate_perform,
	.domainMigrateFinish3Params = migrate_finish,
	.domainMigrateConfirm3Params = migrate_confirm,
	.domainMigrateSetMaxSpeed = job_set_speed,
	.domainMigrateGetMaxSpeed = job_get_speed,
	.domainMigrateSetMaxDowntime = job_set_downtime,
	.domainMigrateGetMaxDowntime = job_get_downtime,
};

static virConnectDriver connect_driver = {
	.localOnly = true,
	.uriSchemes = (const char *[]){ "xen", NULL },
	.hypervisorDriver = &hypervisor_driver,
};

static virStateDriver state_driver = {
	.name = STATE_NAME,
	.stateInitialize = state_initialize,
	.stateCleanup = state_cleanup,
	.stateReload = state_reload,
};

int xylemRegister(void)
{
	if (virRegisterConnectDriver(&connect_driver, true) < 0)
		return -1;
	return virRegisterStateDriver(&state_driver);
}
