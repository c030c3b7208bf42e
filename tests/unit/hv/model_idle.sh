#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Checks the model of a CPU that goes idle while vcpus are queued with spin, and that the checker notices each omission.
echo 1..4
model=$FUZZ_SRC/tests/model/idle.pml
if ! command -v spin >/dev/null; then
	for n in 1 2 3 4; do
		echo "ok $n - model # SKIP spin is not here"
	done
	exit 0
fi
dir=$FUZZ_BUILD/model_idle
mkdir -p "$dir" && cd "$dir" || exit 99
failed=0
# check SPIN-OPTION: 0 holds, 1 violated, 2 could not be checked
check()
{
	rm -f pan pan.* idle.pml.trail
	spin $1 -a "$model" >spin.log 2>&1 && ${CC:-gcc} -O2 -w -DSAFETY -o pan pan.c >>spin.log 2>&1 &&
		./pan -m100000 >pan.log 2>&1 || return 2
	grep -q 'max search depth too small' pan.log && return 2
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
check ""
report $? "1 - nobody waits while a CPU is idle"
check -DLATE
report $(($? != 1)) "2 - the checker notices a CPU that looks before it says that it is idle"
check -DNO_RETRY
report $(($? != 1)) "3 - and one that passes over a locked queue"
check -DSILENT
report $(($? != 1)) "4 - and a vcpu that is queued in silence"
exit $failed
