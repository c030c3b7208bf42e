/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Core files of guests, which the program crash reads; for somebody who looks at what went wrong in one. */
#include "dump.h"
#include "xylem.h"

#include <fcntl.h>

#include "datatypes.h"
#include "domain.h"
#include "job.h"
#include "lifecycle.h"
#include "monitor.h"
#include "savefile.h"
#include "viraccessapicheck.h"
#include "virdomainjob.h"
#include "virerror.h"
#include "virfile.h"
#include "virlog.h"
#include "viruuid.h"

VIR_LOG_INIT("xylem.dump");

#define DUMP_FLAGS \
	(VIR_DUMP_CRASH | VIR_DUMP_LIVE | VIR_DUMP_RESET | VIR_DUMP_BYPASS_CACHE | VIR_DUMP_MEMORY_ONLY)

static int check_dump(virDomainObj *vm)
{
	const struct domain_private *priv = vm->privateData;

	if (virDomainObjCheckActive(vm) < 0 || domain_refuse_dom0(vm, "dumped") < 0)
		return -1;
	if (!priv->foreign)
		return 0;
	virReportError(VIR_ERR_OPERATION_INVALID, "%s was made by another tool, which alone can dump it",
	               vm->def->name);
	return -1;
}

/* Locked, with a job; unlocks meanwhile. The caller has a slot: the disk of the file, too, may not answer. */
static int write_core(virDomainObj *vm, const char *path, unsigned int flags)
{
	struct domain_private *priv = vm->privateData;
	char handle[VIR_UUID_STRING_BUFLEN];
	struct sampler *sampler;
	VIR_AUTOCLOSE fd = -1;
	int ret = -1;

	domain_handle(vm, handle);
	priv->dumping = true;
	job_begin(vm, VIR_DOMAIN_JOB_OPERATION_DUMP);
	sampler = job_watch(vm);
	virObjectUnlock(vm);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		virReportSystemError(errno, "%s cannot be created", path);
	else
		ret = monitor_dump(xylem->monitor, handle, fd, flags & VIR_DUMP_LIVE);
	job_unwatch(sampler);
	if (ret == 0 && fsync(fd) < 0 && errno != EINVAL) {
		virReportSystemError(errno, "%s cannot be written", path);
		ret = -1;
	}
	if (ret == 0 && (flags & VIR_DUMP_BYPASS_CACHE))
		ignore_value(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	/* One that was made is of no use. */
	if (ret < 0 && fd >= 0)
		savefile_discard(path);
	VIR_FORCE_CLOSE(fd);
	virObjectLock(vm);
	job_end(vm, ret == 0);
	priv->dumping = false;
	return ret;
}

static int dump(virDomainObj *vm, const char *path, unsigned int flags)
{
	int ret;

	if (slot_take(SLOT_BUILD, vm) < 0)
		return -1;
	ret = check_dump(vm);
	if (ret == 0)
		ret = write_core(vm, path, flags);
	slot_give(SLOT_BUILD);
	return ret;
}

int dump_core_format(virDomainPtr dom, const char *to, unsigned int format, unsigned int flags)
{
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(DUMP_FLAGS, -1);
	VIR_EXCLUSIVE_FLAGS_RET(VIR_DUMP_CRASH, VIR_DUMP_LIVE, -1);
	VIR_EXCLUSIVE_FLAGS_RET(VIR_DUMP_CRASH, VIR_DUMP_RESET, -1);
	VIR_EXCLUSIVE_FLAGS_RET(VIR_DUMP_LIVE, VIR_DUMP_RESET, -1);
	if (format != VIR_DOMAIN_CORE_DUMP_FORMAT_RAW) {
		virReportError(VIR_ERR_OPERATION_UNSUPPORTED, "%s",
		               "core files are written in one format, raw: an ELF file as of Xen's tools");
		return -1;
	}
	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainCoreDumpWithFormatEnsureACL(dom->conn, vm->def) == 0 &&
	    domain_begin_job(vm, VIR_JOB_MODIFY) == 0) {
		ret = dump(vm, to, flags);
		domain_end_job(vm);
	}
	virDomainObjEndAPI(&vm);
	if (ret == 0 && (flags & VIR_DUMP_CRASH))
		ret = lifecycle_destroy(dom);
	if (ret == 0 && (flags & VIR_DUMP_RESET))
		ret = lifecycle_reset(dom, 0);
	return ret;
}

int dump_core(virDomainPtr dom, const char *to, unsigned int flags)
{
	return dump_core_format(dom, to, VIR_DOMAIN_CORE_DUMP_FORMAT_RAW, flags);
}
