"""The picture of why, for a monitor that is alarmed: what grows between some looks at the heap, or all that is open now."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from safemem.leaks.inspect import why_alive
from safemem.leaks.probes import Snapshot, compare, snapshot
from safemem.leaks.report import LeakReport

if TYPE_CHECKING:
    from safemem.leaks.report import RetentionPath

__all__ = ["Picture", "picture_of_open"]

ENOUGH: Final = 8  # looks after which an audit takes its time

_OF_THREADS: Final = frozenset({"thread", "event_loop"})


class Picture:
    """An audit that runs from one tick of a monitor to another. Each look takes about a second for 1,000,000 objects."""

    __slots__ = ("_audit",)

    def __init__(self) -> None:
        from safemem.leaks.session import Audit

        self._audit = Audit()
        self._audit.start()
        self._look_only_when_asked()

    def look(self) -> None:
        """Look again: what has not grown by now is not shown."""
        self._audit.look()
        self._look_only_when_asked()

    def _look_only_when_asked(self) -> None:
        """Let the audit not look whenever the collector has run: a slow leak does not grow from each run to the next."""
        self._audit._looks = max(self._audit._looks, ENOUGH)
        self._audit._next = math.inf

    def finish(self) -> LeakReport:
        """Look for the fourth time, the last, and return what grew all the while."""
        self._audit.look()
        return LeakReport(self._audit.stop().leaks)

    def drop(self) -> None:
        """End without a result."""
        self._audit.stop()


def picture_of_open(kind: str) -> LeakReport:
    """Return all that is open and held now: descriptors for "fds", threads for "threads"."""
    now = snapshot(explain=False)
    found = compare(Snapshot({}, now.memory, now.recording), now, name_holder=_holder)
    of_threads = kind == "threads"
    return LeakReport(tuple(leak for leak in found if (leak.kind in _OF_THREADS) == of_threads and leak.kind != "listener"))


def _holder(obj: object) -> RetentionPath | None:
    return why_alive(obj) or None
