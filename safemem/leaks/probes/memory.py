"""Memory that no Python object explains, and memory that is free but was not given back."""

from __future__ import annotations

import importlib
import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Memory", "measure", "resident", "unique"]

_PAGE: Final = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class Memory(NamedTuple):
    """Readings of one moment, in bytes; None where the system does not tell."""

    resident: int | None
    allocated: int | None  # in use, of what the C library handed out
    free: int | None  # free, of what the C library has from the system
    blocks: int  # of Python's allocator; a number, not bytes
    explained: int | None = None  # of `allocated`, what large Python objects take


def measure() -> Memory:
    """Take the readings that need no look at the objects. 30 us."""
    allocated, free = _of_the_c_library()
    return Memory(resident(), allocated, free, sys.getallocatedblocks())


def resident() -> int | None:
    """Return the memory of this process that is in the machine's memory, in bytes; None if it cannot be found out. 20 us."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return _peak()


def _peak() -> int | None:
    """Where the present size is not told, the largest it ever was has to do: it shows growth as well."""
    try:
        resource: Any = importlib.import_module("resource")
    except ImportError:  # Windows
        return None
    peak: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)


def unique() -> int | None:
    """Return the memory that would be free if this process ended; None where the system does not tell. 300 us for each GB."""
    try:
        lines = Path("/proc/self/smaps_rollup").read_bytes().splitlines()
    except OSError:
        return None
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(b"Private_"))


# -- what the C library says ------------------------------------------------------------------------------------------------------------------

_FIELDS: Final = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")


def _of_the_c_library() -> tuple[int | None, int | None]:
    ask = _mallinfo()
    if ask is None:
        return None, None
    found = ask()
    return found.uordblks + found.hblkhd, found.fordblks


_GLIBC: Final = "linux"  # the systems that may have it


@cache
def _mallinfo() -> Callable[[], Any] | None:
    """Return glibc's function; None with another C library."""
    if not sys.platform.startswith(_GLIBC) or os.environ.get("PYTHONMALLOC", "").startswith(
        "malloc"
    ):  # there, Python's small objects are in it
        return None
    try:
        import ctypes

        function: Any = ctypes.CDLL(None).mallinfo2
    except (ImportError, OSError, AttributeError):
        return None
    function.argtypes = ()
    function.restype = type("_MallInfo", (ctypes.Structure,), {"_fields_": [(name, ctypes.c_size_t) for name in _FIELDS]})
    return function  # type: ignore[no-any-return]
