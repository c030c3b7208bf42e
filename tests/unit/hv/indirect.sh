#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# No indirect call or jump in the hypervisor but through the thunks of hw/thunk.S, which choose how it is predicted. Boot code
# is left out: no guest has run yet. $FUZZ_BUILD is the folder of tests/unit/hv in the build.
hv=$FUZZ_BUILD/../../../hypervisor
own=libhypervisor_a- # what host tests compile lies in the same folders, under other names
set -- "$hv"/lib/$own*.o "$hv"/hw/$own*.o "$hv"/mm/$own*.o "$hv"/dom/$own*.o "$hv"/pv/$own*.o "$hv"/hypercall/$own*.o
if [ ! -e "$6" ]; then
	echo "ok 1 - indirect branches # SKIP the hypervisor is not built"
	echo 1..1
	exit 0
fi
found=$(for o; do
	case $o in *trampoline*) continue ;; esac
	objdump -d --no-show-raw-insn "$o" | awk -v o="${o##*/}" '/^[0-9a-f]+ </ { f = $2 } /\t(notrack )?(l?call|l?jmp)q? +\*/ { print o, f, $0 }'
done)
calls=$(objdump -dr --no-show-raw-insn "$hv"/hypercall/${own}dispatch.o | grep -c __x86_indirect_thunk)
if [ -z "$found" ] && [ "$calls" -gt 0 ]; then
	echo "ok 1 - indirect branches go through the thunks"
else
	echo "$found" | sed 's/^/# /'
	echo "# $calls calls of thunks in dispatch.o"
	echo "not ok 1 - indirect branches go through the thunks"
fi
echo 1..1
[ -z "$found" ] && [ "$calls" -gt 0 ]
