"""Memory stays flat while on_remove is told, raises, and changes the cache."""

from __future__ import annotations

import sys
from typing import Any

from helpers.leak import Unique, flat

from safemem import LRUCache

if __name__ == "__main__":
    sys.unraisablehook = lambda _args: None

    def meddle(key: str, value: Any, cause: Any) -> None:
        """Now and then store, delete, raise."""
        number = int(key.split()[1])
        if number % 5 == 0 and cause.name == "SIZE":
            cache[f"again {number + 1}"] = Unique()
        if number % 7 == 0:
            cache.pop(f"key {number + 2}", None)
        if number % 3 == 0:
            raise LookupError(key)

    cache: LRUCache[str, Any] = LRUCache(20, on_remove=meddle)
    flat(lambda number: cache.__setitem__(f"key {number}", Unique()))
