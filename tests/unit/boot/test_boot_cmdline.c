/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of menu.lst: values, defaults, and what is told about words that do nothing. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "boot/boot.h"
#include "hw/options.h"
#include "lib/log.h"
#include "../../lib/tap.h"

static char told[4096];

void log_line(enum log_level level, const char *fmt, ...)
{
	size_t n = strlen(told);
	va_list ap;

	(void)level;
	va_start(ap, fmt);
	vsnprintf(told + n, sizeof(told) - n, fmt, ap);
	va_end(ap);
}

static const char *report(const char *line)
{
	told[0] = 0;
	cmdline_parse(line);
	cmdline_report(line);
	return told;
}

static void defaults(void)
{
	cmdline_parse("");
	tap_ok(options.msi && options.spec_ctrl && !options.noreboot && !options.dom0_mem &&
	               options.mem == ~0ull,
	       "defaults");
	tap_ok(!strcmp(options.console, "com1,vga") && options.console_vga && !*options.com1,
	       "default console; com1 not touched");
	tap_ok(options.loglvl_print == 3 && options.guest_loglvl_print == 2, "default log levels");
}

static void memory(void)
{
	cmdline_parse("dom0_mem=2048M max_cstate=0 msi=false");
	tap_ok(options.dom0_mem == 2048ull << 20 && !options.max_cstate && !options.msi,
	       "the seed's menu.lst");
	cmdline_parse("dom0_mem=min:256M,max:1G,512M");
	tap_ok(options.dom0_mem == 512ull << 20 && options.dom0_mem_min == 256ull << 20 &&
	               options.dom0_mem_max == 1ull << 30,
	       "dom0_mem with bounds");
	cmdline_parse("dom0_mem=-128M");
	tap_ok(options.dom0_mem_negative == -(128ll << 20) && !options.dom0_mem,
	       "dom0_mem: all but that much");
	cmdline_parse("mem=1G");
	tap_ok(options.mem == 1ull << 30, "mem");
	tap_ok(strstr(report("mem=1M"), "mem=1M") && options.mem == ~0ull,
	       "too little memory is refused and told");
	cmdline_parse("conring_size=1M");
	tap_ok(options.conring_bytes == 1u << 20, "conring_size");
}

static void processors(void)
{
	cmdline_parse("maxcpus=2 dom0_max_vcpus=2-4 dom0_vcpus_pin");
	tap_ok(options.maxcpus == 2 && options.dom0_max_vcpus_min == 2 && options.dom0_max_vcpus == 4 &&
	               options.dom0_vcpus_pin,
	       "CPUs and vcpus");
	cmdline_parse("dom0_max_vcpus=3 no-dom0_vcpus_pin");
	tap_ok(options.dom0_max_vcpus == 3 && !options.dom0_vcpus_pin, "no-NAME switches off");
	tap_ok(strstr(report("dom0_max_vcpus=4-2"), "dom0_max_vcpus"), "a range the wrong way round is told");
	cmdline_parse("spec-ctrl=no xpti=dom0=no,domu=yes");
	tap_ok(!options.spec_ctrl && options.xpti_dom0 == 0 && options.xpti_domu == 1, "spec-ctrl and xpti");
	cmdline_parse("xpti=no-dom0");
	tap_ok(options.xpti_dom0 == 0 && options.xpti_domu == -1, "xpti=no-dom0");
	cmdline_parse("pv-l1tf=domu");
	tap_ok(options.l1tf_dom0 == -1 && options.l1tf_domu == 1 && options.xpti_domu == -1, "pv-l1tf=domu");
	cmdline_parse("pv-l1tf=yes,no-domu");
	tap_ok(options.l1tf_dom0 == 1 && options.l1tf_domu == 0, "pv-l1tf of both, then of one");
	tap_ok(strstr(report("pv-l1tf=guests"), "pv-l1tf"), "pv-l1tf of what is not there is reported");
	cmdline_parse("xpti");
	tap_ok(options.xpti_dom0 == 1 && options.xpti_domu == 1, "xpti alone");
	cmdline_parse("tbuf_size=16 tevt_mask=0xffffffff");
	tap_ok(options.tbuf_pages == 16 && options.tevt_mask == 0xffffffff, "trace buffers");
	tap_ok(strstr(report("tbuf_size=65536"), "tbuf_size") &&
	               strstr(report("tevt_mask=0x100000000"), "tevt_mask"),
	       "larger ones than there can be are told");
	cmdline_parse("spec-ctrl=no-md-clear,ibpb=yes");
	tap_ok(options.spec_md_clear == 0 && options.spec_ibpb == 1 && options.spec_ibrs == -1,
	       "switches of spec-ctrl");
}

static void logs(void)
{
	cmdline_parse("loglvl=all guest_loglvl=error/debug noreboot console=com1 com1=115200,8n1,0x2f8,3");
	tap_ok(options.loglvl_print == 4 && options.guest_loglvl_print == 1 && options.guest_loglvl_rate == 4,
	       "log levels");
	tap_ok(options.noreboot && !options.console_vga && !strcmp(options.com1, "115200,8n1,0x2f8,3"),
	       "console and serial port");
	cmdline_parse("reboot=kbd clocksource=acpi sched=credit");
	tap_ok(options.reboot[0] == 'k' && !strcmp(options.clocksource, "acpi") &&
	               !strcmp(options.sched, "credit"),
	       "reboot, clocksource, sched");
	tap_ok(strstr(report("sched=rtds"), "one scheduler") && !strcmp(options.sched, "credit2") &&
	               !*report("sched=credit2"),
	       "a scheduler that is not there is told, and not taken");
	cmdline_parse("reboot=kbd clocksource=acpi sched=credit");
	tap_ok(options.sched_ratelimit_us == 1000, "the scheduler's rate limit is a millisecond");
	cmdline_parse("sched_ratelimit_us=0");
	tap_ok(!options.sched_ratelimit_us, "sched_ratelimit_us=0: there is none");
	cmdline_parse("sched_ratelimit_us=99 sched_ratelimit_us=500001 sched_ratelimit_us=1ms");
	tap_ok(options.sched_ratelimit_us == 1000, "rate limits that Xen does not take are not taken");
	cmdline_parse("reboot=no");
	tap_ok(options.noreboot, "reboot=no");
}

static void told_about(void)
{
	tap_ok(strstr(report("iommu=on"), "iommu is unknown"), "an unknown option is named");
	tap_ok(strstr(report("max_cstate=1"), "C1"), "max_cstate tells why it changes nothing");
	tap_ok(strstr(report("clocksource=sundial"), "clocksource=sundial"),
	       "a wrong value is told with its option");
	tap_ok(!*report("msi=false dom0_mem=1G noreboot loglvl=all"), "nothing is told about what is fine");
	tap_ok(strstr(report("console=hvc0"), "console"), "a console that does not exist is told");
	tap_ok(strstr(report("spec-ctrl=ssbd"), "ssbd") &&
	               strstr(report("spec-ctrl=no-l1d-flush"), "l1d-flush"),
	       "switches without effect are told");
	tap_ok(strstr(report("com1=fast,8n1"), "com1") && strstr(report("com1=115200,9x1"), "com1") &&
	               strstr(report("com1=115200,8n1,here"), "com1") &&
	               !strstr(report("com1=115200,8n1,0x2f8,3"), "com1") &&
	               !strstr(report("com1=auto"), "com1"),
	       "a com1 that cannot be configured is told");
	tap_ok(strstr(report("spec-ctrl=bti-thunk=jmp"), "spec-ctrl"),
	       "an unknown switch of spec-ctrl is told");
	tap_ok(strstr(report("dom0_mem=lots"), "dom0_mem=lots") && !options.dom0_mem,
	       "a wrong size is told and not taken");
}

int main(void)
{
	defaults();
	memory();
	processors();
	logs();
	told_about();
	return tap_end();
}
