/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What kernel and user mode may do to ports and to the interrupt flag: by I/O privilege level, with and without
 * architectural_iopl, and by the I/O bitmap */
#include "guest.h"

const char test_name[] = "io-rights";

#define RFLAGS_IF   0x200ul
#define RFLAGS_IOPL 0x3000ul

/* Ports of no device's concern: the diagnostic one, and its neighbours; the map gives the first four. */
#define GIVEN 0x80

struct instruction {
	const char *text;
	void (*kernel)(void *);
	void (*user)(void);
	bool by_map; /* the map gives it */
};

/* The same for both modes; user mode ends with a system call. */
#define INSTRUCTION(name, text, by_map)                                                \
	static void name##_in_kernel(void *p)                                          \
	{                                                                              \
		(void)p;                                                               \
		__asm__ volatile(text : : : "rax", "rdx", "memory", "cc");             \
	}                                                                              \
	static void name##_in_user(void)                                               \
	{                                                                              \
		__asm__ volatile(text "; syscall" : : : "rax", "rdx", "memory", "cc"); \
	}                                                                              \
	static const struct instruction name = { text, name##_in_kernel, name##_in_user, by_map }
INSTRUCTION(in_given, "inb $0x80, %%al", true);
INSTRUCTION(in_denied, "inb $0x84, %%al", false);
INSTRUCTION(out_given, "outb %%al, $0x80", true);
INSTRUCTION(out_denied, "outb %%al, $0x84", false);
INSTRUCTION(in_word_given, "mov $0x80, %%edx; inw %%dx, %%ax", true);
INSTRUCTION(in_word_half, "mov $0x83, %%edx; inw %%dx, %%ax", false);
INSTRUCTION(in_word_over, "mov $0x87, %%edx; inw %%dx, %%ax", false); /* two bytes of the map */
INSTRUCTION(out_long_given, "mov $0x80, %%edx; outl %%eax, %%dx", true);
INSTRUCTION(cli, "cli", false);
INSTRUCTION(sti, "sti", false);

static const struct instruction *const all[] = { &in_given,     &in_denied,      &out_given,
	                                         &out_denied,   &in_word_given,  &in_word_half,
	                                         &in_word_over, &out_long_given, &cli,
	                                         &sti };

static uint8_t *bitmap;

static long set_bitmap(void *map, unsigned ports)
{
	struct physdev_set_iobitmap op = { .nr_ports = ports };

	set_xen_guest_handle(op.bitmap, map);
	return HC(physdev_op, PHYSDEVOP_set_iobitmap, &op);
}

static void set_level(unsigned level)
{
	struct physdev_set_iopl op = { .iopl = level };

	EXPECT_EQ(HC(physdev_op, PHYSDEVOP_set_iopl, &op), 0);
}

static void expect(const struct instruction *i, const char *mode, int vector, int allowed)
{
	if (vector != allowed)
		FAIL("%s in %s mode: vector %d, not %d", i->text, mode, vector, allowed);
}

/* POPF changes neither flag, whatever is allowed, and does not trap. */
static void flags_stay(uint64_t rflags)
{
	EXPECT_EQ(rflags & (RFLAGS_IF | RFLAGS_IOPL), RFLAGS_IF);
}

#define POPF "pushfq; andl $~0x200, (%%rsp); orl $0x3000, (%%rsp); popfq; pushfq; popq %%rax"

static void popf_in_kernel(void *flags)
{
	__asm__ volatile(POPF : "=a"(*(uint64_t *)flags) : : "memory", "cc");
}

static void popf_in_user(void)
{
	__asm__ volatile(POPF "\nsyscall" : : : "rax", "memory", "cc");
}

static void kernel_mode(bool level_allows, bool map)
{
	uint8_t mask = shared->vcpu_info[0].evtchn_upcall_mask;
	uint64_t flags = 0;

	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++)
		expect(all[i], "kernel", guarded(all[i]->kernel, NULL).vector,
		       level_allows || (map && all[i]->by_map) ? -1 : 13);
	EXPECT_EQ(guarded(popf_in_kernel, &flags).vector, -1);
	flags_stay(flags);
	if (level_allows)
		EXPECT_EQ(shared->vcpu_info[0].evtchn_upcall_mask, mask);
}

static void user_mode(bool level_allows, bool map)
{
	struct user_result r;

	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++)
		expect(all[i], "user", user_run(all[i]->user).vector,
		       level_allows || (map && all[i]->by_map) ? 256 : 13);
	r = user_run(popf_in_user);
	EXPECT_EQ(r.vector, 256);
	flags_stay(r.rax);
}

/* With each of no map, one that gives ports, one that ends before them, and one that is not mapped. */
static void each_map(bool kernel, bool level_allows)
{
	void (*mode)(bool, bool) = kernel ? kernel_mode : user_mode;

	EXPECT_EQ(set_bitmap(bitmap, 0), 0);
	mode(level_allows, false);
	EXPECT_EQ(set_bitmap(bitmap, 65536), 0);
	mode(level_allows, true);
	EXPECT_EQ(set_bitmap(bitmap, GIVEN), 0);
	mode(level_allows, false);
	EXPECT_EQ(set_bitmap(bitmap + 2 * PAGE, 65536), 0);
	mode(level_allows, false);
}

/* The map's end counts for all bytes of an access. Two bytes of it are read whatever the access, as the processor does. */
static void ends(void)
{
	uint8_t *before = bitmap + 2 * PAGE - GIVEN / 8;

	set_level(0);
	EXPECT_EQ(set_bitmap(bitmap, GIVEN + 1), 0);
	EXPECT_EQ(guarded(in_given.kernel, NULL).vector, -1);
	EXPECT_EQ(guarded(in_word_given.kernel, NULL).vector, 13);
	EXPECT_EQ(user_run(in_given.user).vector, 256);
	EXPECT_EQ(user_run(in_word_given.user).vector, 13);
	bitmap[2 * PAGE - 2] = bitmap[2 * PAGE - 1] = 0;
	EXPECT_EQ(set_bitmap(before - 2, 65536), 0);
	EXPECT_EQ(guarded(in_given.kernel, NULL).vector, -1);
	EXPECT_EQ(user_run(in_given.user).vector, 256);
	EXPECT_EQ(set_bitmap(before - 1, 65536), 0);
	EXPECT_EQ(guarded(in_given.kernel, NULL).vector, 13);
	EXPECT_EQ(user_run(in_given.user).vector, 13);
	/* What is refused changes nothing. */
	EXPECT_EQ(set_bitmap(before - 2, 65536), 0);
	EXPECT_EQ(set_bitmap(bitmap + 2 * PAGE, 65537), -EINVAL);
	EXPECT_EQ(set_bitmap((void *)0xffff800000000000, 8), -EINVAL);
	EXPECT_EQ(guarded(in_given.kernel, NULL).vector, -1);
}

void run(void)
{
	static const unsigned levels[] = { 0, 1, 3 };

	EXPECT_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, mfn_of((void *)start_info->pt_base), 0), 0);
	bitmap = page_alloc();
	(void)page_alloc();
	EXPECT_EQ(map(page_alloc(), 0), 0);
	memset(bitmap, 0xff, 2 * PAGE);
	bitmap[GIVEN / 8] = 0xf0; /* 0x80 to 0x83, and not 0x87; 0x88 */
	bitmap[GIVEN / 8 + 1] = 0xfe;
	for (unsigned i = 0; i < 3; i++) {
		set_level(levels[i]);
		each_map(true, levels[i] >= 1);
		each_map(false, levels[i] == 3);
	}
	EXPECT_EQ(HC(vm_assist, VMASST_CMD_enable, VMASST_TYPE_architectural_iopl), 0);
	for (unsigned i = 0; i < 3; i++) {
		set_level(levels[i]);
		each_map(true, true);
		user_rflags = 0x202 | levels[i] << 12;
		each_map(false, levels[i] == 3);
	}
	user_rflags = 0x202;
	EXPECT_EQ(HC(vm_assist, VMASST_CMD_disable, VMASST_TYPE_architectural_iopl), 0);
	ends();
}
