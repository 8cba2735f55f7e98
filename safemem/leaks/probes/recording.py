"""Which temporary files and shared memory this program makes, while an audit runs: names alone do not tell whose they are.

The modules `tempfile` and `multiprocessing.shared_memory` reach the system through a module in their globals. While somebody audits, a stand-in that
notes the name and the line is there instead; when the last audit is over, the module is back. Nothing is hooked that other code sees.
"""

from __future__ import annotations

import os
import sys
import weakref
from typing import Any, Final, NamedTuple

from safemem._finalize import attach
from safemem.leaks.places import opener_of, place_of

__all__ = ["Made", "Recording", "is_opened_by_library", "made", "note_openings", "opened_at", "own_tables"]


class Made(NamedTuple):
    """Something that was made while an audit ran."""

    path: str
    kind: str  # "tempfile" or "shm"
    where: str | None


_MANY: Final = 1000
_made: Final[dict[str, Made]] = {}
_audits: Final[dict[int, weakref.ref[Recording]]] = {}


def made() -> list[Made]:
    """Return what was made, in that order, whether it is still there or not; what is not is forgotten when there is much of it."""
    if len(_made) > _MANY:
        for path in [path for path in [*_made] if not os.path.lexists(path)]:
            _made.pop(path, None)
    return list(_made.values())


def own_tables() -> list[Any]:
    """Return what grows here while the program makes things: no leak of theirs."""
    return [_made, _openings]


class Recording:
    """An audit's claim to the recording: it goes on while there is one of these."""

    __slots__ = ("__weakref__",)

    def __init__(self) -> None:
        _audits[id(self)] = weakref.ref(self)
        attach(self, _end, id(self)).atexit = False  # what is left is counted after the exit handlers
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
        descriptor: int = self.original.shm_open(path, flags, mode=mode)
        if flags & os.O_CREAT:
            _made[f"/dev/shm{path}"] = Made(f"/dev/shm{path}", "shm", place_of(sys._getframe(1)))
        return descriptor


# -- where files and sockets are opened: for a process that is there to be audited ------------------------------------------------------------

_openings: Final[dict[tuple[str, object], tuple[str, bool]]] = {}
_MOST: Final = 20_000
_noting = False


def note_openings() -> None:
    """From now on note the line of whoever opens a file, a socket, a database or a child process; about 2 us for each.

    The interpreter lets nobody take an audit hook back, so this is for a process that lives for the audit, as that of `safemem audit`.
    """
    global _noting  # noqa: PLW0603 - once in a process, for good
    if not _noting:
        _noting = True
        sys.addaudithook(_note)


def opened_at(kind: str, name: str, address: int) -> str | None:
    """Return the line where a file of this name, or an object at this address, was opened last, if that was noted."""
    found = _opening(kind, name, address)
    return None if found is None else found[0]


def is_opened_by_library(kind: str, name: str, address: int) -> bool:
    """Whether that was noted, and it was an installed library that opened it last."""
    found = _opening(kind, name, address)
    return found is not None and found[1]


def _opening(kind: str, name: str, address: int) -> tuple[str, bool] | None:
    return _openings.get((kind, address)) or (_openings.get(("path", os.path.basename(name))) if name else None)


def _note(event: str, args: tuple[Any, ...]) -> None:
    key = _key_of(event, args)
    if key is not None:
        place, by_library = opener_of(sys._getframe(1))
        if place is not None:
            if len(_openings) >= _MOST:
                _openings.clear()
            _openings[key] = place, by_library


def _key_of(event: str, args: tuple[Any, ...]) -> tuple[str, object] | None:
    if event == "open" and type(args[0]) is str:
        return "path", os.path.basename(args[0])
    if event == "socket.__new__":
        return "socket", id(args[0])
    if event == "sqlite3.connect/handle":
        return "file", id(args[0])
    if event == "subprocess.Popen":
        frame = sys._getframe(2)  # of the method of Popen that is about to start the child
        return "process", id(frame.f_locals.get("self"))
    return None
