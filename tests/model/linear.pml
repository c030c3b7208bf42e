/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linear page tables: entries that name a table of the own level, as hypervisor/mm/ptype.c counts them.
 *
 * Three tables of one level, whose entries may name each other and themselves. Each may be pinned and unpinned, and
 * have entries written, by a guest that does what it likes; all of it happens under the owner's lock, so each step is one,
 * and which vcpu takes it does not matter. An entry that names another table holds a reference to it; one that names its
 * own table holds none. linear[] is struct frame's: above 0, entries of this table that name others; below 0, entries of
 * others that name it. A table builds entry by entry, may be preempted between any two of them (the lock is free then),
 * and releases the same way.
 *
 * What must hold: no entry of a table that is in use names a table that is not; nothing may be reached writable through
 * such an entry; when no table is pinned any more, all are released (references that go in a circle would keep them);
 * references are what the entries and the pins add up to.
 *
 * -DBREAK=n leaves one rule out; then the checker must find a violation:
 *   1 a table that has such entries may be named by others (circles)   2 the named table need not be validated
 *   3 the write bit may be added later                                  4 an entry that names its own table counts
 *   5 a refused build forgets what its first entries hold
 */
#ifndef BREAK
#define BREAK 0
#endif
#define TABLES  3
#define ENTRIES 4 /* two of table 0, one of each other */
#define NOBODY  7

#define SLOTS(f) ((f) == 0 -> 2 : 1)
#define FIRST(f) ((f) == 0 -> 0 : (f) + 1)

mtype = { PLAIN, BUILDING, VALID, RELEASING };

mtype state[TABLES] = PLAIN;
byte count[TABLES];    /* typed references */
byte progress[TABLES]; /* building, releasing: entries that hold references */
bool pinned[TABLES];
short linear[TABLES];
byte entry[ENTRIES] = NOBODY; /* the table that it names */
bool writable[ENTRIES];       /* its write bit */
bool held[ENTRIES];           /* it stands for references (what the counts say is compared with this) */
bool ending = false;          /* nobody pins or writes any more */
bool gone = false;

/* Sets ok, and takes what an entry of f that names n stands for. */
inline entry_get(f, n, w)
{
	if
	:: n == NOBODY -> ok = true
	:: n != NOBODY && w -> ok = false
	:: n != NOBODY && !w && n == f ->
		ok = true;
		if
		:: BREAK == 4 && state[n] == VALID -> count[n]++
		:: else
		fi
	:: n != NOBODY && !w && n != f ->
		ok = (state[n] == VALID || (BREAK == 2 && state[n] != RELEASING)) &&
		     (BREAK == 1 || (linear[f] >= 0 && linear[n] <= 0));
		if
		:: ok ->
			count[n]++;
			if
			:: BREAK != 1 -> linear[f]++; linear[n]--
			:: else
			fi
		:: else
		fi
	fi
}

inline reference_put(n)
{
	count[n]--;
	if
	:: count[n] == 0 && state[n] == VALID -> state[n] = RELEASING; progress[n] = SLOTS(n)
	:: else
	fi
}

inline entry_put(f, n)
{
	if
	:: n == NOBODY || (n == f && BREAK != 4) -> skip
	:: n == f && BREAK == 4 -> reference_put(n)
	:: n != NOBODY && n != f ->
		if
		:: BREAK != 1 -> linear[f]--; linear[n]++
		:: else
		fi;
		reference_put(n)
	fi
}

/* One slice of the release of f. */
inline release_step(f)
{
	if
	:: progress[f] > 0 ->
		progress[f]--;
		i = FIRST(f) + progress[f];
		held[i] = false;
		entry_put(f, entry[i])
	:: else -> state[f] = PLAIN
	fi
}

inline build_step(f)
{
	if
	:: progress[f] < SLOTS(f) ->
		i = FIRST(f) + progress[f];
		entry_get(f, entry[i], writable[i]);
		if
		:: ok -> held[i] = true; progress[f]++
		:: !ok && BREAK != 5 -> state[f] = RELEASING
		:: !ok && BREAK == 5 -> state[f] = PLAIN
		fi
	:: else -> state[f] = VALID; count[f] = 1; pinned[f] = true
	fi
}

inline write_entry(f)
{
	if
	:: n == entry[i] && n != NOBODY -> /* flags only */
		if
		:: !w || BREAK == 3 -> writable[i] = w
		:: else
		fi
	:: else ->
		/* the new one is taken before the old one goes */
		entry_get(f, n, w);
		if
		:: ok ->
			if
			:: entry[i] != NOBODY -> entry_put(f, entry[i])
			:: else
			fi;
			entry[i] = n;
			writable[i] = false;
			held[i] = true
		:: else
		fi
	fi
}

active proctype guest()
{
	byte f, n, i;
	bool ok, w;

	do
	:: ending -> gone = true; break
	:: !ending ->
		atomic {
			select(f : 0 .. TABLES - 1);
			if
			:: n = NOBODY
			:: select(n : 0 .. TABLES - 1)
			fi;
			if
			:: w = (n != NOBODY)
			:: w = false
			fi;
			i = FIRST(f);
			if
			:: f == 0 -> i++
			:: skip
			fi;
			if
			/* stores into an ordinary page */
			:: state[f] == PLAIN && count[f] == 0 -> entry[i] = n; writable[i] = w; held[i] = false
			/* pin: begins, or goes on with, a build */
			:: state[f] == PLAIN && count[f] == 0 -> state[f] = BUILDING; progress[f] = 0
			:: state[f] == BUILDING -> build_step(f)
			:: state[f] == VALID && pinned[f] -> pinned[f] = false; reference_put(f)
			:: state[f] == RELEASING -> release_step(f)
			:: state[f] == VALID -> write_entry(f)
			:: else
			fi;
			f = 0; n = 0; i = 0; ok = false; w = false
		}
	od
}

/* The domain's end: unpins everything, gives up builds, releases. Then nothing is held any more. */
active proctype destroyer()
{
	byte f, i;
	bool ok;

	ending = true;
	gone;
	atomic {
		f = 0;
		do
		:: f < TABLES ->
			if
			:: state[f] == BUILDING -> state[f] = RELEASING
			:: state[f] == VALID && pinned[f] -> pinned[f] = false; reference_put(f)
			:: else
			fi;
			f++
		:: else -> break
		od;
		do
		:: state[0] == RELEASING -> release_step(0)
		:: state[1] == RELEASING -> release_step(1)
		:: state[2] == RELEASING -> release_step(2)
		:: else -> break
		od;
		f = 0;
		do
		:: f < TABLES ->
			assert(state[f] == PLAIN && count[f] == 0 && linear[f] == 0);
			f++
		:: else -> break
		od
	}
}

#define NAMES(i, f, n) (held[i] && entry[i] == n && f != n)
#define HOLDS(i, f)    (!held[i] || entry[i] == NOBODY || ((entry[i] == f || state[entry[i]] == VALID) && !writable[i]))
#define NAMED(n)       (NAMES(0, 0, n) + NAMES(1, 0, n) + NAMES(2, 1, n) + NAMES(3, 2, n))

/* What must be seen at all times. */
active proctype monitor()
{
	do
	:: atomic { !(HOLDS(0, 0) && HOLDS(1, 0) && HOLDS(2, 1) && HOLDS(3, 2)) -> assert(false) }
	:: atomic { !(state[0] != VALID || count[0] == NAMED(0) + pinned[0]) -> assert(false) }
	:: atomic { !(state[1] != VALID || count[1] == NAMED(1) + pinned[1]) -> assert(false) }
	:: atomic { !(state[2] != VALID || count[2] == NAMED(2) + pinned[2]) -> assert(false) }
	od
}
