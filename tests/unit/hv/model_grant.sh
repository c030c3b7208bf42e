#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Checks the model of the grant state machine with spin: its assertions, both properties, and that the checker notices
# when the flush comes after the release.
echo 1..4
model=$FUZZ_SRC/tests/model/grant.pml
if ! command -v spin >/dev/null; then
	for n in 1 2 3 4; do
		echo "ok $n - model # SKIP spin is not here"
	done
	exit 0
fi
dir=$FUZZ_BUILD/model_grant
mkdir -p "$dir" && cd "$dir" || exit 99
failed=0
# check SPIN-OPTION PROPERTY: 0 holds, 1 violated, 2 could not be checked; no property: the assertions
check()
{
	rm -f pan pan.* grant.pml.trail
	if [ -n "$2" ]; then
		flags= claim="-a -N $2"
	else
		flags="-DSAFETY -DNOCLAIM" claim=
	fi
	spin $1 -a "$model" >spin.log 2>&1 && ${CC:-gcc} -O2 -w $flags -o pan pan.c >>spin.log 2>&1 &&
		./pan -m1000000 $claim >pan.log 2>&1 || return 2
	grep -q 'max search depth too small\|Search not completed' pan.log && [ -z "$1" ] && return 2
	grep -q 'errors: 0' pan.log
}
report()
{
	if [ "$1" = 0 ]; then
		echo "ok $2"
	else
		cat spin.log pan.log | sed 's/^/# /'
		echo "not ok $2"
		failed=1
	fi
}
check "" ""
report $? "1 - pins, tracks and references add up"
check "" no_stale_translation
report $? "2 - no translation outlives its frame"
check "" no_dangling_track
report $? "3 - no track outlives its domain"
check -DBREAK no_stale_translation
report $(($? != 1)) "4 - the checker notices when the flush comes late"
exit $failed
