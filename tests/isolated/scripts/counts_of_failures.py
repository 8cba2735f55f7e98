"""Reference counts after operations that fail, in every way they can, are what they were before."""

from __future__ import annotations

import sys
from typing import Any

from helpers.clock import Clock
from helpers.leak import Unique, ignore, same_counts, unique_keys

from safemem import LRUCache, TLRUCache, TTLCache


class Sour:
    """A key that fails."""

    def __init__(self, *, hashes: bool) -> None:
        self.hashes = hashes

    def __hash__(self) -> int:
        if not self.hashes:
            raise LookupError
        return 1

    def __eq__(self, other: object) -> bool:
        raise LookupError


def weigh(value: Any) -> Any:
    """A weight, or nonsense."""
    return {1: -1, 2: float("nan"), 3: 99, 4: None}.get(value.number, 1)


def check(cache: Any) -> None:
    """Fail in every way."""
    key = unique_keys(1)[0]
    good, *bad = [Unique(number) for number in range(5)]
    sour, no_hash = Sour(hashes=True), Sour(hashes=False)
    cache[key] = good
    cache[sour] = good

    def work() -> None:
        for value in bad:
            ignore(lambda value=value: cache.__setitem__(key, value), ValueError, TypeError)
            ignore(lambda value=value: cache.setdefault("new", value), ValueError, TypeError)
            ignore(lambda value=value: cache.update(new=value), ValueError, TypeError)
            ignore(lambda value=value: cache.get_or_create("new", lambda: value), ValueError, TypeError)
        for wrong in (Sour(hashes=True), no_hash, [key]):
            for operation in (cache.get, cache.pop, cache.peek, cache.setdefault, cache.__contains__, cache.__getitem__, cache.__delitem__):
                ignore(lambda operation=operation, wrong=wrong: operation(wrong), LookupError, TypeError)
            ignore(lambda wrong=wrong: cache.__setitem__(wrong, good), LookupError, TypeError)
            ignore(lambda wrong=wrong: cache.get_or_create(wrong, lambda: good), LookupError, TypeError)
        ignore(lambda: cache.update([(key, good), (key, good, good)]), ValueError)
        ignore(lambda: cache.resize(-1), ValueError)
        ignore(lambda: cache.evict(-1), ValueError)
        ignore(lambda: cache.__init__(-1), ValueError, TypeError)
        ignore(lambda: cache == {key: Sour(hashes=True), sour: good}, LookupError)

    same_counts([key, good, *bad, sour, no_hash, cache], work)


def check_on_remove(error: type[BaseException]) -> None:
    """A callback that raises."""
    key, value = unique_keys(1)[0], Unique()

    def fails(*_: object) -> None:
        raise error

    cache = LRUCache[str, Unique](1, on_remove=fails)
    sys.unraisablehook = lambda _args: None

    def work() -> None:
        ignore(lambda: cache.__setitem__(key, value), error)
        ignore(lambda: cache.clear(), error)

    same_counts([key, value, cache], work)


if __name__ == "__main__":
    check(LRUCache(10, weigh))
    check(TTLCache(10, 60, Clock(), weigh))
    check(TLRUCache(10, lambda _key, _value, now: now + 60, Clock(), weigh))
    check_on_remove(LookupError)
    check_on_remove(KeyboardInterrupt)
