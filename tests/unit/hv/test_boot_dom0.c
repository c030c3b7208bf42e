/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Construction of dom0: the real boot/dom0.c and boot/unpack.c with the real PV builder, dom/, mm/ and most of pv/, over
 * the fake hardware layer. The kernels are made here (makeelf.h).
 *
 *  1. the machine is brought up once, with memory that holds something, and each case has a process of its own from there;
 *  2. a dom0 that was built is looked at as its kernel would, through its page tables, and all references are recounted;
 *  3. it is destroyed, and every page must be back;
 *  4. what is refused must say why: the message of the panic is compared;
 *  5. memory runs out at each lock that is taken on the way (each allocation takes one), permanently or until the next one.
 */
#include "boot/boot.h"
#include "boot/unpack.h"
#include "lib/pvbuild.h"
#include "mm/internal.h"
#include "fake/boot.h"
#include "fake/machine.h"
#include "../lib/makeelf.h"
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

/* The decompressors have the C library's here. */
#define malloc           unpack_malloc
#define calloc           unpack_calloc
#define free             unpack_free
#define __stack_chk_fail unpack_stack_chk_fail
#include "boot/unpack.c"
#include "dom/sched.h"
#include "hw/options.h"
#include "mm/audit.h"
#include "mm/heap.h"
#undef malloc
#undef calloc
#undef free
#undef __stack_chk_fail

#define MIB         (1ull << 20)
#define RAM_FRAMES  ((unsigned)(160 * MIB / PAGE_SIZE))
#define RESERVE     (64 * MIB / PAGE_SIZE)
#define CPUS        2
#define FILLING     0xa5 /* what free memory holds */
#define KERNEL_BASE 0xffffffff80000000

/* ---- each case in a process of its own ---- */

static struct {
	unsigned count, failed;
} * shared;

static void apart(const char *name, void (*fn)(const void *), const void *arg)
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		fn(arg);
		shared->count = tap_count;
		shared->failed = tap_failed;
		fflush(stdout);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status) {
		tap_ok(false, "%s: the process ended with %#x", name, (unsigned)status);
		return;
	}
	tap_count = shared->count;
	tap_failed = shared->failed;
}

/* What free memory holds before. */
static void fill_memory(void)
{
	fake_eat(0, HEAP_MAX_ORDER);
	for (unsigned i = 0; i < fake_eaten_count; i++)
		memset(mfn_map_own(fake_eaten[i].first), FILLING, PAGE_SIZE << fake_eaten[i].order);
	fake_give_back();
}

/* ---- construction ---- */

static char refusal[256]; /* why there was a panic; empty: there was none */
static jmp_buf refused;
static uint64_t free_before;     /* before construction */
static uint64_t free_when_asked; /* when it chose how much memory dom0 gets */

static void on_panic(const char *why)
{
	snprintf(refusal, sizeof(refusal), "%s", why);
	fake_panic = NULL;
	longjmp(refused, 1);
}

/* The first lock behind wanted_pages() is the heap's, for the p2m list. */
static void watch(void)
{
	if (!free_when_asked && dom0 && dom0->mm.max_pages)
		free_when_asked = heap_free_pages();
}

struct files {
	struct boot_module kernel, initrd;
	bool has_initrd;
	char cmdline[2 * BOOT_CMDLINE_MAX];
};

/* True: it was built. */
static bool construct(const struct files *f)
{
	*refusal = 0;
	free_when_asked = 0;
	free_before = heap_free_pages();
	if (!fake_hook)
		fake_hook = watch;
	fake_panic = on_panic;
	if (!setjmp(refused) && dom0_build(&f->kernel, f->has_initrd ? &f->initrd : NULL, f->cmdline))
		snprintf(refusal, sizeof(refusal), "an error instead of a panic");
	fake_panic = NULL;
	fake_hook = NULL;
	return !*refusal;
}

/* Frames that are not back when dom0 is gone. */
static uint64_t destroy(void)
{
	struct domain *d = dom0;
	int rc;

	dom0 = NULL;
	do
		rc = d ? domain_destroy(d) : 0;
	while (rc == -ERESTART_HV);
	machine_run(0);
	return free_before - heap_free_pages();
}

/* ---- kernels and RAM disks ---- */

#define RAMDISK_MAX (16 * PAGE_SIZE + 5)
static uint8_t image[MAKEELF_BYTES], packed[MAKEELF_BYTES + 1024], ramdisk[RAMDISK_MAX];

struct kernel {
	struct makeelf elf;
	bool gzip;
};

static struct boot_module make_kernel(const struct kernel *k)
{
	struct boot_module m = { .data = image, .bytes = makeelf(&k->elf, image) };
	z_stream z = { .next_in = image, .avail_in = (unsigned)m.bytes };

	if (!k->gzip)
		return m;
	z.next_out = packed;
	z.avail_out = sizeof(packed);
	if (deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK ||
	    deflate(&z, Z_FINISH) != Z_STREAM_END)
		abort();
	deflateEnd(&z);
	m.data = packed;
	m.bytes = sizeof(packed) - z.avail_out;
	return m;
}

/* It ends where the array ends, so that the sanitizer sees who reads on. */
static struct boot_module make_ramdisk(uint64_t bytes)
{
	for (unsigned i = 0; i < RAMDISK_MAX; i++)
		ramdisk[i] = (uint8_t)(i * 7 + (i >> 8) * 13 + 3);
	return (struct boot_module){ .data = ramdisk + RAMDISK_MAX - bytes, .bytes = bytes };
}

/* A kernel as today's, elsewhere: load is relative to virt_base. */
static struct makeelf modern_at(uint64_t virt_base, uint64_t load, uint64_t init_p2m)
{
	struct makeelf m = makeelf_modern();

	m.virt_base = virt_base;
	m.load_paddr = load;
	m.entry = virt_base + load + 0x10;
	m.init_p2m = init_p2m;
	return m;
}

static struct makeelf classic_at(uint64_t virt_base, uint64_t load)
{
	struct makeelf m = makeelf_classic();

	m.virt_base = virt_base;
	m.load_paddr = load;
	m.entry = virt_base + load;
	m.hypercall_page = virt_base + load + PAGE_SIZE;
	return m;
}

/* ---- a dom0, as its kernel sees it ---- */

struct layout_case {
	const char *name;
	struct kernel kernel;
	uint64_t pages;
	uint64_t initrd_bytes;
	bool no_initrd; /* not even an empty one */
	const char *cmdline;
};

/* NULL: not mapped. */
static const void *look(uint64_t va, uint64_t *pte)
{
	struct pt_walk w;

	pt_walk(dom0->vcpus[0]->l4_kernel, GVA(va), &w);
	if (w.level != 1)
		return NULL;
	if (pte)
		*pte = w.e[0];
	return (const uint8_t *)mfn_map_own(PTE_MFN(w.e[0])) + va % PAGE_SIZE;
}

static bool same(uint64_t va, const void *expected, uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes; i++) {
		const uint8_t *p = look(va + i, NULL);

		if (!p || *p != ((const uint8_t *)expected)[i])
			return false;
	}
	return true;
}

static bool zeroed(uint64_t va, uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes; i++) {
		const uint8_t *p = look(va + i, NULL);

		if (!p || *p)
			return false;
	}
	return true;
}

static const struct start_info *start_of_day(void)
{
	return look(dom0->vcpus[0]->regs.rsi, NULL);
}

/* The guest's own list; its frames lie anywhere. */
static uint64_t p2m(uint64_t pfn)
{
	const uint64_t *e = look(start_of_day()->mfn_list + pfn * 8, NULL);

	return e ? *e : 0;
}

static void check_memory(const char *name, uint64_t pages, uint64_t max_pages)
{
	uint64_t listed = 0, wrong = 0, end = ROUND_UP(pages, 512ull);
	struct list *pos;

	list_for_each(pos, &dom0->mm.pages)
		listed++;
	tap_ok(dom0->mm.tot_pages == pages && listed == pages && dom0->mm.max_pages == max_pages,
	       "%s: it has %lu pages of %lu (%lu of %lu)", name, (unsigned long)pages,
	       (unsigned long)max_pages, (unsigned long)dom0->mm.tot_pages,
	       (unsigned long)dom0->mm.max_pages);
	/* Both tables agree for each: no frame is there twice. */
	for (uint64_t pfn = 0; pfn < pages; pfn++)
		wrong += frame_owner(MFN(p2m(pfn))) != &dom0->mm || m2p_get(MFN(p2m(pfn))) != pfn;
	for (uint64_t pfn = pages; pfn < end; pfn++)
		wrong += p2m(pfn) != ~0ull;
	tap_ok(!wrong, "%s: each is in the p2m list and in the machine's", name);
}

static void check_start_info(const char *name, const struct layout_case *c)
{
	const struct makeelf *elf = &c->kernel.elf;
	const struct start_info *s = start_of_day();
	const struct dom0_vga_console_info *vga =
	        (const void *)((const uint8_t *)s + s->console.dom0.info_off);
	uint64_t modules = c->initrd_bytes && elf->mod_start_pfn ? SIF_MOD_START_PFN : 0;
	uint64_t list_pages = (c->pages * 8 + PAGE_SIZE - 1) / PAGE_SIZE;
	uint64_t p2m_start = elf->init_p2m, p2m_end = p2m_start + list_pages * PAGE_SIZE - 1, tables = 0;

	tap_ok(!strcmp(s->magic, "xen-3.0-x86_64") && s->nr_pages == c->pages &&
	               s->shared_info == dom0->shared_info_mfn.m << PAGE_SHIFT &&
	               s->flags == (SIF_PRIVILEGED | SIF_INITDOMAIN | modules),
	       "%s: start_info: magic, pages, shared_info, flags", name);
	tap_ok(!s->store_mfn && !s->store_evtchn && s->console.dom0.info_off >= sizeof(*s) &&
	               s->console.dom0.info_size == sizeof(*vga) &&
	               vga->video_type == XEN_VGATYPE_TEXT_MODE_3 && vga->u.text_mode_3.rows == 25 &&
	               vga->u.text_mode_3.columns == 80,
	       "%s: start_info: no store, and the screen instead of a console", name);
	tap_ok(!strcmp((const char *)s->cmd_line, c->cmdline ? c->cmdline : ""),
	       "%s: start_info: the command line", name);
	for (unsigned shift = 21; shift <= 39; shift += 9)
		tables += (p2m_end >> shift) - (p2m_start >> shift) + 1;
	if (elf->init_p2m)
		tap_ok(s->mfn_list == elf->init_p2m && s->first_p2m_pfn &&
		               s->nr_p2m_frames == list_pages + tables,
		       "%s: start_info: the p2m list where the kernel wants it", name);
	else
		tap_ok(!s->first_p2m_pfn && !s->nr_p2m_frames &&
		               s->mfn_list ==
		                       ROUND_UP(elf->virt_base + elf->load_paddr - elf->paddr_offset +
		                                        0x5010 + MAKEELF_DATA_BYTES + MAKEELF_BSS_BYTES,
		                                PAGE_SIZE) +
		                               ROUND_UP(c->initrd_bytes, PAGE_SIZE),
		       "%s: start_info: the p2m list behind kernel and RAM disk", name);
}

static void check_kernel(const char *name, const struct makeelf *elf)
{
	uint64_t va = elf->load_paddr - elf->paddr_offset + elf->virt_base, data = va + 0x5010;
	static const uint8_t version[] = { 0x51, 0x41, 0x53, 0xb8, 17, 0, 0, 0, 0x0f, 0x05 };
	static const uint8_t iret[] = { 0x51, 0x41, 0x53, 0x50, 0xb8, 23, 0, 0, 0, 0x0f, 0x05 };
	uint64_t text_bytes = elf->hypercall_page ? PAGE_SIZE : MAKEELF_TEXT_BYTES;

	tap_ok(same(va, image + MAKEELF_TEXT_OFFSET, text_bytes) &&
	               same(data, image + MAKEELF_DATA_OFFSET, MAKEELF_DATA_BYTES) &&
	               zeroed(va + MAKEELF_TEXT_BYTES + (elf->hypercall_page ? PAGE_SIZE : 0),
	                      0x5010 - MAKEELF_TEXT_BYTES - (elf->hypercall_page ? PAGE_SIZE : 0)) &&
	               zeroed(data + MAKEELF_DATA_BYTES, MAKEELF_BSS_BYTES),
	       "%s: the kernel's segments are in their places, the rest of them is zero", name);
	if (elf->hypercall_page)
		tap_ok(same(elf->hypercall_page + __HYPERVISOR_xen_version * 32, version, sizeof(version)) &&
		               same(elf->hypercall_page + __HYPERVISOR_iret * 32, iret, sizeof(iret)) &&
		               same(elf->hypercall_page + PAGE_SIZE,
		                    image + MAKEELF_TEXT_OFFSET + 2 * PAGE_SIZE,
		                    MAKEELF_TEXT_BYTES - 2 * PAGE_SIZE),
		       "%s: it has its hypercall page", name);
}

static void check_ramdisk(const char *name, const struct files *f, const struct makeelf *elf)
{
	const struct start_info *s = start_of_day();
	uint64_t bytes = f->has_initrd ? f->initrd.bytes : 0, wrong = 0;

	if (!bytes) {
		tap_ok(!s->mod_start && !s->mod_len, "%s: no RAM disk", name);
		return;
	}
	for (uint64_t i = 0; i < ROUND_UP(bytes, PAGE_SIZE); i++) {
		const uint8_t *p =
		        elf->mod_start_pfn
		                ? (const uint8_t *)mfn_map_own(MFN(p2m(s->mod_start + i / PAGE_SIZE))) +
		                          i % PAGE_SIZE
		                : look(s->mod_start + i, NULL);

		wrong += !p || *p != (i < bytes ? ((const uint8_t *)f->initrd.data)[i] : 0);
	}
	tap_ok(s->mod_len == bytes && !wrong, "%s: the RAM disk, by %s", name,
	       elf->mod_start_pfn ? "frame number" : "address");
}

/* What the leaves of all tables map. */
struct mappings {
	uint64_t count, p2m_count, wrong; /* pages of the initial region and of the p2m list */
	uint64_t last;                    /* end of the initial region */
	uint64_t base, p2m_base;
};

static void visit_leaf(struct mappings *m, uint64_t va, uint64_t e)
{
	const struct frame *f = frame_at(PTE_MFN(e).m);
	bool in_p2m = m->p2m_base && va >= m->p2m_base && va < m->p2m_base + (1ull << 30);

	m->wrong +=
	        f->owner != &dom0->mm || !(e & PTE_US) || type_is_table(type_of(f->type)) == !!(e & PTE_RW);
	if (in_p2m) {
		m->wrong += va != m->p2m_base + m->p2m_count++ * PAGE_SIZE;
		return;
	}
	m->wrong += va != m->base + m->count * PAGE_SIZE || PTE_MFN(e).m != p2m(m->count);
	m->count++;
	m->last = va + PAGE_SIZE;
}

static void visit(struct mappings *m, mfn_t table, int level, uint64_t va)
{
	for (uint64_t i = 0; i < TABLE_ENTRIES; i++) {
		uint64_t e = ((const uint64_t *)mfn_map_own(table))[i];
		uint64_t at = va | i << (12 + 9 * (level - 1));

		if (!(e & PTE_P) || (level == 4 && i >= HV_L4_FIRST && i <= HV_L4_LAST))
			continue;
		if (level == 4 && i > HV_L4_LAST)
			at |= 0xffff000000000000;
		if (level > 1)
			visit(m, PTE_MFN(e), level - 1, at);
		else
			visit_leaf(m, at, e);
	}
}

static void check_tables(const char *name, const struct makeelf *elf)
{
	const struct start_info *s = start_of_day();
	struct vcpu *v = dom0->vcpus[0];
	struct audit_root root = { .d = &dom0->mm, .l4 = { v->l4_kernel, INVALID_MFN } };
	struct domain_mm *all[] = { &dom0->mm };
	struct mappings m = { .base = elf->virt_base, .p2m_base = elf->init_p2m };
	uint64_t tables = 0, bad = 0, list_pages = (s->nr_pages + 511) / 512, in_place = 0;
	uint64_t p2m_tables = s->nr_p2m_frames ? s->nr_p2m_frames - list_pages : 0;
	struct list *pos;

	visit(&m, v->l4_kernel, 4, 0);
	tap_ok(!m.wrong && m.p2m_count == (elf->init_p2m ? list_pages : 0),
	       "%s: what is mapped is its own, once, in order, and only tables are read-only", name);
	tap_ok(!(m.last % (4 * MIB)) && m.last - v->regs.rsp >= 512 * 1024 &&
	               m.last - v->regs.rsp < 512 * 1024 + 4 * MIB,
	       "%s: the initial region ends as the ABI says", name);
	list_for_each(pos, &dom0->mm.pages) {
		const struct frame *f = list_entry(pos, struct frame, link);
		bool root_table = type_of(f->type) == PTYPE_L4;

		if (!type_is_table(type_of(f->type)))
			continue;
		tables++;
		bad += !(f->type & TYPE_VALID) || !(f->type & TYPE_PINNED) == root_table ||
		       (f->type & TYPE_COUNT) != (root_table ? 2 : 1);
	}
	for (uint64_t i = 0; i < s->nr_pt_frames; i++) {
		uint64_t pte = 0;
		bool pinned, there = look(s->pt_base + i * PAGE_SIZE, &pte);

		in_place += there && type_is_table(frame_type(PTE_MFN(pte), &pinned));
	}
	tap_ok(tables == s->nr_pt_frames + p2m_tables && !bad && in_place == s->nr_pt_frames,
	       "%s: start_info: %lu page tables, all valid, referred to once, the pinned L4 twice", name,
	       (unsigned long)s->nr_pt_frames);
	tap_ok(!mm_audit(all, 1, &root, 1, true), "%s: all references counted anew agree", name);
}

/* Of what nobody wrote nothing of former times is left. */
static void check_rest(const char *name, const struct makeelf *elf)
{
	const struct start_info *s = start_of_day();
	uint64_t kernel = (elf->load_paddr - elf->paddr_offset) >> PAGE_SHIFT, rest = 0, used = 0;
	uint64_t stack = (s->pt_base + s->nr_pt_frames * PAGE_SIZE - elf->virt_base) >> PAGE_SHIFT;

	if (elf->init_p2m)
		used = s->first_p2m_pfn + s->nr_p2m_frames;
	if (s->flags & SIF_MOD_START_PFN)
		used = MAX(used, s->mod_start + ROUND_UP(s->mod_len, PAGE_SIZE) / PAGE_SIZE);
	for (uint64_t pfn = 0; pfn < s->nr_pages; pfn++) {
		const uint64_t *page = mfn_map_own(MFN(p2m(pfn)));

		if ((pfn >= kernel && pfn < stack) || (pfn >= s->first_p2m_pfn && pfn < used))
			continue;
		for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
			rest += page[i] != 0;
	}
	tap_ok(!rest, "%s: the rest of its memory is zero", name);
}

static void check_vcpus(const char *name, const struct makeelf *elf, unsigned vcpus)
{
	const struct start_info *s = start_of_day();
	const struct vcpu *v = dom0->vcpus[0];
	unsigned wrong = 0;

	tap_ok(v->initialised && v->regs.rip == elf->entry && v->regs.cs == SEL_RING3_CS64 &&
	               v->regs.ss == SEL_RING3_DS && v->regs.rflags == 0x202 && v->pv.kernel_mode &&
	               v->regs.rsp == s->pt_base + (s->nr_pt_frames + 1) * PAGE_SIZE &&
	               look(v->regs.rsi, NULL) && !(v->regs.rsi % PAGE_SIZE) && v->info->evtchn_upcall_mask &&
	               mfn_eq(v->l4_user, INVALID_MFN) && look(s->pt_base, NULL) == mfn_map_own(v->l4_kernel),
	       "%s: vcpu 0 stands at the kernel's entry", name);
	for (unsigned i = 0; i < VCPUS_MAX; i++) {
		const struct vcpu *w = dom0->vcpus[i];

		wrong += !w != (i >= vcpus);
		wrong += w && bit_test(&w->pause_flags, PAUSE_DOWN) == !i;
	}
	tap_ok(!wrong && dom0->max_vcpus == vcpus && dom0->pause_count == 1 && !vcpu_runnable(v),
	       "%s: %u vcpus, vcpu 0 up, nobody runs yet", name, vcpus);
}

static void check_devices(const char *name)
{
	static const uint16_t own[] = { 0x20,  0x21,  0xa0,  0xa1,  0x40,  0x41,  0x42,  0x43, 0x61,
		                        0xcf8, 0xcf9, 0xcfa, 0xcfb, 0xcfc, 0xcfd, 0xcfe, 0xcff };
	const struct rangeset *io = &dom0->mm.iomem;
	unsigned given = 0, wrong = 0;

	for (unsigned port = 0; port < 65536; port++)
		given += bit_test(dom0->ioports, port);
	for (unsigned i = 0; i < ARRAY_SIZE(own); i++)
		wrong += bit_test(dom0->ioports, own[i]);
	for (unsigned i = 0; i < 8; i++)
		wrong += bit_test(dom0->ioports, FAKE_SERIAL_PORT + i);
	tap_ok(!wrong && given == 65536 - ARRAY_SIZE(own) - 8, "%s: all ports but the hypervisor's", name);
	tap_ok(rangeset_contains(io, 0, 0xfebff) && !rangeset_contains(io, 0xfec00, 0xfec00) &&
	               rangeset_contains(io, 0xfec01, 0xfedff) && !rangeset_contains(io, 0xfee00, 0xfee00) &&
	               rangeset_contains(io, 0xfee01, (1ull << (46 - PAGE_SHIFT)) - 1) &&
	               !rangeset_contains(io, 1ull << (46 - PAGE_SHIFT), 1ull << (46 - PAGE_SHIFT)),
	       "%s: all device memory but the hypervisor's", name);
}

static void check_all(const struct layout_case *c, const struct files *f, unsigned vcpus)
{
	const struct makeelf *elf = &c->kernel.elf;

	check_memory(c->name, c->pages, c->pages);
	check_start_info(c->name, c);
	check_kernel(c->name, elf);
	check_ramdisk(c->name, f, elf);
	check_tables(c->name, elf);
	check_rest(c->name, elf);
	check_vcpus(c->name, elf, vcpus);
	check_devices(c->name);
	tap_ok(!destroy(), "%s: when it is gone, every page is back", c->name);
}

static struct files files_of(const struct layout_case *c)
{
	struct files f = { .kernel = make_kernel(&c->kernel) };

	f.initrd = make_ramdisk(c->initrd_bytes);
	f.has_initrd = !c->no_initrd;
	snprintf(f.cmdline, sizeof(f.cmdline), "%s", c->cmdline ? c->cmdline : "");
	options.dom0_mem = c->pages << PAGE_SHIFT;
	return f;
}

static void layout_case(const void *arg)
{
	const struct layout_case *c = arg;
	struct files f = files_of(c);

	if (tap_ok(construct(&f), "%s: built (%s)", c->name, refusal))
		check_all(c, &f, CPUS);
}

static void test_layouts(void)
{
	struct makeelf offset = classic_at(KERNEL_BASE, 0x200000), both = makeelf_modern();
	struct makeelf apart_p2m = classic_at(KERNEL_BASE, 0x200000);
	static char longest[BOOT_CMDLINE_MAX];

	memset(longest, 'x', sizeof(longest) - 1);
	both.hypercall_page = both.virt_base + both.load_paddr + PAGE_SIZE;
	apart_p2m.init_p2m = 0x8000000000;
	offset.paddr_offset = KERNEL_BASE;
	offset.load_paddr = offset.entry;
	/* clang-format off */
	const struct layout_case cases[] = {
		{ "as Linux today", { makeelf_modern(), false }, 8192, 5 * PAGE_SIZE + 17, false, "root=/dev/sda2 ro console=hvc0" },
		{ "the old layout", { makeelf_classic(), false }, 2048, 5 * PAGE_SIZE + 17, false, "quiet" },
		{ "gzip", { both, true }, 8195, RAMDISK_MAX, false, "" },
		{ "no RAM disk", { makeelf_modern(), false }, 8192, 0, true, NULL },
		{ "an empty RAM disk", { makeelf_modern(), false }, 8192, 0, false, NULL },
		{ "an empty RAM disk, old", { makeelf_classic(), false }, 2048, 0, false, NULL },
		{ "a RAM disk of a byte", { makeelf_modern(), false }, 8192, 1, false, NULL },
		{ "a RAM disk of a byte, old", { makeelf_classic(), false }, 2048, 1, false, NULL },
		{ "a RAM disk of whole pages", { makeelf_modern(), false }, 8192, 4 * PAGE_SIZE, false, NULL },
		{ "the longest command line", { makeelf_classic(), false }, 2048, 0, true, longest },
		{ "p2m list apart, RAM disk mapped", { apart_p2m, false }, 2048, PAGE_SIZE + 1, false, NULL },
		{ "physical addresses that are virtual", { offset, false }, 2048, 3, false, NULL },
		{ "at address 0", { modern_at(0, 0x200000, 0x700000000000), false }, 2048, 3, false, NULL },
		{ "at address 0, old", { classic_at(0, 0), false }, 2048, 3, false, NULL },
		{ "at an odd page", { modern_at(KERNEL_BASE + 0x7000, 0x203000, 0x8000000000), false }, 2048, 3, false, NULL },
		{ "across an L4 border", { modern_at(0x7fffe00000, 0x1f5000, 0xffffc00000000000), false }, 4096, 3, false, NULL },
		{ "across an L4 border, old", { classic_at(0x7fffe00000, 0x1f5000), false }, 4096, PAGE_SIZE, false, NULL },
		{ "across an L3 border", { classic_at(0xffffffffbfe00000, 0x1f5000), false }, 4096, PAGE_SIZE, false, NULL },
		{ "p2m list across an L4 border", { modern_at(KERNEL_BASE, 0x200000, 0xfffffffe000), false }, 2048, 3, false, NULL },
		{ "behind the hypervisor", { modern_at(HV_VIRT_END, 0x1000, 0xffffc00000000000), false }, 2048, 3, false, NULL },
		{ "up to the hole", { classic_at(0x7fffffc00000, 0x1000), false }, 2048, 3, false, NULL },
		{ "p2m list up to the hole", { modern_at(KERNEL_BASE, 0x200000, 0x7fffffffc000), false }, 2048, 3, false, NULL },
		{ "near the top", { classic_at(0xffffffffff800000, 0x1000), false }, 2048, 3, false, NULL },
		{ "padding up to the next 4 MiB", { classic_at(KERNEL_BASE, 0x380000), false }, 2048, 3, false, NULL },
		{ "memory that suffices", { classic_at(KERNEL_BASE, 0x200000), false }, 1024, 3, false, NULL },
		{ "memory that suffices, parts behind", { makeelf_modern(), false }, 5142, 8 * PAGE_SIZE, false, NULL },
	};
	/* clang-format on */

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		apart(cases[i].name, layout_case, &cases[i]);
}

/* ---- odd memory ---- */

/* The last frames of RAM hold the RAM disk, with its last byte the last of all. */
static void ramdisk_at_end(const void *arg)
{
	const struct layout_case *c = arg;
	uint64_t pages = ROUND_UP(c->initrd_bytes, PAGE_SIZE) / PAGE_SIZE, mine = 0;
	struct files f = files_of(c);
	uint8_t *end = (uint8_t *)mfn_map_own(MFN(max_mfn - 1)) + PAGE_SIZE;

	fake_eat(0, HEAP_MAX_ORDER);
	for (unsigned i = 0; i < fake_eaten_count; i++)
		for (uint64_t k = 0; k < 1ull << fake_eaten[i].order; k++)
			if (fake_eaten[i].first.m + k < max_mfn - pages)
				heap_free(mfn_add(fake_eaten[i].first, k), 0);
	memcpy(end - c->initrd_bytes, f.initrd.data, c->initrd_bytes);
	f.initrd.data = end - c->initrd_bytes;
	f.initrd.start = (max_mfn << PAGE_SHIFT) - c->initrd_bytes;
	if (!tap_ok(construct(&f), "%s: built (%s)", c->name, refusal))
		return;
	for (uint64_t i = 1; i <= pages; i++)
		mine += frame_owner(MFN(max_mfn - i)) != NULL;
	tap_ok(!mine, "%s: its frames stay out of dom0", c->name);
	check_all(c, &f, CPUS);
}

/* Which frames of a block of 16 are free: eight in a row in a few blocks, which the hypervisor needs, else pairs. */
static bool is_piece(unsigned block, unsigned k)
{
	return block % 32 ? k & 2 : k / 8;
}

static void free_pieces(bool piece)
{
	for (unsigned i = 0; i < fake_eaten_count; i++)
		for (unsigned k = 0; k < 1u << fake_eaten[i].order; k++)
			if (is_piece(i, k) == piece)
				heap_free(mfn_add(fake_eaten[i].first, k), 0);
}

static void scattered(const void *arg)
{
	const struct layout_case *c = arg;
	struct files f = files_of(c);
	unsigned breaks = 0;

	fake_eat(0, 4);
	free_pieces(true);
	if (!tap_ok(construct(&f), "%s: built (%s)", c->name, refusal))
		return;
	free_before -= heap_free_pages();
	free_pieces(false);
	free_before += heap_free_pages();
	for (uint64_t pfn = 1; pfn < c->pages; pfn++)
		breaks += p2m(pfn) != p2m(pfn - 1) + 1;
	tap_ok(breaks > c->pages / 4, "%s: its memory lies in %u pieces", c->name, breaks + 1);
	check_all(c, &f, CPUS);
}

static void test_memory_shapes(void)
{
	struct layout_case c = { "a RAM disk at the end of memory",
		                 { makeelf_modern(), false },
		                 8192,
		                 3 * PAGE_SIZE + 100,
		                 false,
		                 NULL };

	apart(c.name, ramdisk_at_end, &c);
	c.name = "one of whole pages";
	c.initrd_bytes = 4 * PAGE_SIZE;
	apart(c.name, ramdisk_at_end, &c);
	c = (struct layout_case){ "memory in pieces", { makeelf_classic(), false }, 2048, 3, false, NULL };
	apart(c.name, scattered, &c);
}

/* ---- how much memory, how many vcpus ---- */

struct size_case {
	const char *name;
	int64_t mem; /* MiB; negative: all but so many */
	uint64_t min, max;
	uint64_t expected; /* MiB; 0: all but "left" */
	uint64_t left;     /* MiB; 0: all but the reserve */
};

static void size_case(const void *arg)
{
	const struct size_case *c = arg;
	const struct kernel kernel = { makeelf_classic(), false };
	struct files f = { .kernel = make_kernel(&kernel) };
	uint64_t pages, max;

	options.dom0_mem = c->mem > 0 ? (uint64_t)c->mem * MIB : 0;
	options.dom0_mem_negative = c->mem < 0 ? c->mem * (int64_t)MIB : 0;
	options.dom0_mem_min = c->min * MIB;
	options.dom0_mem_max = c->max * MIB;
	fake_quiet = true; /* what is cut is warned of */
	if (!tap_ok(construct(&f), "%s: built (%s)", c->name, refusal))
		return;
	pages = c->expected * MIB / PAGE_SIZE;
	if (!c->expected)
		pages = free_when_asked - (c->left ? c->left * MIB / PAGE_SIZE : RESERVE);
	max = c->max ? MAX(pages, c->max * MIB / PAGE_SIZE) : pages;
	check_memory(c->name, pages, max);
	tap_ok(start_of_day()->nr_pages == pages, "%s: start_info says so", c->name);
	tap_ok(!destroy(), "%s: when it is gone, every page is back", c->name);
}

static void test_sizes(void)
{
	static const struct size_case cases[] = {
		{ "no dom0_mem", 0, 0, 0, 0, 0 },
		{ "dom0_mem=32M", 32, 0, 0, 32, 0 },
		{ "dom0_mem=1000M", 1000, 0, 0, 0, 0 },
		{ "dom0_mem=-100M", -100, 0, 0, 0, 100 },
		{ "dom0_mem=-32M", -32, 0, 0, 0, 0 },
		{ "dom0_mem=-1000M", -1000, 0, 0, 0, 0 },
		{ "dom0_mem=max:24M,32M", 32, 0, 24, 24, 0 },
		{ "dom0_mem=max:64M,16M", 16, 0, 64, 16, 0 },
		{ "dom0_mem=max:48M", 0, 0, 48, 48, 0 },
		{ "dom0_mem=max:1000M", 0, 0, 1000, 0, 0 },
		{ "dom0_mem=max:20M,-100M", -100, 0, 20, 20, 0 },
		{ "dom0_mem=min:48M,16M", 16, 48, 0, 48, 0 },
		{ "dom0_mem=min:16M,48M", 48, 16, 0, 48, 0 },
		{ "dom0_mem=min:16M", 0, 16, 0, 0, 0 },
		{ "dom0_mem=min:1000M,16M", 16, 1000, 0, 0, 0 },
		{ "dom0_mem=min:60M,-140M", -140, 60, 0, 60, 0 },
		{ "dom0_mem=min:16M,max:48M,32M", 32, 16, 48, 32, 0 },
		{ "dom0_mem=min:64M,max:32M", 0, 64, 32, 32, 0 },
		{ "dom0_mem=min:64M,max:32M,16M", 16, 64, 32, 32, 0 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		apart(cases[i].name, size_case, &cases[i]);
}

struct vcpu_case {
	const char *name;
	unsigned min, max, expected;
};

static void vcpu_case(const void *arg)
{
	const struct vcpu_case *c = arg;
	struct layout_case layout = { c->name, { makeelf_classic(), false }, 2048, 3, false, NULL };
	struct files f = files_of(&layout);

	options.dom0_max_vcpus_min = c->min;
	options.dom0_max_vcpus = c->max;
	if (tap_ok(construct(&f), "%s: built (%s)", c->name, refusal))
		check_all(&layout, &f, c->expected);
}

static void test_vcpus(void)
{
	static const struct vcpu_case cases[] = {
		{ "dom0_max_vcpus=1", 1, 1, 1 },
		{ "dom0_max_vcpus=5", 5, 5, 5 },
		{ "dom0_max_vcpus=3-", 3, 0, 3 },
		{ "dom0_max_vcpus=-1", 0, 1, 1 },
		{ "dom0_max_vcpus=1-8", 1, 8, CPUS },
		{ "dom0_max_vcpus=40", 40, 40, 40 },
		{ "dom0_max_vcpus=250", 250, 250, VCPUS_MAX },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		apart(cases[i].name, vcpu_case, &cases[i]);
}

/* ---- what is refused ---- */

struct refusal_case {
	const char *name;
	struct makeelf elf;
	uint64_t pages, initrd_bytes;
	unsigned cmdline_bytes;
	bool early; /* before there is a domain */
	const char *why;
	void (*spoil)(struct files *f);
};

static void refusal_case(const void *arg)
{
	const struct refusal_case *c = arg;
	const struct layout_case layout = { c->name,         { c->elf, false }, c->pages ? c->pages : 2048,
		                            c->initrd_bytes, !c->initrd_bytes,  NULL };
	struct files f = files_of(&layout);
	bool right;

	memset(f.cmdline, 'x', c->cmdline_bytes);
	if (c->spoil)
		c->spoil(&f);
	right = !construct(&f) && !strcmp(refusal, c->why);
	tap_ok(right, "%s: %s%s%s", c->name, c->why, right ? "" : ", not: ", right ? "" : refusal);
	if (c->early)
		tap_ok(!dom0 && heap_free_pages() == free_before, "%s: before anything was taken", c->name);
}

static void no_bytes(struct files *f)
{
	f->kernel.bytes = 0;
}

static void not_elf(struct files *f)
{
	memcpy(image, "#!/bin/sh\n", 10);
	(void)f;
}

static void cut(struct files *f)
{
	f->kernel.bytes = 100;
}

static void for_arm(struct files *f)
{
	((Elf64_Ehdr *)image)->e_machine = EM_AARCH64;
	(void)f;
}

static void bzip2(struct files *f)
{
	memcpy(image, "BZh9", 4);
	f->kernel.bytes = 4096;
}

static void damaged(struct files *f)
{
	struct kernel k = { makeelf_classic(), true };

	f->kernel = make_kernel(&k);
	for (unsigned i = 100; i < 200; i++)
		packed[i] ^= 0x5a;
}

#define FORMAT \
	"dom0: unpacking its kernel: this is neither a bzImage nor an ELF executable nor a compressed one"
#define METHOD                                                                                                             \
	"dom0: unpacking its kernel: the kernel is compressed in a way that is not supported (supported: gzip, xz, zstd, " \
	"lzma, lz4, lzo; for guests bzip2, too)"
#define DAMAGED "dom0: unpacking its kernel: the compressed kernel is damaged"
#define CUT     "dom0: its kernel: the image is truncated, or its headers point outside of it"
#define MACHINE "dom0: its kernel: the kernel is not a 64-bit x86 executable"
#define NO_NOTES \
	"dom0: its kernel: the kernel has no Xen notes: it is not built for paravirtual domains (CONFIG_XEN_PV)"
#define FEATURE "dom0: its kernel: the kernel requires a feature that 64-bit paravirtual domains do not have"
#define NOTE    "dom0: its kernel: a Xen note of the kernel has an impossible value"
#define NOT_DOM0 \
	"dom0: its memory: the kernel says that it cannot run as the initial domain (CONFIG_XEN_DOM0)"
#define ADDRESS \
	"dom0: its memory: the kernel wants to lie at addresses that are the hypervisor's or do not exist"
#define LARGE   "dom0: its memory: the kernel cannot address so much memory or so large a ramdisk"
#define SMALL   "dom0: its memory: the domain's memory is too small for the kernel, its ramdisk and its tables"
#define CMDLINE "dom0: writing its memory: the kernel command line is longer than 1023 characters"

static void test_refusals(void)
{
	const struct makeelf classic = makeelf_classic(), modern = makeelf_modern();
	struct makeelf no_notes = classic, hypercall_far = classic, flying = modern, not_dom0 = modern;

	no_notes.no_notes = 1;
	hypercall_far.hypercall_page += 16 * PAGE_SIZE;
	flying.features = "!writable_page_tables|!flying";
	not_dom0.supported = 1;
	/* clang-format off */
	const struct refusal_case cases[] = {
		{ "a kernel without bytes", classic, 0, 0, 0, true, FORMAT, no_bytes },
		{ "a script", classic, 0, 0, 0, true, FORMAT, not_elf },
		{ "bzip2", classic, 0, 0, 0, true, METHOD, bzip2 },
		{ "damaged gzip", classic, 0, 0, 0, true, DAMAGED, damaged },
		{ "half a kernel", classic, 0, 0, 0, true, CUT, cut },
		{ "another processor's", classic, 0, 0, 0, true, MACHINE, for_arm },
		{ "no Xen notes", no_notes, 0, 0, 0, true, NO_NOTES, NULL },
		{ "a feature that nobody has", flying, 0, 0, 0, true, FEATURE, NULL },
		{ "a base within a page", modern_at(KERNEL_BASE + 0x10, 0x200000, 0x8000000000), 0, 0, 0, true, NOTE, NULL },
		{ "a p2m list within a page", modern_at(KERNEL_BASE, 0x200000, 0x8000000008), 0, 0, 0, true, NOTE, NULL },
		{ "a hypercall page elsewhere", hypercall_far, 0, 0, 0, true, NOTE, NULL },
		{ "no dom0 kernel", not_dom0, 0, 0, 0, false, NOT_DOM0, NULL },
		{ "a base in the hypervisor", classic_at(0xffff800000000000, 0x1000), 0, 0, 0, false, ADDRESS, NULL },
		{ "a base in the hole", classic_at(0x800000000000, 0x1000), 0, 0, 0, false, ADDRESS, NULL },
		{ "a base too near to the hole", classic_at(0x7fffffe00000, 0x1f0000), 4096, 0, 0, false, ADDRESS, NULL },
		{ "a base too near to the top", classic_at(0xffffffffffc00000, 0x1000), 0, 0, 0, false, LARGE, NULL },
		{ "a p2m list in the hypervisor", modern_at(KERNEL_BASE, 0x200000, 0xffff87fffffff000), 0, 0, 0, false, ADDRESS, NULL },
		{ "a p2m list beside the kernel", modern_at(KERNEL_BASE, 0x200000, 0xffffffc000000000), 0, 0, 0, false, ADDRESS, NULL },
		{ "a page too few", classic, 1023, 3, 0, false, SMALL, NULL },
		{ "a page too few for parts behind", modern, 5141, 8 * PAGE_SIZE, 0, false, SMALL, NULL },
		{ "memory below the kernel's start", modern, 16, 0, 0, false, SMALL, NULL },
		{ "memory below the RAM disk's size", classic, 16, RAMDISK_MAX, 0, false, SMALL, NULL },
		{ "a command line of 1024 characters", classic, 0, 3, 1024, false, CMDLINE, NULL },
	};
	/* clang-format on */

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		apart(cases[i].name, refusal_case, &cases[i]);
}

/* A machine that has nothing left but the reserve. */
static void small_machine(const void *arg)
{
	const struct layout_case c = { arg, { makeelf_classic(), false }, 2048, 3, false, NULL };
	struct files f = files_of(&c);

	fake_quiet = true;
	fake_eat(RESERVE, HEAP_MAX_ORDER);
	tap_ok(!construct(&f) && strstr(refusal, "dom0: its memory: the domain's memory is too small"),
	       "%s: %s", c.name, refusal);
	fake_give_back();
}

/* ---- memory that runs out ---- */

static unsigned points, fail_at, fail_for; /* locks taken; the first with nothing free; for how many */

static void run_out(void)
{
	static bool inside;

	if (inside)
		return;
	inside = true;
	points++;
	if (points == fail_at) {
		fake_eat(0, HEAP_MAX_ORDER);
		fake_eat_small();
	} else if (points == fail_at + fail_for) {
		fake_give_back();
	}
	inside = false;
}

enum { R_NONE, R_UNPACK, R_DOMAIN, R_VCPU, R_P2M, R_SMALL, R_MEMORY, R_PORTS, R_RANGES, R_COUNT };
static const char *const expected[R_COUNT] = {
	[R_UNPACK] = "dom0: unpacking its kernel: not enough memory to unpack the kernel",
	[R_DOMAIN] = "dom0: the domain cannot be created (-12)",
	[R_VCPU] = "dom0: no memory for vcpu ",
	[R_P2M] = "dom0: no memory for its p2m list of ",
	/* It came back when dom0's share had been reckoned. */
	[R_SMALL] = "dom0: its memory: the domain's memory is too small for ",
	[R_MEMORY] = "dom0: out of memory after ",
	[R_PORTS] = "dom0: no memory for its I/O permissions",
	[R_RANGES] = "dom0: no memory for its device ranges",
};

static void free_map(bool *is_free)
{
	memset(is_free, 0, max_mfn);
	for (uint64_t mfn = 0; mfn < max_mfn; mfn++)
		if (frame_table[mfn].flags & FRAME_FREE)
			memset(is_free + mfn, true, 1ull << frame_table[mfn].order);
}

/* Frees what a panic left behind, for the next turn. */
static void reclaim(const bool *was_free)
{
	static bool is_free[FAKE_RAM_FIRST + RAM_FRAMES];

	free_map(is_free);
	for (uint64_t mfn = 0; mfn < max_mfn; mfn++)
		if (was_free[mfn] && !is_free[mfn])
			heap_free(MFN(mfn), 0);
}

/* Answers R_*, or R_COUNT where something was wrong. */
static unsigned run_out_once(const struct layout_case *c, const struct files *f)
{
	struct audit_root root = { .l4 = { INVALID_MFN, INVALID_MFN } };
	uint64_t lost, may_lose = 0, pages;
	static bool was_free[FAKE_RAM_FIRST + RAM_FRAMES];
	unsigned kind = R_NONE;

	free_map(was_free);
	points = 0;
	fake_hook = run_out;
	if (!construct(f))
		for (kind = R_UNPACK; kind < R_COUNT; kind++)
			if (!strncmp(refusal, expected[kind], strlen(expected[kind])))
				break;
	fake_give_back();
	/* What a panic leaves behind: the p2m list, the unpacked kernel, and no more. */
	pages = dom0 ? dom0->mm.max_pages : 0;
	if (kind > R_P2M)
		may_lose = pages > 1024 ? 4 : pages > 512 ? 2 : 1;
	if (kind > R_UNPACK && c->kernel.gzip)
		may_lose += (MAKEELF_DATA_OFFSET + MAKEELF_DATA_BYTES + PAGE_SIZE - 1) / PAGE_SIZE;
	if (!kind) {
		root.l4[0] = dom0->vcpus[0]->l4_kernel;
		root.d = &dom0->mm;
		if (dom0->mm.tot_pages != c->pages ||
		    mm_audit(&(struct domain_mm *){ root.d }, 1, &root, 1, true))
			kind = R_COUNT;
	}
	lost = destroy();
	reclaim(was_free);
	if (kind < R_COUNT && lost == may_lose)
		return kind;
	printf("# point %u: \"%s\", %lu frames lost, not %lu\n", fail_at, refusal, (unsigned long)lost,
	       (unsigned long)may_lose);
	return R_COUNT;
}

struct run_out_case {
	const char *name;
	struct kernel kernel;
	unsigned fail_for;
	unsigned kinds; /* bits R_*: those that are to be seen */
};

static void run_out_case(const void *arg)
{
	const struct run_out_case *c = arg;
	const struct layout_case layout = { c->name, c->kernel, 2048, 3 * PAGE_SIZE, false, NULL };
	struct files f = files_of(&layout);
	unsigned seen[R_COUNT + 1] = { 0 }, count;

	fake_quiet = true;
	fail_for = c->fail_for;
	fail_at = 0;
	tap_ok(run_out_once(&layout, &f) == R_NONE && points > 100, "%s: built with enough memory, %u points",
	       c->name, points);
	count = points;
	for (fail_at = 1; fail_at <= count; fail_at++)
		seen[run_out_once(&layout, &f)]++;
	tap_ok(!seen[R_COUNT], "%s: each time there is a message, and nothing else is lost", c->name);
	for (unsigned i = R_UNPACK; i < R_COUNT; i++)
		if (c->kinds >> i & 1)
			tap_ok(seen[i], "%s: \"%s\", %u times", c->name, expected[i], seen[i]);
}

static void test_run_out(void)
{
	const unsigned kinds = 1u << R_DOMAIN | 1u << R_VCPU | 1u << R_P2M | 1u << R_PORTS;
	const unsigned all = kinds | 1u << R_MEMORY | 1u << R_RANGES;
	const struct makeelf today = modern_at(KERNEL_BASE, 0x200000, 0x8000000000);
	const struct run_out_case cases[] = {
		{ "memory that runs out", { makeelf_classic(), false }, ~0u, all },
		/* Smaller blocks do as well, and the next slab. */
		{ "memory that runs out for a moment", { makeelf_classic(), false }, 1, kinds },
		{ "memory that runs out, gzip", { today, true }, ~0u, all | 1u << R_UNPACK },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		apart(cases[i].name, run_out_case, &cases[i]);
}

int main(void)
{
	tap_plan(862);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	machine_init(RAM_FRAMES, CPUS);
	/* The first domain leaves what the layers keep permanently. */
	dom0 = machine_domain(0, 1);
	free_before = 0;
	(void)destroy();
	fill_memory();
	test_layouts();
	test_memory_shapes();
	test_sizes();
	test_vcpus();
	test_refusals();
	apart("a small machine", small_machine, "a small machine");
	test_run_out();
	return tap_end();
}
