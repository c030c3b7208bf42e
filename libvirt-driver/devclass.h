/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The classes of devices that come and go in a definition and in a running guest. Another class is another struct in
 * devclass.c, and its keys for xylemd in conf.c.
 */
#ifndef XYLEM_DEVCLASS_H
#define XYLEM_DEVCLASS_H

#include "internal.h"
#include "domain_conf.h"

#include "xylem.h"

/* A device def has the class's own pointer in its data. The index is that of the definition's array. */
struct device_class {
	/* ---- in a definition ---- */
	/* What clients and events call it that have given it no other alias. */
	char *(*alias)(const virDomainDeviceDef *dev);
	/* Another one cannot be told apart from it: -1 with an error. */
	int (*refuse_twin)(const virDomainDef *def, const virDomainDeviceDef *dev);
	/* The one that dev means; -1 with an error. */
	int (*find)(virDomainDef *def, const virDomainDeviceDef *dev);
	/* The device, which stays the definition's. */
	void (*get)(const virDomainDef *def, int index, virDomainDeviceDef *dev);
	/* It moves into the definition, to the index that this gives; out of it; or it changes places with the one that is there. */
	int (*insert)(virDomainDef *def, virDomainDeviceDef *dev);
	void (*remove)(virDomainDef *def, int index, virDomainDeviceDef *dev);
	void (*exchange)(virDomainDef *def, int index, virDomainDeviceDef *dev);
	/* What find() knows it by, in a new one. */
	void (*copy_key)(virDomainDeviceDef *key, const virDomainDeviceDef *dev);

	/* ---- in a running guest; each but the first may be NULL ---- */
	/* Before xylemd is asked for it. The locks that it needs, or NULL. vm is locked. */
	disk_locks_t *(*prepare)(virDomainObj *vm, virDomainDeviceDef *dev);
	/* xylemd has it, as made tells: what is left to be done; if that fails, it is not there. No object is locked. */
	int (*connect)(virDomainObj *vm, const char *handle, virDomainDeviceDef *dev, GVariant *made);
	/* It is not there any more: the locks that it had, or NULL. vm is locked. */
	disk_locks_t *(*locks)(virDomainObj *vm, const virDomainDeviceDef *dev);
	void (*disconnect)(virDomainDef *def, virDomainDeviceDef *dev);
};

/* NULL: such devices neither come nor go. */
const struct device_class *device_class_of(const virDomainDeviceDef *dev);

#endif
