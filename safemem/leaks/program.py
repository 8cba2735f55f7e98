"""The audit of a whole program, from its first line to where its exit handlers run: as that of a stretch, and by the calls of its functions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from safemem.leaks.calls import CallClock
from safemem.leaks.evidence import ExitHandlers
from safemem.leaks.fills import is_variable_of_program, names_along, names_in_program
from safemem.leaks.findings import leak_of_exit_handler
from safemem.leaks.pace import Paces
from safemem.leaks.session import Audit

if TYPE_CHECKING:
    from safemem.leaks.report import Leak
    from safemem.leaks.walk import Way

__all__ = ["AuditOfProgram"]

_STEADY: Final = 100  # entries, or exit handlers, that are enough if as many came with each call


class AuditOfProgram(Audit):
    """The audit of a whole program, which also tells what grows by as much for each call of its functions: few are enough for that.

    A table that the body of the program or one call of a function fills is none of that, though other functions are called for each of its rows; nor
    is what a function adds to that calls itself.
    """

    __slots__ = ("_clock", "_exits", "_found", "_paces")

    def start(self) -> None:
        """Begin."""
        super().start()
        self._found: list[Leak] = []
        self._exits = ExitHandlers()
        self._exits.begin()
        self._clock = clock = CallClock()
        self._paces = Paces(self._objects, lambda: clock.calls)
        clock.start(self._paces.look)

    def before_exit_handlers(self) -> None:
        """Find cycles, and what has grown: what is emptied only when the program ends has leaked all the same."""
        self._clock.stop()
        self._exits.end()
        self._found = [self._with_line(leak) for leak in super()._left_so_far()]
        if self._exits.more >= _STEADY:
            self._found += [
                leak_of_exit_handler(*handler, count, "than at the start")
                for handler, count in self._exits.names.items()
                if count >= _STEADY
            ]

    def _left_so_far(self) -> list[Leak]:
        return self._found

    def _growing(self) -> set[int]:
        return super()._growing() | self._paces.addresses

    def _least(self, obj: Any) -> int:
        return _STEADY if self._is_steady(obj) else super()._least(obj)

    def _is_steady(self, obj: Any) -> bool:
        return not self._clock.ended and self._paces.is_steady(obj)

    def _is_filled(self, way: Way, obj: Any) -> bool:
        if super()._least(obj):
            return super()._is_filled(way, obj)
        if self._paces.is_made_first(id(obj)) and is_variable_of_program(way, obj):
            return True
        names = names_in_program(way)
        return bool(names) and not any(map(self._clock.is_added_to_again_and_again, names))

    def _with_line(self, leak: Leak) -> Leak:
        """Say which line adds to it, as far as it can be told from the functions that were called."""
        names = names_along(leak.path.edges) if leak.path is not None and leak.kind != "cycle" else []
        lines = (self._clock.line_that_adds(name, leak.count) for name in reversed(names))
        return replace(leak, where=leak.where or next(filter(None, lines), None))
