"""python/mypy, issue 4807: a cache of exceptions keeps their tracebacks and the frames in them."""

from __future__ import annotations

from itertools import count

KINDS = ["frame"]
HOLDER = ["stat_errors"]
FIX = ["strip_traceback"]


stat_errors: dict[int, OSError] = {}
stat_texts: dict[int, str] = {}
_numbers = count()


def _stat(path: str) -> None:
    content = [path] * 20
    raise OSError(content[0])


def leak() -> None:
    try:
        _stat("missing")
    except OSError as error:
        stat_errors[next(_numbers)] = error


def mended() -> None:
    try:
        _stat("missing")
    except OSError as error:
        stat_texts[0] = str(error)
