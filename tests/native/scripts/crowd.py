"""Threads that do everything at once to one cache; it must be whole afterwards, and every value must be that of its key."""

from __future__ import annotations

import random
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from safemem import LRUCache, TLRUCache, TTLCache

THREADS = 6
SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 0.2


class Key:
    """A key whose comparisons are code, many of them with one hash."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        return self.number % 17

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.number == other.number


def caches() -> Iterator[Any]:
    """One of each kind of table."""
    yield LRUCache(100)
    yield LRUCache(100, on_remove=lambda *_: None)
    yield LRUCache(300, getsizeof=lambda value: 3 if value[1] == 1 else 1.5)
    yield TTLCache(100, 0.01)
    yield TTLCache(100, 10_000_000, timer=time.monotonic_ns)
    yield TLRUCache(100, lambda _key, _value, now: now + random.random() * 0.02)


def rarely(cache: Any, key: Any, drawn: float) -> None:
    """What is done now and then."""
    if drawn < 0.2:
        assert all(value[0] == found for found, value in cache.items())
    elif drawn < 0.4:
        len(cache), cache.currsize, cache.stats(), cache.evict(3)
    elif drawn < 0.5:
        cache.clear()
    elif drawn < 0.7:
        cache.resize(random.choice([50, 100, 300]))
    elif drawn < 0.8 and hasattr(cache, "expire"):
        cache.expire(), cache.set(key, (key, 2), ttl=0.005 if cache.timer() < 1e9 else 5)
    elif drawn < 0.9:
        cache.copy()
    else:
        cache.get_or_create(key, lambda: (key, 3))


def once(cache: Any, key: Any, drawn: float) -> None:
    """One operation."""
    if drawn < 0.4:
        value = cache.get(key)
        assert value is None or value[0] == key
    elif drawn < 0.65:
        cache[key] = (key, object())
    elif drawn < 0.75:
        cache.pop(key, None)
    elif drawn < 0.8:
        key in cache, cache.peek(key)
    elif drawn < 0.88:
        assert cache.setdefault(key, (key, 1))[0] == key
    elif drawn < 0.9:
        try:
            cache.popitem()
        except KeyError:
            pass
    else:
        rarely(cache, key, (drawn - 0.9) * 10)


def anew(cache: Any) -> None:
    """Set a cache up again, as another one of its class."""
    cache.__init__(random.choice([50, 100]), *LIVES[type(cache)](), **random.choice(OPTIONS[type(cache)]))


OPTIONS: dict[type, list[dict[str, Any]]] = {
    LRUCache: [{}, {"getsizeof": lambda _value: 1}, {"on_remove": lambda *_: None}],
    TTLCache: [{}, {"timer": lambda: time.monotonic() + 1}, {"getsizeof": lambda _value: 1.5}],
    TLRUCache: [{}, {"timer": lambda: time.monotonic() + 1}, {"on_remove": lambda *_: None}],
}
LIVES: dict[type, Callable[[], list[Any]]] = {
    LRUCache: list,
    TTLCache: lambda: [random.choice([0.01, 5, 0.5])],
    TLRUCache: lambda: [lambda _key, _value, now: now + 0.01],
}


def crowd(cache: Any, make_key: Callable[[int], Any], *, again: bool) -> None:
    """Let the threads run for a while; with `again`, two of them set the cache up again and again."""
    stop = threading.Event()
    errors: list[str] = []

    def work(number: int) -> None:
        try:
            while not stop.is_set():
                for _ in range(50):
                    if again and number < 2:
                        anew(cache)
                    once(cache, make_key(random.randrange(300)), random.random())
        except BaseException:  # noqa: BLE001 - the main thread raises it again
            errors.append(traceback.format_exc())
            stop.set()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    stop.wait(SECONDS)
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors, "\n".join(errors)
    cache._check()


sys.setswitchinterval(1e-5)
for make_key in (str, Key):
    for again in (False, True):
        for cache in caches():
            crowd(cache, make_key, again=again)
