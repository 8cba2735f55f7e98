"""The function that everybody writes: `sys.getsizeof`, and again for what is inside; it counts what is shared once, and knows the attributes of instances."""

from __future__ import annotations

from sys import getsizeof
from typing import Any

from benchmarks.measured import sizes
from benchmarks.peers import Peer


def _deep(obj: Any, seen: set[int] | None = None) -> int:
    seen = set() if seen is None else seen
    if id(obj) in seen:
        return 0
    seen.add(id(obj))
    size = getsizeof(obj)
    if isinstance(obj, dict):
        size += sum(_deep(key, seen) + _deep(value, seen) for key, value in obj.items())
    elif isinstance(obj, (list, tuple, set, frozenset)):
        size += sum(_deep(item, seen) for item in obj)
    elif hasattr(obj, "__dict__"):
        size += _deep(obj.__dict__, seen)
    return size


PEER = Peer(name="recursion", distribution=None, offers=sizes(_deep))
