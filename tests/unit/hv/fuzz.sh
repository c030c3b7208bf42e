#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the fuzz target of the memory hypercalls with clang's libFuzzer and runs it for FUZZ_SECONDS (5). $FUZZ_CC,
# $FUZZ_SRC and $FUZZ_BUILD come from the Makefile.
echo 1..1
if [ -z "$FUZZ_CC" ]; then
	echo "ok 1 - fuzz_mm # SKIP clang is not here"
	exit 0
fi
h=$FUZZ_SRC/hypervisor
u=$FUZZ_SRC/tests/unit/hv
out=$FUZZ_BUILD/fuzz_mm
if "$FUZZ_CC" -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -fno-strict-aliasing \
	-Wno-unused-value -D__XEN__ -D__XEN_TOOLS__ -D__XEN_INTERFACE_VERSION__=__XEN_LATEST_INTERFACE_VERSION__ \
	-I"$h" -I"$h/include" -I"$u" -o "$out" "$u/fuzz_mm.c" "$u/mm_drive.c" "$u/fake/dom.c" "$u/fake/fake.c" \
	"$u/fake/tlb.c" "$h/mm/audit.c" "$h/mm/frame.c" "$h/mm/heap.c" "$h/mm/pagetable.c" "$h/mm/perdomain.c" \
	"$h/mm/ptype.c" "$h/mm/validate.c" "$h/hypercall/mmu.c" "$h/hypercall/memory.c" "$h/lib/range.c" \
	>"$out.log" 2>&1 &&
	"$out" -seed="${FUZZ_SEED:-1}" -max_total_time="${FUZZ_SECONDS:-5}" -max_len=4096 -rss_limit_mb=2048 -timeout=120 -close_fd_mask=1 \
		-artifact_prefix="$FUZZ_BUILD/" >>"$out.log" 2>&1; then
	echo "ok 1 - fuzz_mm ($(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$out.log") runs)"
else
	tail -20 "$out.log" | sed 's/^/# /'
	echo "not ok 1 - fuzz_mm"
	exit 1
fi
