/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copies of L4 tables, as hypervisor/mm/l4copy.c and pv/address.c use them: two CPUs, one domain, one L4 with a slot of the
 * hypervisor's and an entry of the guest's.
 *
 * Each CPU may begin and cease to run the domain, enter the hypervisor and leave it, and there load the address space
 * anew (also with interrupts on, between looking at linear_l4 and loading: LOOKED). CPU 0 wants to make a linear entry:
 * the L4 then loses the hypervisor's slot, so no CPU may have it loaded, nor load it. Both drop and restore the guest's
 * entry; when it is dropped, what it named may be used otherwise after a flush, and no copy that a CPU walks may still have it.
 *
 * -DBREAK=n leaves one rule out; then the checker must find a violation:
 *   1 nobody waits for the other CPUs                2 a CPU is in dirty_cpus after it looked, not before
 *   3 a CPU says that it left its L4 before it did   4 copies do not follow an entry at once
 *   5 a copy is made without its lock
 */
#ifndef BREAK
#define BREAK 0
#endif

mtype = { NOTHING, LOOKED, OWN, COPY };

bool linear_l4 = false; /* the domain's */
bool closed = false;    /* the L4 has no slot of the hypervisor's any more */
bool dirty[2];
bool user[2];           /* copies[cpu].d is the domain */
mtype loaded[2] = NOTHING;
bool entry = true;      /* the guest's entry in the L4 */
bool copy[2];           /* and in the copies */
bool has[2];            /* the CPU's copy is one of this L4 */
byte generation = 0, made[2];
bool lock[2];           /* of the CPU's copies */
bool mm_lock = false;
bool reused = false;    /* what the entry named, after a drop and a flush */

/* Interrupts are off in here. */
inline load_copy()
{
	if
	:: BREAK != 5 -> atomic { !lock[_pid] -> lock[_pid] = true }
	:: else
	fi;
	g = generation;
	if
	:: has[_pid] && made[_pid] == g -> skip
	:: else ->
		e = entry;
		copy[_pid] = e;
		made[_pid] = g;
		has[_pid] = true
	fi;
	d_step { e = false; g = 0 };
	if
	:: BREAK != 5 -> lock[_pid] = false
	:: else
	fi;
	if
	:: BREAK == 3 -> user[_pid] = true; loaded[_pid] = COPY
	:: else -> loaded[_pid] = COPY; user[_pid] = true
	fi
}

inline load_address_space()
{
	if
	:: linear_l4 -> load_copy()
	:: else ->
		/* An interrupt may come here, or another CPU do anything. */
		loaded[_pid] = OWN
	fi
}

inline begin()
{
	if
	:: BREAK == 2 -> load_address_space(); dirty[_pid] = true
	:: else -> dirty[_pid] = true; load_address_space()
	fi
}

inline cease()
{
	d_step { loaded[_pid] = NOTHING };
	dirty[_pid] = false
}

/* guest_exit_prepare() */
inline leave()
{
	if
	:: linear_l4 && !user[_pid] -> load_copy()
	:: else
	fi
}

/* The L4's lock is held; stale: it may still be walked where the CPU's copy has it. */
inline write_entry(to)
{
	entry = to;
	generation = (generation + 1) % 4;
	if
	:: BREAK != 4 && linear_l4 ->
		c = 0;
		do
		:: c < 2 ->
			atomic { !lock[c] -> lock[c] = true };
			if
			:: has[c] -> copy[c] = to
			:: else
			fi;
			lock[c] = false;
			c++
		:: else -> break
		od;
		c = 0
	:: else
	fi
}

inline take_mm_lock()
{
	atomic { !mm_lock -> mm_lock = true }
}

active [2] proctype cpu()
{
	byte g, c;
	bool e;

	do
	:: dirty[_pid] == false && loaded[_pid] == NOTHING -> begin()
	:: dirty[_pid] && loaded[_pid] != NOTHING ->
		if
		:: true -> leave()              /* and back in the hypervisor, after a while with the guest */
		:: true -> load_address_space() /* kernel and user mode */
		:: true -> cease()
		:: true ->
			take_mm_lock();
			if
			:: entry -> write_entry(false); reused = true
			:: else -> reused = false; write_entry(true)
			fi;
			mm_lock = false
		:: _pid == 0 && !closed ->
			take_mm_lock();
			linear_l4 = true;
			/* dirty_cpus is read once; who is not in it begins later, and then finds linear_l4. */
			if
			:: BREAK == 1 -> closed = true
			:: else ->
				if
				:: (!dirty[0] || user[0]) ->
					if
					:: (!dirty[1] || user[1]) -> closed = true
					:: else
					fi
				:: else
				fi
			fi;
			mm_lock = false
		fi
	od
}

/* What must never be seen. */
active proctype monitor()
{
	do
	:: atomic { closed && (loaded[0] == OWN || loaded[1] == OWN) -> assert(false) }
	:: atomic { reused && !lock[0] && loaded[0] == COPY && copy[0] -> assert(false) }
	:: atomic { reused && !lock[1] && loaded[1] == COPY && copy[1] -> assert(false) }
	od
}
