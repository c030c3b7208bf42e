/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The grant state machine of hypervisor/dom/grant.c: two vcpus of one domain map and unmap one entry of another, either
 * may unmap any handle at any time, the granting guest rewrites its entry and gives its page back when it likes, and
 * the granting domain dies in the middle.
 *
 * An atomic step is what the code does under one lock. Safety: a translation in use never outlives its frame, a track
 * never outlives the granting domain's structure, pins are never dropped twice; in the end nothing is held.
 * With BREAK defined the order of flush and release is wrong, and no_stale_translation must fail.
 */
#define TRACKS 2

byte frame_refs = 1;	/* one is the owner's */
bool owner_ref = true;
bool frame_freed = false;
byte pins = 0;
bool permit = true, status_bit = false;	/* the guest's entry: permit is the guest's to change */
bool dying = false, domain_freed = false;
byte domain_refs = 1;

bool used[TRACKS], busy[TRACKS];	/* track: exists; being mapped or unmapped */
bool pte[TRACKS], tlb[TRACKS];
byte finished = 0;

inline frame_put() {
	frame_refs--;
	if
	:: frame_refs == 0 -> frame_freed = true
	:: else
	fi
}

inline domain_put() {
	domain_refs--;
	if
	:: domain_refs == 0 -> domain_freed = true
	:: else
	fi
}

inline unpin() {
	atomic {
		assert(pins > 0);
		pins--;
		if
		:: pins == 0 -> status_bit = false
		:: else
		fi;
	}
	atomic { frame_put() }
}

inline track_free(h) {
	atomic {
		assert(used[h] && busy[h]);
		busy[h] = false;
		used[h] = false;
		domain_put();
	}
}

/* Unmaps whatever handle h is, if somebody else does not just now: translation, flush, pin, track. */
inline unmap(h) {
	bool claimed;
	atomic {
		claimed = used[h] && !busy[h];
		if
		:: claimed -> busy[h] = true
		:: else
		fi;
	}
	if
	:: claimed ->
		pte[h] = false;
#ifdef BREAK
		unpin();	/* without the flush: each property must notice */
		tlb[h] = false;
#else
		tlb[h] = false;	/* the flush waits for all CPUs */
		unpin();
#endif
		track_free(h);
	:: else
	fi
}

/* A processor fills its TLB from the tables whenever it likes. */
active proctype hardware() {
end:
	do
	:: atomic { pte[0] -> tlb[0] = true }
	:: atomic { pte[1] -> tlb[1] = true }
	od
}

proctype vcpu(byte h) {
	bool ok;
	byte rounds = 0;
	do
	:: rounds < 2 ->
		rounds++;
		atomic {
			ok = !used[h] && !domain_freed;
			if
			:: ok -> used[h] = true; busy[h] = true; domain_refs++
			:: else
			fi;
		}
		if
		:: ok ->
			atomic {
				ok = permit && !dying && !frame_freed && (pins > 0 || owner_ref);
				if
				:: ok -> status_bit = true; pins++; frame_refs++
				:: else
				fi;
			}
			if
			:: ok ->
				if
				:: pte[h] = true; busy[h] = false	/* mapped, the track is ready */
				:: unpin(); track_free(h)		/* the address was bad */
				fi
			:: else -> track_free(h)
			fi
		:: else
		fi;
		if
		:: unmap(0)
		:: unmap(1)
		:: skip
		fi
	:: else -> break
	od;
	finished++
}

proctype granter() {
	if
	:: permit = false
	:: permit = false; permit = true
	:: skip
	fi;
	atomic {
		if
		:: owner_ref -> owner_ref = false; frame_put()	/* gives the page back */
		:: skip
		fi;
	}
	/* the toolstack destroys the domain */
	atomic { dying = true }
	atomic {
		if
		:: owner_ref -> owner_ref = false; frame_put()
		:: else
		fi;
	}
	atomic { domain_put() }
	finished++
}

init {
	atomic {
		run vcpu(0);
		run vcpu(1);
		run granter();
	}
	finished == 3;
	/* the user's domain dies: its tracks are given up after a flush */
	pte[0] = false; pte[1] = false;
	tlb[0] = false; tlb[1] = false;
	if
	:: used[0] -> busy[0] = true; unpin(); track_free(0)
	:: else
	fi;
	if
	:: used[1] -> busy[1] = true; unpin(); track_free(1)
	:: else
	fi;
	assert(pins == 0 && !status_bit && frame_freed && domain_freed);
}

ltl no_stale_translation { [] ((tlb[0] || tlb[1]) -> !frame_freed) }
ltl no_dangling_track { [] ((used[0] || used[1]) -> !domain_freed) }
