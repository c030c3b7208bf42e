/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Images of disks; see diskimage.h. */
#include "diskimage.h"

/* qcow2, as QEMU's docs/interop/qcow2 describes it: numbers are big-endian, at these places. */
#define QCOW2_MAGIC         0x514649fbu
#define QCOW2_VERSION       4
#define QCOW2_BACKING       8
#define QCOW2_BACKING_BYTES 16
#define QCOW2_CLUSTER_BITS  20
#define QCOW2_ENCRYPTION    32
#define QCOW2_BYTES         72 /* of a header of version 2 */
#define QCOW2_FEATURES      72
#define QCOW2_HEADER_BYTES  100
#define QCOW2_3_BYTES       104

#define QCOW2_DIRTY         1u
#define QCOW2_CORRUPT       2u
#define QCOW2_DATA_FILE     4u
#define QCOW2_COMPRESSION   8u
#define QCOW2_SUBCLUSTERS   16u

static uint32_t be32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint64_t be64(const uint8_t *at)
{
	return (uint64_t)be32(at) << 32 | be32(at + 4);
}

static const char *qcow2_features(const uint8_t *head, size_t bytes)
{
	uint64_t features, cluster = 1u << be32(head + QCOW2_CLUSTER_BITS);

	if (bytes < QCOW2_3_BYTES || be32(head + QCOW2_HEADER_BYTES) < QCOW2_3_BYTES ||
	    be32(head + QCOW2_HEADER_BYTES) > cluster)
		return "has no whole header of qcow2";
	features = be64(head + QCOW2_FEATURES);
	if (features & QCOW2_DATA_FILE)
		return "keeps its data in another file, which is not supported (qemu-img convert makes one of both)";
	if (features & QCOW2_CORRUPT)
		return "is marked as corrupt (qemu-img check -r repairs it)";
	if (features & ~(uint64_t)(QCOW2_DIRTY | QCOW2_COMPRESSION | QCOW2_SUBCLUSTERS))
		return "has features of qcow2 that are not known";
	return NULL;
}

static const char *qcow2_refusal(const uint8_t *head, size_t bytes)
{
	uint32_t version;

	if (bytes < QCOW2_BYTES || be32(head) != QCOW2_MAGIC)
		return "is no qcow2 image";
	version = be32(head + QCOW2_VERSION);
	if (version != 2 && version != 3)
		return "is of a version of qcow2 that is not known";
	if (be32(head + QCOW2_CLUSTER_BITS) < 9 || be32(head + QCOW2_CLUSTER_BITS) > 21)
		return "has no whole header of qcow2";
	if (be64(head + QCOW2_BACKING) || be32(head + QCOW2_BACKING_BYTES))
		return "has a backing file, which is not supported (qemu-img convert makes one of both)";
	if (be32(head + QCOW2_ENCRYPTION))
		return "is encrypted, which is not supported";
	return version == 3 ? qcow2_features(head, bytes) : NULL;
}

const char *diskimage_refusal(enum disk_format format, const uint8_t *head, size_t bytes)
{
	return format == DISK_QCOW2 ? qcow2_refusal(head, bytes) : NULL;
}
