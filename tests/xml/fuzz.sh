#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Builds the XML fuzz target with clang's libFuzzer and runs it FUZZ_RUNS (15000) times from the golden files: a
# number and not a time, so that what it tries does not depend on the machine.
# $FUZZ_CC (empty: no clang), $FUZZ_SRC (libvirt-driver/), $FUZZ_CFLAGS and $FUZZ_LIBS come from the Makefile.
echo "1..1"
if [ -z "$FUZZ_CC" ]; then
	echo "ok 1 - XML by coverage # SKIP clang is not here"
	exit 0
fi
dir=$(cd "${srcdir:-.}" && pwd)
rm -rf fuzz.corpus && mkdir -p fuzz.corpus && cp "$dir"/*.xml fuzz.corpus/
tr -c 'a-z0-9_' '\n' <"$dir/full.xml" | sort -u | sed -n 's/^\([a-z]..*\)$/"\1"/p' >fuzz.dict
# shellcheck disable=SC2086
if "$FUZZ_CC" -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all $FUZZ_CFLAGS \
	-o fuzzxml "$dir/fuzzxml.c" "$FUZZ_SRC/conf.c" "$FUZZ_SRC/check.c" "$FUZZ_SRC/cpuhide.c" "$FUZZ_SRC/screencheck.c" "$FUZZ_SRC/consolecheck.c" \
	"$FUZZ_SRC/elements.c" "$FUZZ_SRC/iotunecheck.c" "$FUZZ_SRC/../libxenctrl/src/iolimits.c" "$FUZZ_SRC/parse.c" "$FUZZ_SRC/xmlopt.c" \
	$FUZZ_LIBS >fuzzxml.log 2>&1 &&
	./fuzzxml -seed="${FUZZ_SEED:-1}" -runs="${FUZZ_RUNS:-15000}" -max_len=4096 -rss_limit_mb=2048 -timeout=60 -dict=fuzz.dict \
		-artifact_prefix=./ fuzz.corpus >>fuzzxml.log 2>&1; then
	echo "ok 1 - XML by coverage ($(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' fuzzxml.log) runs)"
else
	tail -25 fuzzxml.log | sed 's/^/# /'
	echo "not ok 1 - XML by coverage"
	exit 1
fi
