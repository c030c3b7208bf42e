#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the two fuzz targets with clang's libFuzzer and runs each for FUZZ_SECONDS (5). $FUZZ_CC, $FUZZ_SRC and
# $FUZZ_BUILD come from the Makefile.
n=0
failed=0
h=$FUZZ_SRC/hypervisor/lib
for target in elf_fuzz bzimage_fuzz; do
	n=$((n + 1))
	if [ -z "$FUZZ_CC" ]; then
		echo "ok $n - $target # SKIP clang is not here"
		continue
	fi
	out=$FUZZ_BUILD/$target
	if "$FUZZ_CC" -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -D_GNU_SOURCE \
		-D__XEN_TOOLS__ -I"$FUZZ_SRC" -o "$out" "$FUZZ_SRC/tests/unit/lib/$target.c" "$h/bzimage.c" "$h/decompress.c" "$h/decompress_blocks.c" \
		"$h/elf.c" "$h/pvbuild.c" "$h/pverror.c" "$h/pvimage.c" "$h/pvlayout.c" -lz -llzma -lzstd -llz4 -llzo2 >"$out.log" 2>&1 &&
		"$out" -seed="${FUZZ_SEED:-1}" -max_total_time="${FUZZ_SECONDS:-5}" -max_len=65536 -rss_limit_mb=2048 -timeout=60 \
			-artifact_prefix="$FUZZ_BUILD/" >>"$out.log" 2>&1; then
		echo "ok $n - $target ($(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$out.log") runs)"
	else
		tail -20 "$out.log" | sed 's/^/# /'
		echo "not ok $n - $target"
		failed=1
	fi
done
echo "1..$n"
exit $failed
