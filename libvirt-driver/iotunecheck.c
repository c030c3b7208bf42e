/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See iotunecheck.h. */
#include "iotunecheck.h"

#include <stdlib.h>

#include "check.h"
#include "conf.h"

#define FIELD(name)          G_STRUCT_OFFSET(virDomainBlockIoTuneInfo, name)
#define TOTAL_READ_WRITE(of) FIELD(total_##of), FIELD(read_##of), FIELD(write_##of)

/* Where libvirt has what iolimits.h numbers. */
static const glong fields[IO_LIMITS] = {
	TOTAL_READ_WRITE(bytes_sec),
	TOTAL_READ_WRITE(iops_sec),
	TOTAL_READ_WRITE(bytes_sec_max),
	TOTAL_READ_WRITE(iops_sec_max),
	FIELD(size_iops_sec),
	TOTAL_READ_WRITE(bytes_sec_max_length),
	TOTAL_READ_WRITE(iops_sec_max_length),
};

void iotune_take(struct io_limits *limits, const virDomainBlockIoTuneInfo *info)
{
	unsigned int i;

	for (i = 0; i < IO_LIMITS; i++)
		limits->value[i] = G_STRUCT_MEMBER(unsigned long long, info, fields[i]);
}

void iotune_store(virDomainBlockIoTuneInfo *info, const struct io_limits *limits)
{
	unsigned int i;

	for (i = 0; i < IO_LIMITS; i++)
		G_STRUCT_MEMBER(unsigned long long, info, fields[i]) = limits->value[i];
}

int check_iotune(const virDomainDiskDef *disk)
{
	struct io_limits limits;
	char *why;

	iotune_take(&limits, &disk->blkdeviotune);
	if (!conf_is_image(disk) && (io_limits_any(&limits) || disk->blkdeviotune.group_name))
		return conf_refuse("<disk> %s, <iotune>: " IOTUNE_RAW, disk->dst);
	if (disk->blkdeviotune.group_name)
		return conf_refuse("<disk> %s, <iotune><group_name>: " IOTUNE_GROUP, disk->dst);
	why = io_limits_refusal(&limits);
	if (!why)
		return 0;
	conf_refuse("<disk> %s, <iotune>: %s", disk->dst, why);
	free(why);
	return -1;
}

GVariant *conf_limits(const struct io_limits *limits)
{
	GVariantBuilder b;
	unsigned int i;

	g_variant_builder_init(&b, G_VARIANT_TYPE("a{st}"));
	for (i = 0; i < IO_LIMITS; i++)
		if (limits->value[i])
			g_variant_builder_add(&b, "{st}", io_limit_name(i), (guint64)limits->value[i]);
	return g_variant_builder_end(&b);
}
