"""How much the caches of a budget may hold, from what the system says: the rules, without the system.

Two quantities are compared: the bytes accounted for the caches, which are exact, and the level, the part of what the process may use that is
in use. Only the level tells of danger, but to let it steer alone would empty the caches: of what Python frees, much stays with the process.
So the rules are about how much to let go of:

* Above `high`, let go in small steps of as much as is missing to the middle of the band. What was let go of and did not come back to the
  system counts as given: it can be used again within the process. Once all has been given, stop and hold (*freeze*), however high the level
  stays, unless it rises; above `CRITICAL` give as much again, once.
* Between `low` and `high`, hold: what comes in takes the place of what is there.
* Below `low`, grow: at once by what is free if memory was never short, else by half of it in a second.
* Where nothing tells how much is in use, only the accounted bytes are bounded; if it was told before, they do not grow beyond what they might then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from safemem.memory.pressure import Readings

__all__ = ["CRITICAL", "Control"]

CRITICAL: Final = 0.95

# The most that one step lets go of, as a part of what is accounted, and the least that is worth a step.
STEP: Final = 0.08
LEAST_STEP: Final = 64 << 10

# How much of what is free is taken into use in a second, once memory was short.
REGROWTH: Final = 0.5


class Control:
    """The state behind the rules; for one thread at a time.

    Attributes:
        bound: what the caches may hold now, in bytes.
        level: the last one, 0.0 if there is none.
        short: whether the level was above `high`, and has not been below since.
        frozen: whether it stopped letting go because that did not help.
        freezes: how many times it did.
        room: how many bytes more may be in use before there is something to do, as of the last look; None if nothing tells.
    """

    __slots__ = (
        "_given",
        "_grown_at",
        "_told",
        "_was_short",
        "bound",
        "freezes",
        "frozen",
        "high",
        "level",
        "limit",
        "low",
        "room",
        "short",
    )

    def __init__(self, limit: int, low: float, high: float, now: float) -> None:
        self.limit = limit
        self.low = low
        self.high = high
        self.bound = limit
        self.level = 0.0
        self.short = False
        self.frozen = False
        self.freezes = 0
        self.room: int | None = None
        self._was_short = False
        self._told = False
        self._given = 0
        self._grown_at = now

    def is_growing_again(self, accounted: int) -> bool:
        """Whether memory was short, and the caches would be larger if less of it were in use now."""
        return self._was_short and self.level < self.low and accounted > self.bound - (self.bound >> 3)

    def decide(self, readings: Readings, accounted: int, now: float) -> int:
        """Set the bound from what is in use, and return how many bytes to let go of now."""
        level, used, limit = readings.level, readings.used, readings.limit
        passed, self._grown_at = max(now - self._grown_at, 0.0), now
        self.level = level or 0.0
        self.room = None if used is None or limit is None else int(self.high * limit) - used
        if level is not None and used is not None and limit is not None and level > self.high:
            return self._shrink(level, used, limit, accounted)
        self.short = self.frozen = False
        self._given = 0
        told = level is not None and readings.unknown is None
        if self._told and not told:
            self.bound = min(self.bound, self.limit)
        elif level is None or used is None or limit is None:
            self.bound = self.limit
        elif level >= self.low:
            self.bound = min(self.bound, max(accounted, 0), self.limit)
        else:
            self._grow(int(self.low * limit) - used, accounted, passed)
        self._told = self._told or told
        return max(accounted - self.bound, 0)

    def came_back(self, nbytes: int) -> None:
        """Say how much of what was let go of the system has got back."""
        self._given = max(self._given - max(nbytes, 0), 0)

    def _shrink(self, level: float, used: int, limit: int, accounted: int) -> int:
        self.short = self._was_short = True
        missing = used - int((self.low + self.high) / 2 * limit)
        if level <= (self.high + CRITICAL) / 2:  # if it rises from here, that is something new
            self._given = min(self._given, missing)
        owed = missing * (2 if level > max(CRITICAL, self.high) else 1) - self._given
        if owed <= 0 or accounted <= 0:
            self.freezes += not self.frozen
            self.frozen = True
            self.room = int(CRITICAL * limit) - used
            self.bound = min(self.bound, accounted, self.limit)
            return max(accounted - self.bound, 0)
        self.frozen = False
        step = min(owed, max(int(STEP * accounted), LEAST_STEP), accounted)
        self._given += step
        self.bound = min(self.bound, accounted - step, self.limit)
        return accounted - self.bound

    def _grow(self, free: int, accounted: int, passed: float) -> None:
        most = min(accounted + free, self.limit)
        if self._was_short and most > self.bound:
            self.bound += int((most - self.bound) * min(REGROWTH * passed, 1.0))
        else:
            self.bound = most
