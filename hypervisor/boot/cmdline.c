/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options of menu.lst, with Xen's names and meanings (docs/boot.md lists them). One table: a name, and a
 * function that takes the value. Parsing is silent, since it decides where the console is; cmdline_report()
 * goes through the line again and names what is unknown, wrong, or without effect and why.
 */
#include "boot/boot.h"
#include "hw/options.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "lib/option.h"
#include "lib/string.h"
#include <xen/sysctl.h>

struct options options;

/* The outcome of one word: NULL where it is fine, else what to report. */
typedef const char *option_fn(const char *value);

static const char bad_value[] = "its value is not understood";

static const char *boolean(bool *to, const char *value)
{
	int v = *value ? option_bool(value) : 1;

	if (v < 0)
		return bad_value;
	*to = v;
	return NULL;
}

static const char *number(unsigned *to, const char *value, uint64_t max)
{
	uint64_t v;

	if (!option_number(value, &v) || v > max)
		return bad_value;
	*to = (unsigned)v;
	return NULL;
}

static const char *text(char *to, size_t size, const char *value)
{
	if (strlen(value) >= size)
		return bad_value;
	option_copy(to, size, value);
	return NULL;
}

/* dom0_mem=[min:SIZE|max:SIZE|[-]SIZE], separated by commas. "SIZE%" and sums are not supported. */
static const char *set_dom0_mem(const char *value)
{
	char item[32];

	while (option_next_item(&value, ',', item, sizeof(item))) {
		uint64_t *to = &options.dom0_mem, bytes;
		const char *p = item;
		bool negative;

		if (!strncmp(p, "min:", 4)) {
			to = &options.dom0_mem_min;
			p += 4;
		} else if (!strncmp(p, "max:", 4)) {
			to = &options.dom0_mem_max;
			p += 4;
		}
		negative = *p == '-' && to == &options.dom0_mem;
		p += negative;
		if (!option_size(&p, &bytes) || *p || bytes > INT64_MAX)
			return bad_value;
		if (negative)
			options.dom0_mem_negative = -(int64_t)bytes;
		else
			*to = bytes;
	}
	return NULL;
}

/* dom0_max_vcpus=N, or MIN-MAX where either may be left out. */
static const char *set_dom0_max_vcpus(const char *value)
{
	char item[16];
	unsigned low = 0, high = 0;
	bool range = strchr(value, '-');

	if (!option_next_item(&value, '-', item, sizeof(item)) || (*item && number(&low, item, NR_CPUS)))
		return bad_value;
	if (!range)
		high = low;
	else if (option_next_item(&value, '-', item, sizeof(item)) && *item &&
	         (number(&high, item, NR_CPUS) || high < low))
		return bad_value;
	options.dom0_max_vcpus_min = low;
	options.dom0_max_vcpus = high;
	return NULL;
}

static const char *set_dom0_vcpus_pin(const char *value)
{
	return boolean(&options.dom0_vcpus_pin, value);
}

static const char *set_max_cstate(const char *value)
{
	char item[16];

	/* Xen takes a second number, for sub-states. */
	if (!option_next_item(&value, ',', item, sizeof(item)))
		return bad_value;
	return number(&options.max_cstate, item, 100);
}

static const char *set_msi(const char *value)
{
	return boolean(&options.msi, value);
}

static const char *set_maxcpus(const char *value)
{
	return number(&options.maxcpus, value, 100000);
}

static const char *set_mem(const char *value)
{
	uint64_t bytes;

	if (!option_size(&value, &bytes) || *value || bytes < 64ull << 20)
		return "it is no size of 64M or more";
	options.mem = bytes;
	return NULL;
}

static const char *set_console(const char *value)
{
	const char *items = value, *error = text(options.console, sizeof(options.console), value);
	char item[16];

	options.console_vga = false;
	while (option_next_item(&items, ',', item, sizeof(item))) {
		if (!strcmp(item, "vga"))
			options.console_vga = true;
		else if (strcmp(item, "com1") && strcmp(item, "none"))
			error = "only com1, vga and none exist";
	}
	return error;
}

/* BAUD or auto, then line format, port, interrupt; the console reads it again when it starts. */
static const char *set_com1(const char *value)
{
	const char *items = value;
	char item[16];
	uint64_t n;

	if (!option_next_item(&items, ',', item, sizeof(item)) ||
	    (strcmp(item, "auto") && (!option_number(item, &n) || !n || n > 115200)))
		return bad_value;
	if (option_next_item(&items, ',', item, sizeof(item)) && *item &&
	    (strlen(item) != 3 || !strchr("5678", item[0]) || !strchr("noems", item[1]) ||
	     !strchr("12", item[2])))
		return bad_value;
	while (option_next_item(&items, ',', item, sizeof(item)))
		if (*item && (!option_number(item, &n) || n > 0xffff))
			return bad_value;
	return text(options.com1, sizeof(options.com1), value);
}

static const char *set_levels(const char *value, int *print, int *rate)
{
	return option_levels(value, print, rate) ? NULL : bad_value;
}

static const char *set_loglvl(const char *value)
{
	return set_levels(value, &options.loglvl_print, &options.loglvl_rate);
}

static const char *set_guest_loglvl(const char *value)
{
	return set_levels(value, &options.guest_loglvl_print, &options.guest_loglvl_rate);
}

static const char *set_conring_size(const char *value)
{
	uint64_t bytes;

	if (!option_size(&value, &bytes) || *value || bytes > 16u << 20)
		return "it is no size of at most 16M";
	options.conring_bytes = (uint32_t)bytes;
	return NULL;
}

static const char *set_noreboot(const char *value)
{
	return boolean(&options.noreboot, value);
}

static const char *set_reboot(const char *value)
{
	char item[16];
	const char *error = NULL;

	/* "warm" and "cold" tell the firmware how to start; the letters, how to get there. */
	while (option_next_item(&value, ',', item, sizeof(item))) {
		if (!strcmp(item, "no") || !strcmp(item, "n"))
			options.noreboot = true;
		else if (*item && strchr("akpt", *item))
			option_copy(options.reboot, sizeof(options.reboot), item);
		else
			error = "only a(cpi), k(eyboard), p(ci), t(riple fault) and n(o) exist";
	}
	return error;
}

static const char *set_clocksource(const char *value)
{
	if (strcmp(value, "hpet") && strcmp(value, "acpi") && strcmp(value, "pit") && strcmp(value, "tsc"))
		return "only hpet, acpi, pit and tsc exist";
	return text(options.clocksource, sizeof(options.clocksource), value);
}

/* As on Xen: 0, or 100 to 500,000 microseconds. */
static const char *set_sched_ratelimit(const char *value)
{
	unsigned us;

	if (number(&us, value, XEN_SYSCTL_SCHED_RATELIMIT_MAX) || (us && us < XEN_SYSCTL_SCHED_RATELIMIT_MIN))
		return bad_value;
	options.sched_ratelimit_us = us;
	return NULL;
}

static const char *set_tslice(const char *value)
{
	unsigned ms;

	if (number(&ms, value, XEN_SYSCTL_CSCHED_TSLICE_MAX) || ms < XEN_SYSCTL_CSCHED_TSLICE_MIN)
		return bad_value;
	options.sched_slice_ms = ms;
	return NULL;
}

static const char *set_sched(const char *value)
{
	if (strcmp(value, "credit2") && strcmp(value, "credit"))
		return "there is one scheduler, which shows itself as credit2 or credit";
	return text(options.sched, sizeof(options.sched), value);
}

static const char *set_tbuf_size(const char *value)
{
	return number(&options.tbuf_pages, value, UINT16_MAX);
}

static const char *set_tevt_mask(const char *value)
{
	unsigned mask;

	if (number(&mask, value, UINT32_MAX))
		return bad_value;
	options.tevt_mask = mask;
	return NULL;
}

/* One switch of spec-ctrl=: "name", "no-name" or "name=value". */
static const char *spec_item(const char *item)
{
	static const struct {
		const char *name;
		int *to;
	} switches[] = {
		{ "ibrs", &options.spec_ibrs },
		{ "ibpb", &options.spec_ibpb },
		{ "md-clear", &options.spec_md_clear },
	};
	bool no = !strncmp(item, "no-", 3);
	char name[24];
	const char *rest = no ? item + 3 : item;
	int value = 1;

	(void)option_next_item(&rest, '=', name, sizeof(name));
	if (rest)
		value = option_bool(rest);
	if (value < 0)
		return bad_value;
	for (size_t i = 0; i < ARRAY_SIZE(switches); i++)
		if (!strcmp(name, switches[i].name)) {
			*switches[i].to = no ? !value : value;
			return NULL;
		}
	return "no effect: of its switches only ibrs, ibpb and md-clear exist";
}

static const char *set_spec_ctrl(const char *value)
{
	const char *error = NULL;
	char item[32];

	while (option_next_item(&value, ',', item, sizeof(item))) {
		int whole = option_bool(item);
		const char *e;

		if (whole >= 0) {
			options.spec_ctrl = whole;
			continue;
		}
		e = spec_item(item);
		error = e ? e : error;
	}
	return error;
}

/* [BOOL|default|dom0[=BOOL]|domu[=BOOL]], separated by commas. */
static const char *dom0_domu(int *dom0, int *domu, const char *value)
{
	char item[24], name[24];

	while (option_next_item(&value, ',', item, sizeof(item))) {
		const char *rest = item;
		int all = *item ? option_bool(item) : 1, v;

		if (!strcmp(item, "default")) {
			*dom0 = *domu = -1;
			continue;
		}
		if (all >= 0) {
			*dom0 = *domu = all;
			continue;
		}
		(void)option_next_item(&rest, '=', name, sizeof(name));
		v = rest ? option_bool(rest) : strncmp(name, "no-", 3) ? 1 : 0;
		if (v < 0)
			return bad_value;
		if (!strcmp(name, "dom0") || !strcmp(name, "no-dom0"))
			*dom0 = v;
		else if (!strcmp(name, "domu") || !strcmp(name, "no-domu"))
			*domu = v;
		else
			return bad_value;
	}
	return NULL;
}

static const char *set_xpti(const char *value)
{
	return dom0_domu(&options.xpti_dom0, &options.xpti_domu, value);
}

static const char *set_pv_l1tf(const char *value)
{
	return dom0_domu(&options.l1tf_dom0, &options.l1tf_domu, value);
}

static const struct {
	const char *name;
	option_fn *set;
} table[] = {
	{ "dom0_mem", set_dom0_mem },
	{ "dom0_max_vcpus", set_dom0_max_vcpus },
	{ "dom0_vcpus_pin", set_dom0_vcpus_pin },
	{ "max_cstate", set_max_cstate },
	{ "msi", set_msi },
	{ "maxcpus", set_maxcpus },
	{ "mem", set_mem },
	{ "console", set_console },
	{ "com1", set_com1 },
	{ "loglvl", set_loglvl },
	{ "guest_loglvl", set_guest_loglvl },
	{ "conring_size", set_conring_size },
	{ "noreboot", set_noreboot },
	{ "reboot", set_reboot },
	{ "clocksource", set_clocksource },
	{ "sched", set_sched },
	{ "sched_ratelimit_us", set_sched_ratelimit },
	{ "sched_credit_tslice_ms", set_tslice },
	{ "tbuf_size", set_tbuf_size },
	{ "tevt_mask", set_tevt_mask },
	{ "spec-ctrl", set_spec_ctrl },
	{ "xpti", set_xpti },
	{ "pv-l1tf", set_pv_l1tf },
};

/* What is fine but does nothing, with the reason. */
static const char *no_effect(const char *name)
{
	if (!strcmp(name, "max_cstate"))
		return "idle CPUs halt (C1) and never go deeper, whatever the limit";
	return NULL;
}

/* Takes a word apart at '='; "no-NAME" is NAME=no. Applies it; *name is what it names. */
static const char *apply(const char *word, char *name, size_t size, bool *known)
{
	const char *value = word;
	bool no;

	(void)option_next_item(&value, '=', name, size);
	no = !strncmp(name, "no-", 3) && !value;
	*known = true;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (!strcmp(no ? name + 3 : name, table[i].name))
			return table[i].set(no ? "no" : value ? value : "");
	*known = false;
	return NULL;
}

static void set_defaults(void)
{
	options = (struct options){ .max_cstate = ~0u,
		                    .msi = true,
		                    .mem = ~0ull,
		                    .console = "com1,vga",
		                    .console_vga = true,
		                    .loglvl_print = 3,
		                    .loglvl_rate = 3,
		                    .guest_loglvl_print = 2,
		                    .guest_loglvl_rate = 2,
		                    .conring_bytes = 32768,
		                    .sched = "credit2",
		                    .sched_ratelimit_us = 1000,
		                    .sched_slice_ms = 30,
		                    .spec_ctrl = true,
		                    .spec_ibrs = -1,
		                    .spec_ibpb = -1,
		                    .spec_md_clear = -1,
		                    .xpti_dom0 = -1,
		                    .xpti_domu = -1,
		                    .l1tf_dom0 = -1,
		                    .l1tf_domu = -1 };
}

void cmdline_parse(const char *line)
{
	char word[128], name[64];
	bool known;

	set_defaults();
	option_copy(options.command_line, sizeof(options.command_line), line);
	while (option_next_word(&line, word, sizeof(word)))
		(void)apply(word, name, sizeof(name), &known);
}

void cmdline_report(const char *line)
{
	char word[128], name[64];
	bool known;

	while (option_next_word(&line, word, sizeof(word))) {
		const char *error = apply(word, name, sizeof(name), &known);

		if (!known)
			log_warn("option %s is unknown and has no effect", name);
		else if (error)
			log_warn("option %s: %s", word, error);
		else if (no_effect(name))
			log_info("option %s: %s", word, no_effect(name));
	}
}
