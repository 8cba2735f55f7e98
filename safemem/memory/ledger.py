"""The part of a budget that its caches keep alive: what is used, who takes part, what the bound is, and what to do when it is passed.

A cache holds its ledger, the ledger its caches only weakly, so that a budget works for as long as there are caches in it. Locks here are held
for a look at our own numbers, never while a cache is asked for anything: a cache has locks of its own, and letting go runs anybody's code.
"""

from __future__ import annotations

import os
from _thread import get_ident
from collections import Counter, deque
from time import monotonic, thread_time
from typing import TYPE_CHECKING, Any, Final
from weakref import ref

from safemem.core import AccountCore, RemovalCause, new_lock, report_unraisable
from safemem.core._calls import measure_all
from safemem.memory.control import CRITICAL, Control
from safemem.memory.readings import trim

if TYPE_CHECKING:
    from collections.abc import Callable

    from safemem.memory.measuring import Measure
    from safemem.memory.pressure import Readings
    from safemem.memory.sources import Source

__all__ = ["Ledger", "Member"]

# Of how many caches the least valuable entry is looked for at a time, and among how many entries of each. With 16 entries of each cache the
# cost of misses comes near that of an exact order: see the benchmark of two caches.
FEW: Final = 8
SAMPLES: Final = 16

# How many of the coldest entries of a cache are looked at to find where most of them lie, and how large a region is: 64 KiB.
COLDEST: Final = 8192
REGION: Final = 16

# When the level is far from the bound, look at it again after so many bytes more, but not sooner than after this, in seconds.
BYTES_PER_LOOK: Final = 1 << 20
SHORTEST_PAUSE: Final = 0.010

# Seconds between two looks of the thread: as many as it takes at this rate, in bytes a second, until there is something to do, within these
# bounds; and how much later than that stores look themselves, because it does not come.
RATE: Final = 512 << 20
LONGEST_PAUSE: Final = 0.25
LATE: Final = 0.02

# How long to wait for another thread that is letting go, in seconds.
PATIENT: Final = 0.25

# While memory is short: so many steps at one look, and a look after so many seconds.
STEPS: Final = 4
SHORT_PAUSE: Final = 0.003

# To give memory back takes time in proportion to the heap, and holds up whoever allocates meanwhile: so many times as long there is a pause after
# it, but no longer than so many seconds; and it is done if this part of the limit was let go of since. The thread does it, or when the level is
# critical whoever notices.
TRIM_SHARE: Final = 10
TRIM_PAUSE: Final = 0.2
CRITICAL_TRIM_PAUSE: Final = 0.05
LONGEST_TRIM_PAUSE: Final = 10.0
TRIM_WORTH: Final = 1 / 128

# How often, in seconds, to find out whether somebody has changed the limits of the process.
LIMITS_PAUSE: Final = 5.0

# How many times what is owed one reaction lets go of, if callbacks put things back meanwhile, and how often it may be refused.
PATIENCE: Final = 8
_REFUSALS: Final = 100

# What is worth more, by a cost that is no cost, must not make all others as old as itself.
MOST_WORTH: Final = 1e300

_ENDLESS: Final = (1 << 63) - 1


class _Held(ref[Any]):
    """A reference to a cache that knows where it is filed."""

    __slots__ = ("number",)
    number: int


class Member:
    """One cache in a budget."""

    __slots__ = ("floor", "ref", "weight")

    def __init__(self, held: _Held, weight: float, floor: int) -> None:
        self.ref = held
        self.weight = weight
        self.floor = floor


class Ledger(AccountCore):
    """An account with a bound."""

    __slots__ = (
        "_dead",
        "_given_up_on",
        "_guard",
        "_letting_go",
        "_limits_due",
        "_list",
        "_look_due",
        "_members",
        "_reacting",
        "_tidy_due",
        "_tidy_pause",
        "_trim_due",
        "_trimmed_at",
        "_turn",
        "_working",
        "control",
        "let_go_bytes",
        "let_go_count",
        "source",
        "timer",
        "trimmed_bytes",
        "trims",
        "watcher",
    )

    def __init__(self, source: Source, low: float, high: float, timer: Callable[[], float]) -> None:
        super().__init__()
        now = timer()
        self.source = source
        self.timer = timer
        self.control = Control(source.limit, low, high, now)
        self.let_go_count = 0
        self.let_go_bytes = 0
        self.trims = 0
        self.trimmed_bytes = 0
        self.watcher: tuple[int, int] | None = None  # the process and the thread that watches, if there is one
        self._trimmed_at = 0
        self._trim_due = self._tidy_due = 0.0  # of the system's clock, as it is about what trimming takes
        self._tidy_pause = TRIM_PAUSE
        self._guard = new_lock()
        self._members: dict[int, Member] = {}  # by id(cache)
        self._list: list[Member] | None = None
        self._dead: deque[_Held] = deque()
        self._letting_go: tuple[int, int] | None = None  # the process in which a thread is at it, and what was used when it began
        self._given_up_on: tuple[int, int] | None = None
        self._working = new_lock()  # held while letting go because of the level: whoever waits for it does so for a moment only
        self._reacting: dict[int, int] = {}  # threads, and in which process: a fork leaves others behind
        self._turn = 0
        self._look_due = now
        self._limits_due = now + LIMITS_PAUSE
        self._set_alarm()

    @property
    def watches(self) -> bool:
        """Whether the level counts."""
        return self.source.watches

    @property
    def level(self) -> float | None:
        """How much is in use, from 0 to 1 and beyond, read now; None if nothing tells."""
        return self.source.read().level

    # -- who takes part -------------------------------------------------------------------------------------------------------------

    def enter(self, cache: Any, measure: Measure, weight: float, floor: int) -> None:
        """Charge a cache for its entries from now on; ValueError if another budget does. Calls the functions that measure."""
        if not cache._open_account(self, measure, measure.own, measure.common):
            msg = (
                f"cache is in another budget, from which it has to be detached first, got {type(cache).__name__} with {len(cache)} entries"
            )
            raise ValueError(msg)
        try:
            measure_all(cache)
        except BaseException:
            cache._close_account()
            raise
        held = _Held(cache, self._dead.append)
        held.number = id(cache)
        with self._guard:
            self._members[held.number] = Member(held, weight, floor)
            self._list = None
        if self.used > self.alarm:
            self.react()

    def leave(self, cache: Any) -> bool:
        """Charge a cache for nothing from now on; return whether it was in this budget."""
        with self._guard:
            member = self._members.get(id(cache))
            if member is not None and member.ref() is cache:
                del self._members[id(cache)]
                self._list = None
        mine = cache._account is self
        if mine:
            cache._close_account()
        return bool(mine)

    def member_of(self, cache: Any) -> Member | None:
        """Return what is known of a cache in this budget."""
        member = self._members.get(id(cache))
        mine = member is not None and member.ref() is cache
        return member if mine and cache._account is self else None

    def members(self) -> list[Member]:
        """Return all members, some of whose caches may be gone."""
        found = self._list
        if self._dead or found is None:
            with self._guard:
                while self._dead:
                    dead = self._dead.popleft()
                    member = self._members.get(dead.number)
                    if member is not None and member.ref is dead:
                        del self._members[dead.number]
                self._list = found = list(self._members.values())
        return found

    def caches(self) -> list[Any]:
        """Return the caches of all members; the pure core asks."""
        return [cache for member in list(self._members.values()) if (cache := member.ref()) is not None]

    # -- reacting -------------------------------------------------------------------------------------------------------------------

    def react(self) -> None:
        """Do what a store calls for; never raises what is not the caller's."""
        self._react(watching=False)

    def watch(self) -> float:
        """Do what is to be done now, as the thread does it: without asking whether it is time to; return the seconds until the next time."""
        self._react(watching=True)
        return self._pause()

    def _pause(self) -> float:
        room = self.control.room
        return LONGEST_PAUSE if room is None else min(max(room / RATE, SHORTEST_PAUSE), LONGEST_PAUSE)

    def unwatch(self) -> None:
        """Take note that the thread has ended."""
        self.watcher = None
        self._look_due = self._limits_due - LIMITS_PAUSE

    def _react(self, *, watching: bool) -> None:
        thread, process = get_ident(), os.getpid()
        if self._reacting.get(thread) == process:  # a callback of ours: whoever called it goes on when it returns
            return
        self._reacting[thread] = process
        try:
            if self.watches:
                self._wait()
            self.enforce()
            if self.watches:
                self.look(watching=watching)
                if not self.control.short:  # the limit may have become lower
                    self.enforce()
        except Exception as error:  # noqa: BLE001 - of a timer, or a weird cache: not the caller's
            report_unraisable(error)
        finally:
            self._reacting.pop(thread, None)

    def enforce(self) -> None:
        """Let go of what is more than the bound."""
        bound = self.control.bound
        other = self._letting_go
        if other is not None and other[0] == os.getpid():  # another thread brings it down to the bound: here it only must not grow
            bound = max(bound, other[1])
        most = (self.used - bound) * PATIENCE
        for spare in (True, False):  # what others use costs nothing to let go of, but that gains nothing either
            if self.used <= bound:
                return
            most -= self._let_go(SAMPLES, spare=spare, until=bound, most=most)[0]

    def look(self, *, watching: bool) -> None:
        """Look at the level, if it is time to, and do what it calls for."""
        now = self.timer()
        if not watching and self._look_due > now >= self._look_due - LONGEST_PAUSE - LATE:
            self._set_alarm()
            return
        self._look_due = now + (LONGEST_PAUSE + LATE if watching else SHORTEST_PAUSE)
        if not self._limits_due > now >= self._limits_due - LIMITS_PAUSE:
            self._limits_due = now + LIMITS_PAUSE
            self.source.look_again()
        if not self._working.acquire(timeout=PATIENT):
            return
        try:
            self._do_what_is_called_for(now)
        finally:
            self._letting_go = None
            self._working.release()
        if watching:
            if self.control.is_growing_again(self.used):
                self._tidy()
            self._look_due = now + self._pause() + LATE
        elif self.control.short:
            self._look_due = now + SHORT_PAUSE

    def _do_what_is_called_for(self, now: float) -> None:
        for _ in range(STEPS):
            readings = self.source.read()
            with self._guard:
                self.control.limit = self.source.limit
                used = self.used
                step = self.control.decide(readings, used, now)
                if step > 0:
                    self._letting_go = os.getpid(), used
                self._set_alarm()
            if step > 0:
                self._let_go_together(step)
            if self.control.short:
                self._give_back(readings)
            if step <= 0:
                return

    def _wait(self) -> None:
        """Wait for the thread that is letting go, for who goes on storing meanwhile may be faster; not long, and not again if it takes long."""
        round_ = self._letting_go
        if round_ is None or round_ is self._given_up_on or round_[0] != os.getpid():
            return
        if self._working.acquire(timeout=PATIENT):
            self._working.release()
        else:
            self._given_up_on = round_

    def _give_back(self, before: Readings) -> None:
        """Give free memory back to the system, if it is time to, and find out how much less is in use than before."""
        critical = before.level is not None and before.level > CRITICAL
        worth = self.let_go_bytes - self._trimmed_at >= TRIM_WORTH * (before.limit or 0)
        now = monotonic()
        if worth and self._may_trim(critical=critical) and now >= self._trim_due:
            self._trim(CRITICAL_TRIM_PAUSE if critical else TRIM_PAUSE)
            self._tidy_due, self._tidy_pause = now, TRIM_PAUSE
        after = self.source.read()
        if before.used is not None and after.used is not None:
            with self._guard:
                self.control.came_back(before.used - after.used)

    def _tidy(self) -> None:
        """Give back what lies free because of what went before, and counts as in use: ever less often if that is little."""
        now = monotonic()
        if now >= self._tidy_due:
            much = self._trim(LONGEST_TRIM_PAUSE) >= TRIM_WORTH * self.source.limit
            self._tidy_pause = TRIM_PAUSE if much else min(2 * self._tidy_pause, LONGEST_TRIM_PAUSE)
            self._tidy_due = max(self._trim_due, now + self._tidy_pause)

    def _trim(self, longest: float) -> int:
        """Give free memory back to the system, and see to it that this is not done all the time; return how much it was."""
        started, now = thread_time(), monotonic()
        self._trimmed_at = self.let_go_bytes
        nbytes = trim()
        self.trims += 1
        self.trimmed_bytes += nbytes
        self._trim_due = now + min(max(SHORTEST_PAUSE, TRIM_SHARE * (thread_time() - started)), longest)
        return nbytes

    def _may_trim(self, *, critical: bool) -> bool:
        watcher = self.watcher
        return critical or watcher == (os.getpid(), get_ident())

    def _set_alarm(self) -> None:
        bound = self.control.bound
        self.alarm = min(bound, self.used + BYTES_PER_LOOK) if self.watches else min(bound, _ENDLESS)

    # -- letting go -----------------------------------------------------------------------------------------------------------------

    def reclaim(self, nbytes: int) -> int:
        """Let go of entries until so many bytes are free, or nothing is left that may go; return how many are."""
        return self._let_go(SAMPLES, spare=True, wanted=nbytes)[1]

    def _let_go(self, samples: int, *, spare: bool, until: int = 0, most: int = _ENDLESS, wanted: int = _ENDLESS) -> tuple[int, int]:
        """Give up the least valuable entries; return the bytes let go of, and those that this has freed.

        `until`: what may stay in use. `most`: of what was let go of. `wanted`: of what it has freed.
        """
        let_go = freed = count = refused = 0
        try:
            while self.used > until and let_go < most and freed < wanted and refused < _REFUSALS:
                found = self._find_least(samples, spare=spare)
                if found is None:
                    break
                (score, nbytes, handle), cache, floor = found
                done = cache._give_up(handle, RemovalCause.PRESSURE, floor)
                del cache, found
                if done < 0:
                    refused += 1
                    continue
                if self.clock < score < MOST_WORTH:
                    self.clock = score
                let_go += nbytes
                freed += done
                count += 1
        finally:
            if count:
                self._count(count, let_go)
        return let_go, freed

    def _let_go_together(self, nbytes: int) -> None:
        """Let go of about so many bytes of cold entries that lie together in memory: only what is free in whole pages can go back.

        The regions are those in which most of the coldest entries of all caches lie; what else lies there goes too.
        """
        goal = self.used - nbytes
        members = [
            (cache, member.floor) for member in self.members() if (cache := member.ref()) is not None and cache._charged > member.floor
        ]
        cold = Counter[int]()
        for cache, _floor in members:
            cold.update(cache._cold_regions(COLDEST, REGION))
        regions = [region for region, _number in cold.most_common(max(nbytes >> REGION, 1))]
        count = let_go = 0
        for cache, floor in members:
            if self.used > goal:
                number, less = cache._give_up_regions(regions, REGION, RemovalCause.PRESSURE, floor, self.used - goal)
                count += number
                let_go += less
        self._count(count, let_go)

    def _count(self, count: int, nbytes: int) -> None:
        with self._guard:
            self.let_go_count += count
            self.let_go_bytes += nbytes

    def _find_least(self, samples: int, *, spare: bool) -> tuple[tuple[float, int, int], Any, int] | None:
        """Return the least valuable of some entries of a few caches, with its cache and the floor of that."""
        members = self.members()
        count = len(members)
        start = 0
        if count > FEW:
            self._turn = start = (self._turn + FEW) % count
        for first in range(start, start + count, FEW):
            best: tuple[tuple[float, int, int], Any, int] | None = None
            for place in range(first, min(first + FEW, start + count)):
                member = members[place % count]
                cache = member.ref()
                if cache is None or cache._account is not self:
                    continue
                offer = cache._offer(samples, member.weight, member.floor, spare)
                if offer is not None and (best is None or offer[0] < best[0][0]):
                    best = offer, cache, member.floor
            if best is not None:
                return best
        return None
