"""How short memory is: the data, and the signals behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from safemem.memory.kernel import KernelFile, read_bytes
from safemem.memory.limits import find_limits, groups
from safemem.memory.systems import pressure_level

if TYPE_CHECKING:
    from typing import Literal

    from safemem.memory.limits import Limit

__all__ = ["Pressure", "Readings", "Signals", "carry_over"]

_AS_IT_WAS: Final = ", as it was before its file could not be read any more"


class Readings(NamedTuple):
    """What the signals say at one moment; None where this system does not tell.

    Attributes:
        level: how much is in use of the bound that most is in use of: 0 to 1, and beyond where that is soft.
        used: the bytes that count against that bound.
        limit: the bound, in bytes.
        source: in words, what sets it.
        stalled: the share of the last ten seconds in which some task of the control group, or of the machine, waited for memory: 0 to 1. No early
            warning: without swap and page cache it is 0 until the end.
        warning: what the system says in so many words: 1 for normal, 2 for a warning, 4 for critical; macOS only.
        unknown: in words, the bound of a control group of which nothing tells how much is in use, if it is lower than those of which something does.
    """

    level: float | None = None
    used: int | None = None
    limit: int | None = None
    source: str | None = None
    stalled: float | None = None
    warning: int | None = None
    unknown: str | None = None


class Pressure(NamedTuple):
    """How short memory is, as `MemoryBudget.pressure()` finds it.

    Attributes:
        state: "none", "soft" (grow no more, let go of the least valuable) or "hard" (let go of what can be let go of).
        reason: in words.
        readings: what that was concluded from.

    >>> Pressure("none", "12 % of 512.0 MB in use").state
    'none'
    """

    state: Literal["none", "soft", "hard"]
    reason: str
    readings: Readings = Readings()


Pressure.__module__ = "safemem"


class Signals:
    """The signals there are on this system, found once, to be read often, from any thread and in forked children.

    Attributes:
        limits: the bounds whose use is read: control groups and the machine; resource limits are no such bounds, for what they count does not fall.
        stall_source: the file that tells how long tasks waited for memory; None if there is none.
        membership: what the system says of the control groups that this process is in.

    >>> readings = Signals().read()
    >>> readings.level is None or readings.level > 0
    True
    """

    __slots__ = ("_stalls", "limits", "membership", "stall_source")

    def __init__(self, root: str = "/") -> None:
        self.membership = read_bytes(root.rstrip("/") + "/proc/self/cgroup")
        self.limits: list[Limit] = [limit for limit in find_limits(root) if limit.kind != "rlimit"]
        files = [f"{folder}/memory.pressure" for version, folder, _ in groups(root) if version == 2]
        found = [KernelFile(path) for path in (*files, root.rstrip("/") + "/proc/pressure/memory")]
        self._stalls = next((file for file in found if file.read()), None)
        self.stall_source = None if self._stalls is None else self._stalls.path

    def read(self) -> Readings:
        """Return what they say now: of the bound that most is in use of."""
        found: list[tuple[float, int, Limit]] = []
        blind: list[Limit] = []
        for limit in self.limits:
            used = limit.used
            if used is not None:
                found.append((used / max(limit.bytes, 1), used, limit))
            elif limit.kind == "cgroup":
                blind.append(limit)
        told = min((limit.bytes for _, _, limit in found if limit.kind == "cgroup"), default=None)
        unknown = next((limit.source for limit in blind if told is None or limit.bytes < told), None)
        stalled, warning = self._read_stalls(), pressure_level()
        if not found:
            return Readings(stalled=stalled, warning=warning, unknown=unknown)
        level, used, limit = max(found, key=lambda each: each[0])
        return Readings(level, used, limit.bytes, limit.source, stalled, warning, unknown)

    def _read_stalls(self) -> float | None:
        text = b"" if self._stalls is None else self._stalls.read()
        if not text.startswith(b"some avg10="):
            return None
        return float(text[11:].split(None, 1)[0]) / 100


def carry_over(before: Signals, now: Signals) -> None:
    """Let bounds hold that were there before and whose files cannot be read now, unless the process has left its control groups.

    A bound that was lifted has a file that says so; a file that is gone, or may not be read any more, says nothing, and the kernel goes on counting.
    """
    if now.membership not in {b"", before.membership}:
        return
    known = {limit.path for limit in now.limits}
    for limit in before.limits:
        if limit.path and limit.path not in known and not read_bytes(limit.path):
            limit.source = limit.source.removesuffix(_AS_IT_WAS) + _AS_IT_WAS
            now.limits.append(limit)
    now.membership = now.membership or before.membership
