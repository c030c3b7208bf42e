/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unpacks dom0's kernel. The libraries are Debian's own, built for user space: they get a heap of fixed size
 * that is returned as a whole, a stack protector's canary behind FS, and no interrupts while they run (they
 * use the red zone).
 */
#include "boot/unpack.h"
#include "hw/cpu.h"
#include "hw/mem.h"
#include "lib/decompress.h"
#include "lib/log.h"
#include "lib/pverror.h"
#include "lib/string.h"
#include "mm/heap.h"

#define MSR_FS_BASE 0xc0000100

static struct {
	uint8_t *start;
	size_t used, size;
} arena;

void *malloc(size_t n);
void *calloc(size_t count, size_t n);
void free(void *p);
void __stack_chk_fail(void);

void *malloc(size_t n)
{
	void *p;

	n = ROUND_UP(n, 64ul);
	if (!n || n > arena.size - arena.used)
		return NULL;
	p = arena.start + arena.used;
	arena.used += n;
	return p;
}

void *calloc(size_t count, size_t n)
{
	void *p;

	if (n && count > arena.size / n)
		return NULL;
	p = malloc(count * n);
	if (p)
		memset(p, 0, count * n);
	return p;
}

/* The arena goes back as a whole. */
void free(void *p)
{
	(void)p;
}

void __stack_chk_fail(void)
{
	panic("stack overflow in a decompressor");
}

/* libzstd calls these where somebody supplies them: weak, and out of reach of its code unless they are here. */
unsigned long long ZSTD_trace_decompress_begin(const void *context);
void ZSTD_trace_decompress_end(unsigned long long context, const void *trace);

unsigned long long ZSTD_trace_decompress_begin(const void *context)
{
	(void)context;
	return 0;
}

void ZSTD_trace_decompress_end(unsigned long long context, const void *trace)
{
	(void)context, (void)trace;
}

/* Of 64 MiB, for dictionaries of up to 32; that of lzma has 64. */
static unsigned arena_order(enum payload_kind kind)
{
	return kind == PAYLOAD_LZMA ? 15 : 14;
}

/* Large blocks come in powers of two: what is beyond the wanted size goes back at once. */
static void trim(mfn_t first, unsigned order, uint64_t pages)
{
	for (uint64_t i = pages; i < 1ull << order; i++)
		heap_free(mfn_add(first, i), 0);
}

static int decompress_isolated(const struct payload *payload, void *out, uint64_t bytes, uint64_t *produced)
{
	static uint64_t thread_block[16] = { [5] = 0x7d2a00c1f94ee300 }; /* the canary is at FS:0x28 */
	uint64_t flags, fs = rdmsr(MSR_FS_BASE);
	unsigned order = arena_order(payload->kind);
	mfn_t memory = heap_alloc(order, HEAP_NOSCRUB);
	int err;

	if (mfn_eq(memory, INVALID_MFN))
		return PV_ERR_MEMORY;
	arena.start = mfn_map_own(memory);
	arena.used = 0;
	arena.size = PAGE_SIZE << order;
	flags = irq_save();
	wrmsr(MSR_FS_BASE, (uintptr_t)thread_block);
	err = decompress(payload, out, bytes, produced);
	wrmsr(MSR_FS_BASE, fs);
	irq_restore(flags);
	heap_free(memory, order);
	return err;
}

int kernel_unpack(const void *image, uint64_t bytes, struct unpacked *u)
{
	struct payload payload;
	unsigned order = 0;
	int err = payload_find(image, bytes, &payload);

	if (err)
		return err;
	if (payload.kind == PAYLOAD_ELF) {
		*u = (struct unpacked){ .data = payload.data, .bytes = payload.bytes, .frame = INVALID_MFN };
		return PV_OK;
	}
	log_info("dom0 kernel: %s, %lu MiB unpacked", payload_kind_name(payload.kind),
	         payload.unpacked_bytes >> 20);
	u->pages = (payload.unpacked_bytes + PAGE_SIZE - 1) / PAGE_SIZE;
	while (order < HEAP_MAX_ORDER && 1ull << order < u->pages)
		order++;
	if (1ull << order < u->pages)
		return PV_ERR_OUTPUT;
	u->frame = heap_alloc(order, HEAP_NOSCRUB);
	if (mfn_eq(u->frame, INVALID_MFN))
		return PV_ERR_MEMORY;
	trim(u->frame, order, u->pages);
	u->data = mfn_map_own(u->frame);
	err = decompress_isolated(&payload, mfn_map_own(u->frame), u->pages * PAGE_SIZE, &u->bytes);
	if (err)
		kernel_unpacked_free(u);
	return err;
}

void kernel_unpacked_free(struct unpacked *u)
{
	if (mfn_eq(u->frame, INVALID_MFN))
		return;
	for (uint64_t i = 0; i < u->pages; i++)
		heap_free(mfn_add(u->frame, i), 0);
	u->frame = INVALID_MFN;
}
