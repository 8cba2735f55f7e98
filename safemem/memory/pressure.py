"""How short memory is: the data, and the signals behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from safemem.memory.kernel import KernelFile
from safemem.memory.limits import find_limits

if TYPE_CHECKING:
    from typing import Literal

    from safemem.memory.limits import Limit

__all__ = ["Pressure", "Readings", "Signals"]


class Readings(NamedTuple):
    """What the signals say at one moment; None where this system does not tell.

    Attributes:
        level: how much of the tightest bound is in use, 0 to 1 and beyond.
        used: the bytes that count against it.
        limit: the bound, in bytes.
        source: in words, what sets it.
        psi: the share of the last ten seconds in which some task waited for memory, in percent: of the control group, or of the machine.
    """

    level: float | None
    used: int | None
    limit: int | None
    source: str | None
    psi: float | None


class Pressure(NamedTuple):
    """How short memory is.

    Attributes:
        state: "none", "soft" (let go of what is cheap) or "hard" (let go of what can be let go of).
        reason: in words.
        readings: what that was concluded from.

    >>> Pressure("none", "12 % of 512.0 MB in use").state
    'none'
    """

    state: Literal["none", "soft", "hard"]
    reason: str
    readings: Readings = Readings(None, None, None, None, None)


class Signals:
    """The signals there are on this system, found once, to be read often; from any thread, and after a fork."""

    __slots__ = ("_psi", "limits")

    def __init__(self, root: str = "/") -> None:
        self.limits: list[Limit] = [limit for limit in find_limits(root) if limit.kind != "rlimit"]
        self._psi = KernelFile(root.rstrip("/") + "/proc/pressure/memory")

    def read(self) -> Readings:
        """Return what they say now: of the bound that most is used of."""
        tightest: tuple[float, int, Limit] | None = None
        for limit in self.limits:
            used = limit.used
            if used is not None:
                level = used / limit.bytes if limit.bytes else 1.0
                if tightest is None or level > tightest[0]:
                    tightest = (level, used, limit)
        psi = self._read_psi()
        if tightest is None:
            return Readings(None, None, None, None, psi)
        level, used, limit = tightest
        return Readings(level, used, limit.bytes, limit.source, psi)

    def _read_psi(self) -> float | None:
        text = self._psi.read()
        if not text.startswith(b"some avg10="):
            return None
        return float(text[11 : text.index(b" ", 11)])
