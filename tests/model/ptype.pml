/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The page-type machine of hypervisor/mm/ptype.c for one frame, two vcpus and their TLBs.
 *
 * The frame may be mapped writable, be a page table, be freed and find another owner. Writable references are taken
 * and dropped without a lock; tables are built and released under one, in slices, and anybody may continue. A TLB
 * remembers a writable translation or a link to the table as soon as one is live, and forgets only by a flush. The
 * stamp of a frame is modelled by since[]: whether a CPU has flushed since it was last written.
 *
 * -DBREAK=n leaves one rule out; then the checker must find a violation:
 *   1 no flush from writable to table   2 no flush from table to writable   3 the stamp is written after the count
 *   4 no generation in the type word    5 no flush before a freed frame is used again
 *   6 the generation does not grow when a reference but the last is dropped (this was a fault of ptype.c once)
 */
#ifndef BREAK
#define BREAK 0
#endif
#define STEPS 2 /* slices of a build or a release */

mtype = { NONE, WR, TB, IDLE, BUILD, VALID, REL };

/* the type word */
mtype type = NONE, state = IDLE;
byte count = 0;
bool moved[2]; /* the generation: whether it grew since this vcpu read the word (it does not wrap in time) */
/* the rest of the frame */
byte refs = 1; /* general references; the first is the owner's */
byte progress = 0, owner = 0;
bool since[2];
/* the lock of the owner, what is live in page tables, and what TLBs remember */
bool lock = false;
byte live_w = 0, live_t = 0;
bool tlb_w[2], tlb_t[2];

inline stamp()
{
	d_step { since[0] = false; since[1] = false }
}

inline flush(cpu)
{
	d_step { tlb_w[cpu] = false; tlb_t[cpu] = false; since[cpu] = true }
}

inline flush_stale()
{
	if
	:: !since[0] -> flush(0)
	:: else
	fi;
	if
	:: !since[1] -> flush(1)
	:: else
	fi
}

inline read_word()
{
	d_step { t = type; s = state; c = count; moved[_pid] = false }
}

#if BREAK == 4
#define SAME_GEN true
#else
#define SAME_GEN (!moved[_pid])
#endif

/* Sets ok; the generation grows when type or state change, and when a reference is dropped. */
inline cas(nt, ns, nc)
{
	d_step {
		ok = (t == type && s == state && c == count && SAME_GEN);
		if
		:: ok ->
			if
			:: nt != type || ns != state || (nc < count && (BREAK != 6 || nc == 0)) -> moved[0] = true; moved[1] = true
			:: else
			fi;
			type = nt; state = ns; count = nc
		:: else
		fi
	}
}

inline general_get()
{
	d_step {
		ok = (refs > 0);
		if
		:: ok -> refs++
		:: else
		fi
	}
}

inline take_lock()
{
	atomic { !lock -> lock = true }
}

inline take_writable()
{
	general_get();
	if
	:: ok ->
		read_word();
		do
		:: s == BUILD || s == REL || (t != WR && c > 0) -> refs--; break
		:: !(s == BUILD || s == REL || (t != WR && c > 0)) ->
			if
			:: t == WR -> cas(WR, IDLE, c + 1)
			:: else ->
				if
				:: t == TB && BREAK != 2 -> flush_stale()
				:: else
				fi;
				cas(WR, IDLE, 1)
			fi;
			if
			:: ok -> atomic { live_w++; has_w = true }; break
			:: else -> read_word()
			fi
		od
	:: else
	fi
}

inline drop_writable()
{
	atomic { live_w--; has_w = false };
	read_word();
	do
	:: true ->
		if
		:: c == 1 && BREAK != 3 -> stamp()
		:: else
		fi;
		cas(WR, IDLE, c - 1);
		if
		:: ok -> break
		:: else -> read_word()
		fi
	od;
#if BREAK == 3
	stamp();
#endif
	refs--
}

/* Lock held: goes on with a release, perhaps not to its end. */
inline drain()
{
	do
	:: state == REL && progress > 0 -> progress--
	:: state == REL && progress > 0 -> break
	:: state == REL && progress == 0 ->
		stamp();
		d_step { state = IDLE; moved[0] = true; moved[1] = true };
		refs--;
		break
	:: state != REL -> break
	od
}

inline build()
{
	do
	:: progress < STEPS -> progress++
	:: progress < STEPS -> break /* preempted: nobody has to come back */
	:: progress == STEPS ->
		d_step { state = VALID; count = 1; moved[0] = true; moved[1] = true };
		atomic { live_t++; has_t = true };
		break
	od
}

inline take_table()
{
	take_lock();
	drain();
	general_get();
	if
	:: ok ->
		read_word();
		do
		:: t == TB && s == VALID ->
			cas(TB, VALID, c + 1);
			if
			:: ok -> atomic { live_t++; has_t = true }; break
			:: else -> read_word()
			fi
		:: t == TB && s == BUILD -> refs--; build(); break
		:: !(t == TB && (s == VALID || s == BUILD)) && (s != IDLE || c > 0) -> refs--; break
		:: s == IDLE && c == 0 ->
			if
			:: t == WR && BREAK != 1 -> flush_stale()
			:: else
			fi;
			cas(TB, BUILD, 0);
			if
			:: ok -> progress = 0; build(); break
			:: else -> read_word()
			fi
		od
	:: else
	fi;
	lock = false
}

inline drop_table()
{
	atomic { live_t--; has_t = false };
	take_lock();
	if
	:: count > 1 -> count--; refs--
	:: else ->
		stamp();
		d_step { state = REL; count = 0; moved[0] = true; moved[1] = true; progress = STEPS };
		drain()
	fi;
	lock = false
}

/* The owner gives the frame back while nobody else holds it; it is handed out again. */
inline move_frame()
{
	d_step {
		ok = (refs == 1);
		if
		:: ok -> refs = 0
		:: else
		fi
	};
	if
	:: ok ->
		assert(count == 0 && state == IDLE);
		d_step { type = NONE; moved[0] = true; moved[1] = true };
		stamp();
#if BREAK != 5
		flush_stale();
#endif
		assert(!tlb_w[0] && !tlb_w[1] && !tlb_t[0] && !tlb_t[1]);
		owner = 1 - owner;
		refs = 1
	:: else
	fi
}

active [2] proctype vcpu()
{
	mtype t, s;
	byte c;
	bool ok, has_w = false, has_t = false;

	do
	:: !has_w -> take_writable()
	:: has_w -> drop_writable()
	:: !has_t -> take_table()
	:: has_t -> drop_table()
	:: move_frame()
	od
}

active [2] proctype mmu()
{
	byte cpu = _pid % 2;

	do
	:: atomic { live_w > 0 && !tlb_w[cpu] -> tlb_w[cpu] = true }
	:: atomic { live_t > 0 && !tlb_t[cpu] -> tlb_t[cpu] = true }
	:: flush(cpu)
	od
}

/* What must never be seen. */
active proctype monitor()
{
	do
	:: atomic { type == TB && state != IDLE && (tlb_w[0] || tlb_w[1]) -> assert(false) }
	:: atomic { type == WR && count > 0 && (tlb_t[0] || tlb_t[1]) -> assert(false) }
	:: atomic { live_w > 0 && (type != WR || count < live_w) -> assert(false) }
	:: atomic { live_t > 0 && (type != TB || state != VALID || count < live_t) -> assert(false) }
	:: atomic { refs < live_w + live_t -> assert(false) }
	od
}
