#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Checks the model of the page-type machine with spin, and that the checker finds each of the rules that are left out.
echo 1..7
model=$FUZZ_SRC/tests/model/ptype.pml
if ! command -v spin >/dev/null; then
	for n in 1 2 3 4 5 6 7; do
		echo "ok $n - model # SKIP spin is not here"
	done
	exit 0
fi
dir=$FUZZ_BUILD/model
mkdir -p "$dir" && cd "$dir" || exit 99
failed=0
check()
{
	rm -f pan pan.* ptype.pml.trail
	spin -DBREAK="$1" -a "$model" >spin.log 2>&1 && ${CC:-gcc} -O2 -w -DSAFETY -DCOLLAPSE -DNOREDUCE -o pan pan.c >>spin.log 2>&1 &&
		./pan -m1000000 -E >pan.log 2>&1 || return 2
	if grep -q 'max search depth too small\|Search not completed' pan.log && [ "$1" = 0 ]; then
		return 2
	fi
	grep -q 'errors: 0' pan.log
}
n=0
for rule in 0 1 2 3 4 5 6; do
	n=$((n + 1))
	check $rule
	rc=$?
	if [ $rule = 0 ]; then
		name="the machine keeps its invariants ($(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' pan.log) states)"
		good=$((rc == 0))
	else
		name="the checker notices when rule $rule is left out"
		good=$((rc == 1))
	fi
	if [ $good = 1 ]; then
		echo "ok $n - $name"
	else
		cat spin.log pan.log | sed 's/^/# /'
		echo "not ok $n - $name"
		failed=1
	fi
done
exit $failed
