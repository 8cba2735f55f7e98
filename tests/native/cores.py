"""Both cores in one process, bare of what the public classes add."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from safemem.core import _native, _pure, _timed, _weak
from safemem.core._clock import Clock


class _Bare:
    """What a core expects of the class that it is used through."""

    def getsizeof(self, value: Any) -> Any:
        """Ask the value."""
        return getattr(value, "weight", 1)


class NativeLRU(_native.LRUCore, _Bare):
    """The native core."""


class PureLRU(_pure.LRUCore, _Bare):  # type: ignore[misc]
    """The pure core."""


class NativeTTL(_native.TTLCore, _Bare):
    """The native core with a sense of time."""


class PureTTL(_timed.TTLCore, _Bare):  # type: ignore[misc]
    """The pure core with a sense of time."""


class NativeTLRU(_native.TLRUCore, _Bare):
    """The native core where a function says how long."""


class PureTLRU(_timed.TLRUCore, _Bare):  # type: ignore[misc]
    """The pure core where a function says how long."""


class NativeWeak(_native.WeakCore, _Bare):
    """The native core that holds values weakly too."""


class PureWeak(_weak.WeakCore, _Bare):  # type: ignore[misc]
    """The pure core that holds values weakly too."""


NATIVE = (NativeLRU, NativeTTL, NativeTLRU)
PAIRS = {"lru": (PureLRU, NativeLRU), "ttl": (PureTTL, NativeTTL), "tlru": (PureTLRU, NativeTLRU), "weak": (PureWeak, NativeWeak)}


def make(
    cls: Any, maxsize: float, *, weighs: bool = False, on_remove: Any = None, timer: Callable[[], Any] | None = None, **options: Any
) -> Any:
    """Make a bare cache."""
    if timer is not None:
        options["clock"] = Clock(timer)
    cache = cls()
    cache._configure(maxsize=maxsize, weighs=weighs, on_remove=on_remove, hooked=False, **options)
    return cache
