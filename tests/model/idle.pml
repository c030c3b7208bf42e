/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A CPU that goes idle and one that queues vcpus (dom/sched.c): nobody waits while a CPU is idle and has nothing to do.
 *
 * CPU A is busy all the time and has the queue; vcpus are woken onto it by anybody. CPU B runs what it steals, and looks
 * again when that is done or when it is asked to (work).
 * LATE: B tells that it is idle after it looked. NO_RETRY: B passes over a queue that is locked. SILENT: who queues a vcpu
 * does not tell an idle CPU.
 */
#define WAKES 3

bool idle = false, locked = false, work = true;
byte queue = 0;

inline lock()
{
	atomic { !locked -> locked = true }
}

proctype waker()
{
	byte n = 0;
	bool told;

	do
	:: n < WAKES ->
		lock();
		told = idle; /* choose_cpu(): straight to the idle CPU */
		if
		:: told -> queue++; work = true
		:: else ->
			queue++;
#ifndef SILENT
			if
			:: idle -> work = true /* tell_idle() */
			:: else
			fi
#endif
		fi;
		locked = false;
		n++
	:: else -> break
	od
}

active proctype cpu_b()
{
	bool got;

end:	do
	:: work ->
		work = false;
		got = false;
#ifndef LATE
		idle = true;
#endif
		if
		:: queue > 0 ->
			if
			:: atomic { !locked -> locked = true };
				if
				:: queue > 0 -> queue--; got = true
				:: else
				fi;
				locked = false
#ifndef NO_RETRY
			:: locked -> work = true
#else
			:: locked -> skip
#endif
			fi
		:: else
		fi;
		idle = !got;
		if
		:: got -> work = true /* what it ran is over */
		:: else
		fi
	od
}

init
{
	atomic { run waker(); run waker() };
	/* Nothing moves any more. */
	timeout -> assert(queue == 0)
}
