/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits of a disk's requests (<iotune>): refused by name, or as xylemd takes them. Pure, as conf.h is. */
#ifndef XYLEM_IOTUNECHECK_H
#define XYLEM_IOTUNECHECK_H

#include "internal.h"
#include "domain_conf.h"

#include "../libxenctrl/src/iolimits.h"

/* Why a disk that the kernel serves has none, and no disk a group. */
#define IOTUNE_RAW                                                                                               \
	"the kernel serves raw disks, and limits none; QEMU does, for a qcow2 image (qemu-img convert, <driver " \
	"name='qemu' type='qcow2'/>)"
#define IOTUNE_GROUP "limits are each disk's own, there are no groups of disks"

int check_iotune(const virDomainDiskDef *disk);
/* libvirt's structure of them, and back; its group stays as it is. */
void iotune_take(struct io_limits *limits, const virDomainBlockIoTuneInfo *info);
void iotune_store(virDomainBlockIoTuneInfo *info, const struct io_limits *limits);
/* As xylemd takes them: an a{st}, floating. */
GVariant *conf_limits(const struct io_limits *limits);

#endif
