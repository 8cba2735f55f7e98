"""The native weak core's table: references move along with their entries, and entries are small."""

from __future__ import annotations

import sys

from helpers.mortal import Thing

from safemem import WeakCache


def test_references_of_what_is_held_again_move_along() -> None:
    """Entries that were weak, became strong and are let off again report their death, through growth and shrinking of the table in between."""
    cache = WeakCache(4)
    things = {number: Thing() for number in range(40)}
    cache.update(things)
    assert cache[0] is things[0]  # held strongly again: from here on references are kept
    more = {number: Thing() for number in range(40, 400)}
    cache.update(more)
    for number in (0, 39, 40, 399, 20):
        assert cache[number] is things.get(number, more.get(number))
    cache._check()
    kept = {number: more[number] for number in (399, 398)}
    more.clear()
    assert len(cache) == 40 + 2 + 1  # and 40, which the cache itself holds
    cache._check()
    things = {number: things[number] for number in (0, 20)}
    cache.resize(0)
    assert sorted(cache) == [0, 20, 398, 399]
    cache._check()
    things.clear()
    kept.clear()
    assert len(cache) == 0
    cache._check()


def test_bytes_per_entry_held_weakly() -> None:
    """What others keep alive takes no more of the cache than a quarter over its places, and no array for references that it never held again."""
    things = [Thing() for _ in range(100_000)]
    cache = WeakCache(0)
    fixed = sys.getsizeof(cache)
    for number, thing in enumerate(things):
        cache[number] = thing
    assert (sys.getsizeof(cache) - fixed) / len(things) <= 32 * 9 / 8 + 4 * 4
