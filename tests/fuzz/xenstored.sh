#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds xenstored's fuzz target with clang's libFuzzer and runs it for FUZZ_SECONDS (5). $FUZZ_CC, $FUZZ_SRC,
# $FUZZ_BUILD and $FUZZ_CFLAGS come from the Makefile.
echo "1..1"
if [ -z "$FUZZ_CC" ]; then
	echo "ok 1 - requests by coverage # SKIP clang is not here"
	exit 0
fi
out=$FUZZ_BUILD/fuzz_store
core=$FUZZ_SRC/libxenctrl/xenstored
# shellcheck disable=SC2086
if "$FUZZ_CC" -std=gnu11 -g -O1 -D_GNU_SOURCE -D__XEN_TOOLS__ -DLIBFUZZER -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=all $FUZZ_CFLAGS -o "$out" "$FUZZ_SRC/tests/fuzz/xenstored_fuzz.c" "$core/conn.c" \
	"$core/domain.c" "$core/pathtab.c" "$core/request.c" "$core/tree.c" "$core/view.c" "$core/watch.c" \
	$FUZZ_LIBS >"$out.log" 2>&1 &&
	"$out" -seed="${FUZZ_SEED:-1}" -max_total_time="${FUZZ_SECONDS:-5}" -max_len=1024 -rss_limit_mb=2048 -timeout=60 \
		-artifact_prefix="$FUZZ_BUILD/" >>"$out.log" 2>&1; then
	echo "ok 1 - requests by coverage ($(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$out.log") runs)"
else
	tail -20 "$out.log" | sed 's/^/# /'
	echo "not ok 1 - requests by coverage"
	exit 1
fi
