#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the fuzz target of the command line with clang's libFuzzer and runs it for FUZZ_SECONDS (5). $FUZZ_CC, $FUZZ_SRC and
# $FUZZ_BUILD come from the Makefile.
echo 1..1
if [ -z "$FUZZ_CC" ]; then
	echo "ok 1 - fuzz_cmdline # SKIP clang is not here"
	exit 0
fi
h=$FUZZ_SRC/hypervisor
out=$FUZZ_BUILD/fuzz_cmdline
if "$FUZZ_CC" -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -DXYLEM_DEBUG -D_GNU_SOURCE -D__XEN__ \
	-D__XEN_TOOLS__ -D__XEN_INTERFACE_VERSION__=__XEN_LATEST_INTERFACE_VERSION__ -I"$h" -I"$h/include" -o "$out" \
	"$FUZZ_SRC/tests/unit/boot/fuzz_cmdline.c" "$h/boot/cmdline.c" "$h/lib/option.c" >"$out.log" 2>&1 &&
	"$out" -seed="${FUZZ_SEED:-1}" -max_total_time="${FUZZ_SECONDS:-5}" -max_len=2048 -timeout=60 -artifact_prefix="$FUZZ_BUILD/" \
		-only_ascii=1 >>"$out.log" 2>&1; then
	echo "ok 1 - fuzz_cmdline ($(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$out.log") runs)"
else
	tail -20 "$out.log" | sed 's/^/# /'
	echo "not ok 1 - fuzz_cmdline"
	exit 1
fi
