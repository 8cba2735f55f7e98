"""What a cache asks of a memory budget; the budget itself lives above the caches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from safemem.core._pure import LRUCore

__all__ = ["Budget"]


class Budget(Protocol):
    """Something that caches can be attached to."""

    def attach(self, cache: LRUCore[Any, Any]) -> object:
        """Take a cache into account from now on, holding it weakly."""
