"""Which temporary files and shared memory this program makes, while an audit runs: names alone do not tell whose they are.

The modules `tempfile` and `multiprocessing.shared_memory` reach the system through a module in their globals. While somebody audits, a stand-in that
notes the name and the line is there instead; when the last audit is over, the module is back. Nothing is hooked that other code sees.
"""

from __future__ import annotations

import sys
import weakref
from typing import Any, Final, NamedTuple

from safemem._finalize import attach
from safemem.leaks.places import place_of

__all__ = ["Made", "Recording", "made"]


class Made(NamedTuple):
    """Something that was made while an audit ran."""

    path: str
    kind: str  # "tempfile" or "shm"
    where: str | None


_made: Final[dict[str, Made]] = {}
_audits: Final[dict[int, weakref.ref[Recording]]] = {}


def made() -> list[Made]:
    """Return what was made, in that order, whether it is still there or not."""
    return list(_made.values())


class Recording:
    """An audit's claim to the recording: it goes on while there is one of these."""

    __slots__ = ("__weakref__",)

    def __init__(self) -> None:
        _audits[id(self)] = weakref.ref(self)
        attach(self, _end, id(self))
        install()


def install() -> None:
    """Put the stand-ins in place, into modules that are imported by now."""
    for module, name, kind in ((sys.modules.get("tempfile"), "_sys", _System), (sys.modules.get(_SHM), "_posixshmem", _Memory)):
        original = None if module is None else vars(module).get(name)
        if original is not None and type(original) is not kind:
            vars(module)[name] = kind(original)


def _end(number: int) -> None:
    _audits.pop(number, None)
    if not _audits:
        for module, name in ((sys.modules.get("tempfile"), "_sys"), (sys.modules.get(_SHM), "_posixshmem")):
            found = None if module is None else vars(module).get(name)
            if module is not None and isinstance(found, _StandIn):
                vars(module)[name] = found.original
        _made.clear()


_SHM: Final = "multiprocessing.shared_memory"


class _StandIn:
    """A module with some functions of its own."""

    def __init__(self, original: Any) -> None:
        self.original = original

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


class _System(_StandIn):
    """`sys` as `tempfile` sees it: every temporary file and directory is announced there before it is made."""

    def audit(self, event: str, *args: Any) -> None:
        self.original.audit(event, *args)
        if event in {"tempfile.mkstemp", "tempfile.mkdtemp"} and args and type(args[0]) is str:
            _made[args[0]] = Made(args[0], "tempfile", place_of(sys._getframe(1)))


class _Memory(_StandIn):
    """`_posixshmem` as `SharedMemory` sees it."""

    def shm_open(self, path: str, flags: int, mode: int = 0o777) -> int:
        import os

        descriptor: int = self.original.shm_open(path, flags, mode=mode)
        if flags & os.O_CREAT:
            _made[f"/dev/shm{path}"] = Made(f"/dev/shm{path}", "shm", place_of(sys._getframe(1)))
        return descriptor
