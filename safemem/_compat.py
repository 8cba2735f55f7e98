"""Facts about this Python, names for typing, and the only place that imports typing_extensions.

typing_extensions takes longer to import than the whole of safemem, and only type checkers need what it adds:
at run time a plain stand-in from `typing` does.
"""

from __future__ import annotations

import os
import sys
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from typing_extensions import Buffer as Buffer  # noqa: PLC0414 - for type checkers only, so that it is in no __all__
    from typing_extensions import TypeVar as _DefaultTypeVar
    from typing_extensions import override

    T = _DefaultTypeVar("T", default=float)
else:
    T = TypeVar("T")

    def override(method: object) -> object:
        """Mark an overriding method for type checkers; nothing happens at run time."""
        return method


__all__ = ["FIRST_PROCESS", "GIL_DISABLED", "MISSING", "D", "K", "Missing", "T", "V", "is_tracing", "override"]

D = TypeVar("D")
K = TypeVar("K")
V = TypeVar("V")

FIRST_PROCESS: Final = os.getpid()  # the one that imported safemem; forked children see that they are not

GIL_DISABLED = not getattr(sys, "_is_gil_enabled", lambda: True)()


_TRACED_FROM_THE_START: Final = "tracemalloc" in sys._xoptions or (  # noqa: SLF001 - there is no other name for it
    not sys.flags.ignore_environment and os.environ.get("PYTHONTRACEMALLOC", "0") not in {"", "0"}
)


def is_tracing() -> bool:
    """Whether tracemalloc is on, which is not imported for that: it takes long, and some versions have none in sub-interpreters."""
    module = sys.modules.get("tracemalloc")
    return _TRACED_FROM_THE_START if module is None else bool(module.is_tracing())


class Missing(Enum):
    """The type of `MISSING`, the default that nobody passes by accident."""

    MISSING = "missing"

    def __repr__(self) -> str:
        return "..."


MISSING: Final = Missing.MISSING
