"""Which containers grow at a steady pace: over stretches each twice as long as the one before, by as much for each call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from safemem.leaks.fills import is_importing, variables_of_program
from safemem.leaks.heap import census, referents_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from safemem.leaks.heap import Table

__all__ = ["Paces"]

_STRETCHES: Final = 3  # that are enough
_LEAST: Final = 4  # entries to be expected, for their absence to mean something


class _Pace(NamedTuple):
    size: int
    rate: float  # entries for each call in the last stretch; 0 in the first one, of which only the end is known
    stretches: int
    made_first: bool  # whether no variable of the main module referred to it when it grew


class Paces:
    """How fast each container has grown in each stretch; made of addresses and numbers, it keeps nothing alive."""

    __slots__ = ("_calls", "_calls_now", "_objects", "_paces", "_table")

    def __init__(self, objects: Callable[[], list[Any]], calls_now: Callable[[], int]) -> None:
        self._objects = objects
        self._calls_now = calls_now
        self._table: Table = None
        self._paces: dict[int, _Pace] = {}
        self._calls = 0

    @property
    def addresses(self) -> set[int]:
        """The addresses of what has grown in the last stretch."""
        return set(self._paces)

    def look(self) -> None:
        """End a stretch and begin another; one at a time. In the middle of an import the stretch goes on: what imports fill is full when they are through."""
        if is_importing():
            return
        objects = self._objects()
        self._table, grown, _ = census(objects, self._table)
        objects.clear()
        named = variables_of_program()
        calls = self._calls_now()  # other threads go on
        paces = {id(obj): self._next_pace(obj, calls - self._calls, id(obj) in named) for obj in grown}
        grown.clear()
        self._paces = {address: pace for address, pace in paces.items() if pace is not None}
        self._calls = calls

    def _next_pace(self, obj: Any, calls: int, named: bool) -> _Pace | None:
        size = len(referents_of(obj))
        before = self._paces.get(id(obj))
        if before is None:
            return _Pace(size, 0.0, 1, not named)
        rate = (size - before.size) / max(1, calls)
        if rate <= 0.0:
            return None
        return _Pace(size, rate, before.stretches + 1 if rate >= before.rate / 2 else 2, before.made_first or not named)

    def is_made_first(self, address: int) -> bool:
        """Whether no variable of the main module referred to a container when it grew."""
        pace = self._paces.get(address)
        return pace is not None and pace.made_first

    def is_steady(self, obj: Any) -> bool:
        """Whether a container grew by as much for each call in several stretches, and since then."""
        pace = self._paces.get(id(obj))
        if pace is None:
            return False
        calls = self._calls_now()
        is_stretch = calls >= self._calls * 3 // 2  # what came since the last look is long enough to count as one
        more = len(referents_of(obj)) - pace.size
        expected = pace.rate * (calls - self._calls)
        goes_on = more >= expected / 2 or (more >= 0 and expected < _LEAST)
        return goes_on and pace.stretches + is_stretch >= _STRETCHES
