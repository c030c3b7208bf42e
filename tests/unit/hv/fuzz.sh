#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the fuzz targets with clang's libFuzzer and runs each for FUZZ_SECONDS (5): memory hypercalls, and instructions
# that a guest has emulated. $FUZZ_CC, $FUZZ_SRC and $FUZZ_BUILD come from the Makefile.
h=$FUZZ_SRC/hypervisor
u=$FUZZ_SRC/tests/unit/hv
mm="$u/fake/fake.c $u/fake/tlb.c $h/hw/lock_rank.c $h/hw/trace.c $h/mm/audit.c $h/mm/dirtylog.c $h/mm/frame.c $h/mm/heap.c $h/mm/l4copy.c $h/mm/pagetable.c $h/mm/perdomain.c
	$h/mm/ptype.c $h/mm/shadow.c $h/mm/validate.c $h/lib/range.c"
n=0
failed=0

fuzz() # TARGET LARGEST-INPUT SOURCES-AND-FLAGS...
{
	target=$1
	max_len=$2
	shift 2
	n=$((n + 1))
	if [ -z "$FUZZ_CC" ]; then
		echo "ok $n - $target # SKIP clang is not here"
		return
	fi
	out=$FUZZ_BUILD/$target
	# shellcheck disable=SC2086
	if "$FUZZ_CC" -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -fno-strict-aliasing \
		-Wno-unused-value -DXYLEM_DEBUG -D__XEN__ -D__XEN_TOOLS__ -D__XEN_INTERFACE_VERSION__=__XEN_LATEST_INTERFACE_VERSION__ \
		-I"$h" -I"$h/include" -I"$u" -o "$out" "$u/$target.c" $mm "$@" >"$out.log" 2>&1 &&
		"$out" -seed="${FUZZ_SEED:-1}" -max_total_time="${FUZZ_SECONDS:-5}" -max_len="$max_len" -rss_limit_mb=2048 \
			-timeout=120 -close_fd_mask=1 -artifact_prefix="$FUZZ_BUILD/" >>"$out.log" 2>&1; then
		echo "ok $n - $target ($(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$out.log") runs)"
	else
		tail -20 "$out.log" | sed 's/^/# /'
		echo "not ok $n - $target"
		failed=1
	fi
}

capstone=
if [ -n "$FUZZ_CC" ] && echo '#include <capstone/capstone.h>' | "$FUZZ_CC" -E - >/dev/null 2>&1; then
	capstone='-DHAVE_CAPSTONE -lcapstone'
fi
fuzz fuzz_mm 4096 "$u/mm_drive.c" "$u/fake/dom.c" "$h/hypercall/mmu.c" "$h/hypercall/memory.c" "$h/hypercall/target.c"
# shellcheck disable=SC2086
fuzz fuzz_pv 52 "$u/fake/pv.c" "$u/fake/pv_parts.c" "$h/hw/fpu_area.c" "$h/pv/address.c" "$h/pv/debugreg.c" "$h/pv/decode.c" "$h/pv/io.c" "$h/pv/privileged.c" \
	"$h/pv/switch.c" "$h/dom/switch.c" "$h/pv/table_write.c" "$h/pv/trace.c" "$h/pv/vcpu.c" $capstone
echo "1..$n"
exit $failed
