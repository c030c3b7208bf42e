/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A QEMU TCG plugin that counts what a machine executes between marks: instructions by who executes them, and
 * the costly ones by kind. A mark is a long no-op with 0x4d410001 (a stretch begins) or 0x4d410002 (it ends)
 * as its displacement; each end prints one line. Power-on counts as the first begin. A beat is a mark with 0x4d410003: the
 * line also has the most that was executed from one beat to the next (gap), as far as both were within the stretch; or what was
 * executed between the two beats around a mark with 0x4d410004 (a moment), if there was one.
 *
 * Who executes is told by the address: lower half user, the range that Xen's ABI reserves the hypervisor, the
 * rest kernel. Repeated string instructions count once per iteration. Meant for one virtual CPU and -icount.
 *
 * The plugin interface (version 1, QEMU 7.2) is declared here, since Debian packages no header for it.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void mark_fn(unsigned cpu, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int add, void *counter,
                                                uint64_t by);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, mark_fn *fn, int flags,
                                            void *data);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*fn)(uint64_t id, struct qemu_plugin_tb *tb));

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv);

enum { USER, KERNEL, HYPERVISOR, CR3, CR4, INVLPG, WRMSR, IRET, SYSRET, COUNTERS };
static const char *const names[COUNTERS] = { "user",   "kernel", "hypervisor", "cr3",   "cr4",
	                                     "invlpg", "wrmsr",  "iret",       "sysret" };
static uint64_t now[COUNTERS], begin[COUNTERS];
/* When the last beat of this stretch was (0: there was none), and the longest way between two, or the one that counts. */
static uint64_t beat, gap;
static enum { LONGEST, THIS_ONE, KNOWN } which;
static FILE *out;

static void stretch_begins(unsigned cpu, void *data)
{
	(void)cpu, (void)data;
	memcpy(begin, now, sizeof(now));
	beat = gap = 0;
	which = LONGEST;
}

static void beats(unsigned cpu, void *data)
{
	uint64_t total = now[USER] + now[KERNEL] + now[HYPERVISOR];

	(void)cpu, (void)data;
	if (beat && (which == THIS_ONE || (which == LONGEST && total - beat > gap)))
		gap = total - beat;
	if (which == THIS_ONE)
		which = KNOWN;
	beat = total;
}

static void stretch_ends(unsigned cpu, void *data)
{
	uint64_t end[COUNTERS];

	(void)cpu, (void)data;
	memcpy(end, now, sizeof(now));
	for (int i = 0; i < COUNTERS; i++)
		fprintf(out, "%s%s=%" PRIu64, i ? " " : "", names[i], end[i] - begin[i]);
	fprintf(out, " gap=%" PRIu64 "\n", gap);
	fflush(out);
}

static void moment(unsigned cpu, void *data)
{
	(void)cpu, (void)data;
	which = THIS_ONE;
}

static mark_fn *const marks[] = { stretch_begins, stretch_ends, beats, moment };

static int executor(uint64_t address)
{
	if (!(address >> 63))
		return USER;
	return address - 0xffff800000000000 < 0x80000000000 ? HYPERVISOR : KERNEL;
}

/* The counter of a costly instruction, or -1. Operand size, repeat and REX prefixes do not matter here. */
static int costly(const uint8_t *code, size_t size)
{
	const uint8_t *end = code + size;

	while (code + 1 < end && (*code == 0x66 || *code == 0xf2 || *code == 0xf3 || (*code >> 4) == 4))
		code++;
	if (*code == 0xcf)
		return IRET;
	if (*code != 0x0f || code + 1 >= end)
		return -1;
	if (code[1] == 0x07)
		return SYSRET;
	if (code[1] == 0x30)
		return WRMSR;
	if (code + 2 >= end)
		return -1;
	if (code[1] == 0x22 && (code[2] >> 3 & 7) == 3)
		return CR3;
	if (code[1] == 0x22 && (code[2] >> 3 & 7) == 4)
		return CR4;
	if (code[1] == 0x01 && (code[2] >> 3 & 7) == 7 && code[2] < 0xc0)
		return INVLPG;
	return -1;
}

static void instrument(struct qemu_plugin_insn *insn)
{
	const uint8_t *code = qemu_plugin_insn_data(insn);
	size_t size = qemu_plugin_insn_size(insn);
	uint32_t mark = 0;
	int kind;

	if (!size)
		return;
	if (size == 7 && code[0] == 0x0f && code[1] == 0x1f && code[2] == 0x80)
		memcpy(&mark, code + 3, sizeof(mark));
	if (mark >= 0x4d410001 && mark <= 0x4d410004)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, marks[mark - 0x4d410001], 0, NULL);
	qemu_plugin_register_vcpu_insn_exec_inline(insn, 0, &now[executor(qemu_plugin_insn_vaddr(insn))], 1);
	kind = costly(code, size);
	if (kind >= 0)
		qemu_plugin_register_vcpu_insn_exec_inline(insn, 0, &now[kind], 1);
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	(void)id;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++)
		instrument(qemu_plugin_tb_get_insn(tb, i));
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	(void)info;
	out = stderr;
	for (int i = 0; i < argc; i++)
		if (!strncmp(argv[i], "out=", 4))
			out = fopen(argv[i] + 4, "w");
	if (!out)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
