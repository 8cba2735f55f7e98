"""Why an entry left a cache."""

from __future__ import annotations

from enum import Enum

__all__ = ["RemovalCause"]


class RemovalCause(Enum):
    """Why an entry left a cache; the third argument of every `on_remove` callback.

    * `SIZE`: it was evicted to keep the bound, or by `evict()`, `shrink()` or `resize()`.
    * `EXPIRED`: its time was over.
    * `EXPLICIT`: somebody deleted, popped or cleared it.
    * `REPLACED`: another object was stored under its key.
    * `COLLECTED`: nobody else held the value any more (weak caches; the value told is None).
    * `PRESSURE`: memory was short and a budget let it go.

    `cause.evicted` is True for all but `EXPLICIT` and `REPLACED`: the cache let go by itself.

    >>> RemovalCause.SIZE.evicted, RemovalCause.EXPLICIT.evicted
    (True, False)
    """

    __module__ = "safemem"

    SIZE = "size"
    EXPIRED = "expired"
    EXPLICIT = "explicit"
    REPLACED = "replaced"
    COLLECTED = "collected"
    PRESSURE = "pressure"

    @property
    def evicted(self) -> bool:
        """Whether the cache let go by itself, rather than somebody's call naming this entry."""
        return self not in (RemovalCause.EXPLICIT, RemovalCause.REPLACED)
