/* One repository on three nodes, two proxies, two writes, one database whose statements are atomic.
 *
 * Every rule of the protocol is a macro RULE_name: 1, or 0 to leave it out, and then some property
 * must fail. The list is in rules.go. What a run covers is set by the other macros:
 *   MIN        copies that a write needs
 *   W1 W2      proxy of each write (W2 undefined: one write)
 *   FAULTS     how many faults there may be, of these kinds:
 *   CRASH      a proxy dies           FREEZE  a proxy loses its lease and wakes up later
 *   NODE       a node dies and comes back          AWAY  the database does not answer a record
 *   SICK       a proxy may believe that a secondary is sick when there is nothing wrong with it
 *   REPAIR     proxy of the repairs (undefined: none)     EARLYCOPY  with a copy beside the writes
 *   RECOVERERS how many proxies recover (2 by default, 1: the second)
 *   READERS    readers through proxy 1, by cached routes (undefined: none)
 * Time does not exist: whatever may take long is a step that comes when it likes. A frozen proxy is
 * one that takes no step while its lease ends. A grace is over whenever the copies suffice. */
#define N 3
#define NOBODY 3
#define ABSENT 240                   /* no write, and nothing that another holds as well */

#ifdef READERS
#define CACHES 1                     /* without readers invalidations are not counted */
#else
#define CACHES 0
#endif
#ifndef RECOVERERS
#define RECOVERERS 2
#endif

/* What is in the database. */
byte gen = 1, epoch = 1, prim = 0, rgen[N] = 1;
byte seq = 0;                        /* number of the repository's last invalidation */
byte iw = 0, ip, ii, iparts;         /* the intent: write (0: none), owner, participants */
bit marked; byte ap = NOBODY, ai, num; /* left to recovery; its adopter and the adoption's number */
byte claim[N], settle = 0, joining = 0; /* claim of a repair; sets of nodes */
bit plain = 0;                       /* a comparison that follows from no recovery */
bit live[2] = 1; byte inc[2] = 1;    /* leases, and the incarnation that has them */
byte applied[2] = 0;                 /* invalidations acknowledged */

/* What is in the proxies. */
byte life[2] = 0;                    /* raised when a process dies */
bit cached[2], loading[2]; byte route[2], loaded[2];
byte wi[3], wl[3], gate = 0;         /* of each write: incarnation, life; those that hold the turn */
byte rg[3], re[3], rr[3];            /* generation, epoch and replicas of its record */

/* What is on the nodes. A disk holds a set of writes, and which of them came last (16 * write). */
byte disk[N], down = 0;
byte st[9];                          /* of node and write, as follows */
#define NOT 0
#define SENT 1                       /* the call runs */
#define PREP 2                       /* PREPARED is cast, the reference is locked */
#define TOLD 3                       /* COMMIT is on its way; locked */
#define APPL 4                       /* COMMITTED is cast and waits */
#define OVER 5

/* What clients know. */
byte out[3], acked = 0, order[3];
#define NONE 1
#define UNKNOWN 2
#define RECORDED 3

byte faults = FAULTS;

#define S(n, w) st[3 * (w - 1) + n]
#define B(n) (1 << (n))
#define IN(m, n) (((m) >> (n)) & 1)
#define SIZE(m) (IN(m, 0) + IN(m, 1) + IN(m, 2))
#define CURRENT ((rgen[0] == gen) + 2 * (rgen[1] == gen) + 4 * (rgen[2] == gen))
#define WITH(w, x) ((S(0, w) == x) + 2 * (S(1, w) == x) + 4 * (S(2, w) == x))
#define LEASED(p, i) (live[p] && inc[p] == i)
#define ORPHAN (ap != NOBODY -> !LEASED(ap, ai) : (marked || !LEASED(ip, ii)))
#define FREE(n) (S(n, 1) != PREP && S(n, 1) != TOLD && S(n, 2) != PREP && S(n, 2) != TOLD)
#define RAISED(n, m) (IN(m, n) && rgen[n] == base)
/* Content d has write w, and nothing older was written over it. */
#define LAST(d) (d >> 4)
#define HAS(d, w) (d != ABSENT && IN(d, w) && (LAST(d) == w || order[LAST(d)] == 0 || \
	order[LAST(d)] > order[w]))
/* Between record and answer a recovery may have outdated a copy, and a repair emptied its disk. */
#define COPY(n, w) (HAS(disk[n], w) || disk[n] == ABSENT)
#define HOLDS(d, set) ((!IN(set, 1) || HAS(d, 1)) && (!IN(set, 2) || HAS(d, 2)))

inline say_disks() {
	printf("@ disks %d/%d %d/%d %d/%d current %d primary %d generation %d\n", disk[0] & 15,
		LAST(disk[0]), disk[1] & 15, LAST(disk[1]), disk[2] & 15, LAST(disk[2]), CURRENT, prim, gen)
}

/* P5: some current replica has every acknowledged write. */
inline kept() {
	if
	:: (rgen[0] == gen && HOLDS(disk[0], acked)) || (rgen[1] == gen && HOLDS(disk[1], acked)) ||
		(rgen[2] == gen && HOLDS(disk[2], acked))
	:: else -> printf("@ violation P5 lost\n"); say_disks(); assert(false)
	fi
}

inline forget(p) {
	cached[p] = 0;
	if
	:: RULE_DETACH -> loading[p] = 0
	:: else
	fi
}

/* The calls of a write are told ABORT, unless they were told COMMIT. */
inline abort_calls(w) {
	for (k : 0 .. 2) {
		if
		:: S(k, w) == SENT || S(k, w) == PREP -> S(k, w) = OVER
		:: else
		fi
	}
	k = 0
}

inline answer(w, o) {
	out[w] = o;
	printf("@ answered write %d outcome %d\n", w, o);
	if
	:: o == NONE && (IN(disk[0] & 15, w) || IN(disk[1] & 15, w) || IN(disk[2] & 15, w)) ->
		printf("@ violation P7 none-but-visible\n"); say_disks(); assert(false)
	:: o == UNKNOWN && FAULTS == 0 ->
		printf("@ violation P6 unknown-without-a-fault\n"); say_disks(); assert(false)
	:: else
	fi
}

inline close_turn(id) {
	if
	:: iw == id && !marked && ap == NOBODY -> iw = 0; iparts = 0; printf("@ closed write %d\n", id)
	:: else
	fi
}

inline open_turn(id, p, i, set) {
	iw = id; ip = p; ii = i; marked = 0; ap = NOBODY; ai = 0; num = 0; iparts = set;
	printf("@ opened write %d proxy %d life %d nodes %d generation %d epoch %d primary %d\n",
		id, p, i, set, gen, epoch, prim)
}

proctype Writer(byte w; byte p) {
	byte parts, more, base, ep, pr, k, told, raise, np, await; bit shrunk;
	{
		atomic { /* Route, elect if need be, fan out. */
			live[p] && (!IN(down, prim) || iw == 0);
			wi[w] = inc[p]; wl[w] = life[p];
			if
			:: IN(down, prim) && CURRENT & ~down ->
				if
				:: IN(CURRENT & ~down, 0) -> prim = 0
				:: IN(CURRENT & ~down, 1) -> prim = 1
				:: IN(CURRENT & ~down, 2) -> prim = 2
				fi;
				epoch++; seq = seq + CACHES; printf("@ elected primary %d epoch %d\n", prim, epoch)
			:: else
			fi;
			pr = prim; parts = CURRENT & ~down;
#ifdef SICK
			if
			:: true
			:: parts = parts & ~B(1) | B(pr)
			:: parts = parts & ~B(2) | B(pr)
			fi;
#endif
			if
			:: SIZE(parts) < MIN || !IN(parts, pr) -> answer(w, NONE); goto over
			:: else
			fi;
			more = parts | (joining & ~down);
			for (k : 0 .. 2) {
				if
				:: IN(more, k) -> S(k, w) = SENT
				:: else
				fi
			}
			k = 0
		};
#if !RULE_BASE
		base = gen; ep = epoch; parts = more;
#endif
		atomic { /* The turn: the intent is made durable, then the base is read. */
			iw == 0 || !RULE_TURN || !LEASED(p, wi[w]);
			if
			:: !LEASED(p, wi[w]) -> abort_calls(w); answer(w, NONE); goto over
			:: else
			fi;
#if RULE_INTENT
			open_turn(w, p, wi[w], parts);
#endif
#if RULE_BASE
			base = gen; ep = epoch; parts = more & CURRENT; iparts = more;
		for (k : 0 .. 2) { /* Whoever is not current is told ABORT. */
			if
			:: IN(more & ~parts, k) && (S(k, w) == SENT || S(k, w) == PREP) -> S(k, w) = OVER
			:: else
			fi
		}
		k = 0; more = 0;
#endif
			if
			:: prim != pr || !IN(parts, pr) || SIZE(parts) < MIN ->
				close_turn(w); abort_calls(w); answer(w, NONE); goto over
			:: else -> gate = gate | B(w)
			fi
		};
		atomic { /* PREPARED is won or lost. */
			if
			:: IN(WITH(w, PREP), pr) && SIZE(WITH(w, PREP) & parts) >= (RULE_COPIES -> MIN : 1)
			:: S(pr, w) == OVER || SIZE(parts & ~WITH(w, OVER)) < MIN ->
				abort_calls(w); close_turn(w); answer(w, NONE); goto over
			fi;
			np = (LEASED(p, wi[w]) || !RULE_LEASE -> pr : NOBODY)
		};
		do /* COMMIT is told to one after the other; the lease is looked at before each. */
		:: atomic {
			np == NOBODY && (WITH(w, PREP) & (parts | more)) && (LEASED(p, wi[w]) || !RULE_LEASE) ->
			if
			:: IN(WITH(w, PREP), 0) -> np = 0
			:: IN(WITH(w, PREP), 1) -> np = 1
			:: IN(WITH(w, PREP), 2) -> np = 2
			fi;
#if !defined(CRASH) && !defined(FREEZE)
			S(np, w) = TOLD; told = told | B(np); printf("@ told write %d node %d\n", w, np);
			np = NOBODY
#endif
			}
		:: atomic {
			np != NOBODY ->
			if
			:: S(np, w) == PREP -> S(np, w) = TOLD; told = told | B(np);
				printf("@ told write %d node %d\n", w, np)
			:: else
			fi;
			np = NOBODY }
		:: atomic { /* Enough have confirmed; whoever has not by now is left behind. */
			np == NOBODY && SIZE(WITH(w, APPL) & parts) >= (RULE_COPIES -> MIN : 1) ->
			raise = WITH(w, APPL) & parts; break }
		:: atomic { /* Enough never will. */
			np == NOBODY && SIZE(parts & ~WITH(w, OVER)) < MIN &&
				!(WITH(w, TOLD) & parts) && !(WITH(w, PREP) & parts) ->
			raise = WITH(w, APPL) & parts;
			if
			:: raise == 0 && (parts & ~told) && IN(told, pr) -> raise = parts & ~told
			:: raise == 0 && !((parts & ~told) && IN(told, pr)) -> raise = B(pr)
			:: else
			fi;
			if
			:: !RULE_HONEST -> abort_calls(w); close_turn(w); answer(w, NONE); goto over
			:: else -> break
			fi }
		:: atomic { np == NOBODY && RULE_LEASE && !LEASED(p, wi[w]) -> goto unknown }
		od;
#if !RULE_INTENT
		atomic { iw == 0; open_turn(w, p, wi[w], parts); base = gen; ep = epoch };
#endif
		atomic { /* The lease is looked at once more. */
			if
			:: LEASED(p, wi[w]) || !RULE_COMPARE_AND_SET
			:: else -> goto unknown
			fi;
			np = pr;
			if
			:: IN(raise, pr) || !RULE_SUCCESSOR
			:: IN(raise, 0) && !IN(raise, pr) && RULE_SUCCESSOR -> np = 0
			:: IN(raise, 1) && !IN(raise, pr) && RULE_SUCCESSOR -> np = 1
			:: IN(raise, 2) && !IN(raise, pr) && RULE_SUCCESSOR -> np = 2
			fi
		};
		atomic { /* The record: one statement. */
			if
#ifdef AWAY
			:: faults > 0 -> faults--; printf("@ unreachable\n"); goto unknown
#endif
			:: !RULE_RECORD -> close_turn(w); rg[w] = gen; re[w] = epoch; order[w] = gen + 1
			:: RULE_RECORD && ((iw == w && !marked && ap == NOBODY && gen == base && epoch == ep &&
				rgen[np] == base) || !RULE_COMPARE_AND_SET) ->
				gen++; shrunk = 0;
				for (k : 0 .. 2) {
					if
					:: rgen[k] == base && IN(raise, k) -> rgen[k] = gen; joining = joining & ~B(k)
					:: rgen[k] == base && !IN(raise, k) && (RULE_SHRINK || IN(parts, k)) ->
						shrunk = 1
					:: else
					fi
				}
				k = 0;
				if
				:: np != prim -> prim = np; epoch++; shrunk = 1
				:: else
				fi;
				seq = seq + (shrunk && CACHES); iw = 0; iparts = 0;
				rg[w] = gen; re[w] = epoch; order[w] = gen; rr[w] = raise;
				printf("@ recorded write %d nodes %d primary %d generation %d epoch %d\n",
					w, raise, prim, gen, epoch)
			:: else -> goto unknown
			fi;
			await = (RULE_EARLIER -> seq : (shrunk -> seq : 0));
			for (k : 0 .. 2) {
				if
				:: S(k, w) == APPL && IN(raise, k) -> S(k, w) = OVER
				:: (S(k, w) == SENT || S(k, w) == PREP) && RULE_LATE_VOTE -> S(k, w) = OVER
				:: else
				fi
			}
			k = 0
		};
		atomic { forget(p) };
		atomic { /* The answer. */
			!RULE_AWAIT || !live[1 - p] || applied[1 - p] >= await;
			if
			:: SIZE(raise) < (RULE_COPIES -> MIN : 1) || told == 0 || !(told & raise) ->
				answer(w, UNKNOWN)
			:: else ->
				acked = acked | B(w); answer(w, RECORDED);
				if
				:: SIZE(COPY(0, w) + 2 * COPY(1, w) + 4 * COPY(2, w)) < MIN ||
					!HAS(disk[prim], w) ->
					printf("@ violation P1 copies\n"); say_disks(); assert(false)
				:: else
				fi;
				kept()
			fi;
			goto over
		};
unknown:	atomic { /* Recovery decides. */
			abort_calls(w);
			if
			:: iw == w && RULE_MARK -> marked = 1; printf("@ marked write %d\n", w)
			:: iw == w && !RULE_MARK -> close_turn(w); np = 4
			:: else
			fi;
			answer(w, UNKNOWN)
		};
#if !RULE_MARK
		atomic { plain = (np == 4) };
#endif
over:		skip
	} unless { life[p] != wl[w] }
}

inline apply(n, w) {
	disk[n] = (disk[n] & 15 | B(w)) + 16 * w; S(n, w) = APPL;
	printf("@ applied write %d node %d\n", w, n);
	if
	:: out[w] == NONE -> printf("@ violation P7 none-but-visible\n"); say_disks(); assert(false)
	:: else
	fi
}

/* A straggler that was told COMMIT confirms after the record. */
inline confirm(n, w) {
	if
	:: epoch == re[w] && gen == rg[w] && rgen[n] == gen - 1 && (claim[n] == 0 || !RULE_CLAIM) ->
		rgen[n] = gen; seq = seq + CACHES; printf("@ confirmed write %d node %d\n", w, n)
	:: else
	fi;
	S(n, w) = OVER
}

#define DEAD(w) (life[PROXY(w)] != wl[w])
#define LOST(w) (DEAD(w) || !LEASED(PROXY(w), wi[w]))
#ifdef W2
#define PROXY(w) (w == 1 -> W1 : W2)
#else
#define PROXY(w) W1
#endif
#define STEPS(n, w) \
	:: atomic { S(n, w) == SENT && !IN(down, n) && (IN(gate, w)) && FREE(n) -> S(n, w) = PREP } \
	:: atomic { S(n, w) == TOLD && !IN(down, n) -> apply(n, w) } \
	:: atomic { S(n, w) == PREP && !RULE_LATE_VOTE && rg[w] != 0 -> S(n, w) = TOLD } \
	:: atomic { (S(n, w) == SENT || S(n, w) == PREP) && LOST(w) -> S(n, w) = OVER } \
	:: atomic { S(n, w) == TOLD && DEAD(w) -> S(n, w) = OVER } \
	:: atomic { S(n, w) == APPL && rg[w] != 0 && !IN(rr[w], n) && !DEAD(w) -> confirm(n, w) } \
	:: atomic { S(n, w) == APPL && (DEAD(w) || out[w] == UNKNOWN) -> S(n, w) = OVER }

active proctype Nodes() {
end:	do
	STEPS(0, 1)
	STEPS(1, 1)
	STEPS(2, 1)
#ifdef W2
	STEPS(0, 2)
	STEPS(1, 2)
	STEPS(2, 2)
#endif
#ifdef NODE
	:: atomic { down != 0 -> down = 0 }
#endif
	od
}

inline falls(n) {
	down = B(n); printf("@ node %d dies\n", n);
	for (k : 1 .. 2) {
		if
		:: S(n, k) != NOT -> S(n, k) = OVER
		:: else
		fi
	}
	k = 0
}

active proctype Faults() {
	byte k;
	do
#ifdef CRASH
	:: atomic { faults > 0 && life[0] == 0 -> faults--; life[0]++; live[0] = !RULE_INCARNATION;
		cached[0] = 0; loading[0] = 0; printf("@ proxy 0 dies\n") }
	:: atomic { faults > 0 && life[1] == 0 -> faults--; life[1]++; live[1] = !RULE_INCARNATION;
		cached[1] = 0; loading[1] = 0; printf("@ proxy 1 dies\n") }
#endif
#ifdef FREEZE
	:: atomic { faults > 0 && live[0] -> faults--; live[0] = 0; printf("@ proxy 0 freezes\n") }
	:: atomic { faults > 0 && live[1] -> faults--; live[1] = 0; printf("@ proxy 1 freezes\n") }
#endif
#ifdef NODE
	:: atomic { faults > 0 && down == 0 -> faults--; falls(0) }
	:: atomic { faults > 0 && down == 0 -> faults--; falls(1) }
	:: atomic { faults > 0 && down == 0 -> faults--; falls(2) }
#endif
	:: atomic { faults = 0; break }
	od
}

/* Keeps a proxy a member: what others have changed is applied, then acknowledged. */
proctype Member(byte p) {
	byte s;
end:	do
	:: atomic { live[p] && applied[p] < seq ->
		s = seq;
		if
		:: RULE_APPLY -> forget(p)
		:: else -> applied[p] = s
		fi };
		atomic { applied[p] = s; forget(p) }
	:: atomic { !live[p] -> /* Another incarnation, with an empty cache. */
		inc[p]++; live[p] = 1; cached[p] = 0; loading[p] = 0; applied[p] = seq }
	od
}

/* Which of the current replicas c stay: those that hold what best does. */
#define SAME(n) (IN(c, n) && d[n] == d[best])
#define PARTICIPANT(n) (IN(c & asked, n) && d[n] != ABSENT)
#define GROUP(n) (SAME(0) * (d[0] == d[n]) + SAME(1) * (d[1] == d[n]) + SAME(2) * (d[2] == d[n]))
#define ALIKE(n, m) (IN(c, n) && IN(c, m) && d[n] == d[m])
#define COUNT(n) (ALIKE(n, 0) + ALIKE(n, 1) + ALIKE(n, 2))

inline decide() {
	best = NOBODY;
	if
	:: PARTICIPANT(prim) -> best = prim
	:: else ->
		for (k : 0 .. 2) {
			if
			:: PARTICIPANT(k) && (best == NOBODY || COUNT(k) > COUNT(best)) -> best = k
			:: else
			fi
		}
		k = 0
	fi
}

inline resolve(left) {
	if
	:: RULE_GENERATION -> gen++
	:: else
	fi;
	for (k : 0 .. 2) {
		if
		:: IN(c, k) && rgen[k] == g && (d[k] == d[best] || !RULE_DIGEST) && d[k] != ABSENT ->
			rgen[k] = gen; joining = joining & ~B(k)
		:: rgen[k] == g && !RULE_GENERATION && d[k] != d[best] -> rgen[k] = g - 1
		:: else
		fi
	}
	k = 0;
	if
	:: rgen[prim] == gen
	:: rgen[prim] != gen -> prim = best
	fi;
	epoch++; seq = seq + CACHES; iw = 0; iparts = 0;
	settle = (RULE_SETTLE -> left : 0);
	printf("@ resolved nodes %d primary %d generation %d epoch %d\n", CURRENT, prim, gen, epoch);
	kept()
}

#define RESTS(n) (!IN(settle, n) || FREE(n))

/* Adopts what nobody ends, asks the nodes, decides; and later compares those that could act. */
proctype Recovery(byte p) {
	byte mi, ml, id, e, g, c, asked, my, k, best; byte d[N];
end:	do
	:: atomic {
		iw != 0 && live[p] && ORPHAN ->
		ap = p; ai = inc[p]; num++; epoch++; mi = ai; ml = life[p];
		my = num; id = iw; e = epoch; g = gen; c = CURRENT; asked = iparts & c; k = 0;
		printf("@ adopted write %d proxy %d life %d number %d epoch %d\n", iw, p, mi, num, epoch)
		};
		{
		do
		:: atomic { asked == 0 || k > 2 -> break }
		:: atomic { asked != 0 && k <= 2 ->
			d[k] = disk[k];
			if
			:: IN(down, k) -> d[k] = ABSENT
			:: else
			fi;
			k++ }
		od;
		atomic {
			k = 0;
			if
			:: !((iw == id && ap == p && ai == mi && num == my && epoch == e && gen == g) ||
				!RULE_ADOPTION)
			:: else ->
				if
				:: asked == 0 -> iw = 0; printf("@ dropped write %d\n", id)
				:: else ->
					decide();
					if
					:: best == NOBODY -> ap = NOBODY; marked = 1 /* asked again */
					:: else -> resolve(settle | asked)
					fi
				fi
			fi;
			id = 0; e = 0; g = 0; c = 0; asked = 0; my = 0; best = 0; d[0] = 0; d[1] = 0; d[2] = 0
		}
		} unless { atomic { life[p] != ml ->
			id = 0; e = 0; g = 0; c = 0; asked = 0; my = 0; best = 0; d[0] = 0; d[1] = 0; d[2] = 0;
			k = 0 } }
	:: atomic { /* Nobody can act any more for what was decided: compared under the turn. */
		(settle != 0 || plain) && iw == 0 && live[p] && down == 0 &&
			(!settle || (RESTS(0) && RESTS(1) && RESTS(2))) ->
		mi = inc[p]; ml = life[p]; open_turn(6 + p, p, mi, 0); e = epoch; g = gen; c = CURRENT
		};
		{
		atomic {
			if
			:: iw == 6 + p && !marked && ap == NOBODY && ii == mi && epoch == e && gen == g ->
				asked = c; d[0] = disk[0]; d[1] = disk[1]; d[2] = disk[2];
				decide();
				if
				:: best != NOBODY && (settle != 0 || COUNT(best) != SIZE(c)) ->
					plain = 0; resolve(0)
				:: else -> plain = 0; close_turn(6 + p)
				fi
			:: else
			fi;
			e = 0; g = 0; c = 0; asked = 0; best = 0; d[0] = 0; d[1] = 0; d[2] = 0
		}
		} unless { life[p] != ml -> e = 0; g = 0; c = 0 }
	od
}

#ifdef REPAIR
/* Brings outdated replicas back. A claim of a dead process ends; its number stays. */
proctype Repairs(byte p) {
	byte n, mi, ml, g, src, c, k; bit twice;
end:	do
	:: atomic {
		live[p] && (((CURRENT ^ 7) & ~down) != 0) && ((CURRENT & ~down) != 0) ->
		if
		:: IN(CURRENT ^ 7, 0) && !IN(down, 0) -> n = 0
		:: IN(CURRENT ^ 7, 1) && !IN(down, 1) -> n = 1
		:: IN(CURRENT ^ 7, 2) && !IN(down, 2) -> n = 2
		fi;
		mi = inc[p]; ml = life[p]; claim[n] = 1; printf("@ claimed node %d\n", n);
		if
		:: IN(settle, n) -> /* Removed first: a late commit finds neither locks nor references. */
			disk[n] = ABSENT; rgen[n] = 0; printf("@ emptied node %d\n", n);
			for (k : 1 .. 2) {
				if
				:: S(n, k) != NOT -> S(n, k) = OVER
				:: else
				fi
			}
			k = 0
		:: else
		fi
		};
		{
#ifdef EARLYCOPY
		atomic { /* Beside the writes. */
			if
			:: IN(CURRENT & ~down, 0) && n != 0 -> c = disk[0]
			:: IN(CURRENT & ~down, 1) && n != 1 -> c = disk[1]
			:: IN(CURRENT & ~down, 2) && n != 2 -> c = disk[2]
			:: else -> goto given
			fi };
		atomic {
			if
			:: IN(down, n) -> goto given
			:: !IN(down, n) && FREE(n) -> disk[n] = c; printf("@ copied node %d early\n", n)
			fi };
#endif
		atomic { joining = joining | B(n) };
		atomic { /* The turn, so that sources are at rest. */
			iw == 0 || !LEASED(p, mi) || !RULE_HOLD;
			if
			:: !LEASED(p, mi) -> goto given
			:: LEASED(p, mi) && RULE_HOLD -> open_turn(4 + p, p, mi, 0)
			:: LEASED(p, mi) && !RULE_HOLD
			fi;
			g = gen;
			if
			:: IN(CURRENT & ~down, 0) && n != 0 -> src = 0
			:: IN(CURRENT & ~down, 1) && n != 1 -> src = 1
			:: IN(CURRENT & ~down, 2) && n != 2 -> src = 2
			:: else -> goto given
			fi };
		atomic { c = disk[src] };
		atomic {
			if
			:: IN(down, n) || IN(down, src) -> goto given
			:: !IN(down, n) && !IN(down, src) && FREE(n) -> disk[n] = c;
				printf("@ copied node %d from %d\n", n, src); kept()
			fi };
		atomic { /* Never raised to more than what was read before the copy. */
			g = (RULE_COPIED -> g : gen);
			if
			:: claim[n] == 1 ->
				rgen[n] = (rgen[n] > g -> rgen[n] : g);
				joining = joining & ~B(n); seq = seq + CACHES;
				claim[n] = (rgen[n] != gen);
				printf("@ repaired node %d generation %d\n", n, rgen[n]);
				if
				:: rgen[n] != gen && FAULTS == 0 ->
					printf("@ violation P6 repaired-behind\n"); say_disks(); assert(false)
				:: else
				fi
			:: else
			fi };
given:		atomic { close_turn(4 + p); joining = joining & ~B(n);
			n = 0; g = 0; src = 0; c = 0; mi = 0 }
		} unless { atomic { life[p] != ml ->
			joining = joining & ~B(n); n = 0; g = 0; src = 0; c = 0; mi = 0; k = 0 } }
	od
}
#endif

inline look(n) {
	printf("@ read node %d\n", n);
	if
	:: HOLDS(disk[n], before)
	:: else -> printf("@ violation P2 stale\n"); say_disks(); assert(false)
	fi
}

#ifdef READERS
/* A read through proxy 1, by a cached route. */
proctype Reader() {
	byte before, nodes; bit own;
	atomic { before = acked;
		if
		:: cached[1] && (live[1] || !RULE_CACHE_LEASE) -> nodes = route[1]
		:: !cached[1] && loading[1] -> /* Joins the load under way. */
			nodes = loaded[1]
		:: !live[1] && !(cached[1] && !RULE_CACHE_LEASE) -> nodes = CURRENT
		:: !cached[1] && !loading[1] && live[1] ->
			loading[1] = 1; loaded[1] = CURRENT; nodes = loaded[1]; own = 1
		fi };
	if
	:: own -> atomic {
		if
		:: (loading[1] && loaded[1] == nodes && live[1]) || !RULE_INSERT ->
			cached[1] = 1; route[1] = nodes
		:: else
		fi;
		loading[1] = 0 }
	:: else
	fi;
	if
	:: atomic { IN(nodes & ~down, 0) -> look(0) }
	:: atomic { IN(nodes & ~down, 1) -> look(1) }
	:: atomic { IN(nodes & ~down, 2) -> look(2) }
	:: (nodes & ~down) == 0
	fi
}
#endif

/* When nothing moves any more. */
active proctype Judge() {
	timeout;
	atomic {
		if
		:: iw != 0 -> printf("@ violation stuck turn-held\n"); say_disks(); assert(false)
		:: else
		fi;
		if
		:: (CURRENT & 3) == 3 && disk[0] != disk[1] || (CURRENT & 5) == 5 && disk[0] != disk[2] ||
			(CURRENT & 6) == 6 && disk[1] != disk[2] ->
			printf("@ violation P4 divergence\n"); say_disks(); assert(false)
		:: else
		fi;
#ifdef REPAIR
		if
		:: CURRENT != 7 -> printf("@ violation P4 not-repaired\n"); say_disks(); assert(false)
		:: else
		fi;
#endif
		kept()
	}
}

init {
	atomic {
		run Writer(1, W1);
#ifdef W2
		run Writer(2, W2);
#endif
		if
		:: RECOVERERS > 0 -> run Recovery(1)
		:: else
		fi;
		if
		:: RECOVERERS > 1 -> run Recovery(0)
		:: else
		fi;
		run Member(0); run Member(1);
#ifdef REPAIR
		run Repairs(REPAIR);
#endif
#ifdef READERS
		if /* A route may be cached already. */
		:: cached[1] = 1; route[1] = 7
		:: skip
		fi;
		run Reader();
		if
		:: READERS > 1 -> run Reader()
		:: else
		fi
#endif
	}
}
