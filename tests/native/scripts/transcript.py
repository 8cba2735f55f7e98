"""Says all that can be seen of the caches: run with either core, the output must be the same. Arguments: file to write pickles to."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import sys
from collections.abc import MutableMapping
from datetime import datetime, timedelta
from fractions import Fraction

from safemem import LRUCache, RemovalCause, TLRUCache, TTLCache


class Clock:
    """A timer driven by hand."""

    now: object = 0

    def __call__(self) -> object:
        """Read it."""
        return type(self).now


def ttu(_key: object, value: object, now: float) -> float:
    """Live as long as the value says."""
    return now + (value if isinstance(value, (int, float)) else 5)


def size(value: object) -> float:
    """Weigh numbers by themselves."""
    return value if isinstance(value, (int, float)) else 1


def make(cls: type, maxsize: float = 4, **options: object) -> object:
    """Make a cache of any class."""
    if cls is TTLCache:
        options = {"ttl": 5, "timer": Clock(), **options}
    if cls is TLRUCache:
        options = {"ttu": ttu, "timer": Clock(), **options}
    return cls(maxsize, **options)


OPERATIONS = [
    "c['a']",
    "c[['un']]",
    "c.get('a')",
    "c.get('a', 7)",
    "c.get(key='a', default=8)",
    "c.get()",
    "c.get(1, 2, 3)",
    "c.get('a', x=1)",
    "c.get('a', key=1)",
    "c.get([])",
    "c.peek('a')",
    "c.peek('zz', 5)",
    "c.peek()",
    "'a' in c",
    "[] in c",
    "c.pop('a')",
    "c.pop('zz')",
    "c.pop('zz', 1)",
    "c.pop(key='b', default=2)",
    "c.pop()",
    "c.pop(())",
    "c.popitem()",
    "c.popitem(1)",
    "c.setdefault('a', 9)",
    "c.setdefault('new', 9)",
    "c.setdefault('none')",
    "c.setdefault()",
    "c.setdefault([])",
    "c.__setitem__('n', 1)",
    "c.__setitem__([], 1)",
    "c.__setitem__('big', 100)",
    "c.__delitem__('a')",
    "c.__delitem__('zz')",
    "c.__delitem__((1, 2))",
    "c.__delitem__(())",
    "c.clear()",
    "c.clear(1)",
    "list(c)",
    "list(reversed(c))",
    "list(c.items())",
    "list(reversed(c.values()))",
    "dataclasses.replace(c.stats(), load_seconds=0)",
    "c.maxsize",
    "c.currsize",
    "c.maxsize.__class__",
    "c.evict(2)",
    "c.evict('x')",
    "c.evict(-1)",
    "c.shrink(0.5)",
    "c.resize(2)",
    "c.resize(-1)",
    "c.resize(math.inf)",
    "c.resize(True)",
    "c.update(x=1, y=2)",
    "c.copy()",
    "c == {'a': 1}",
    "c | {'q': 2}",
    "hash(c)",
    "repr(c)",
    "bool(c)",
    "len(c)",
    "c.expire()",
    "c.expire(1)",
    "c.expire(1, 2)",
    "c.ttl_of('a')",
    "c.ttl_of('zz')",
    "c.ttl_of()",
    "c.set('a', 3, ttl=2)",
    "c.set('a', 3, ttl=-2)",
    "c.set('a', 3, ttl='x')",
    "c.set('a', 3, ttl=timedelta(seconds=3))",
    "c.get_or_create('lazy', lambda: 3)",
    "c.get_or_create('boom', lambda: 1 / 0)",
    "c.__missing__(3)",
    "c.attribute",
    "type(c)[int, str]",
    "c.getsizeof(3)",
    "del_c.maxsize",
    "c.__init__(2)",
    "c.stats().hit_ratio",
    "iter(c).__next__()",
    "c.__contains__('a')",
    "c.__len__()",
    "c.__getitem__('b')",
]


def say(operation: str, cache: object) -> None:
    """Do it and say what came of it."""
    try:
        answer = repr(eval(operation, {**globals(), "c": cache}))
    except Exception as error:  # noqa: BLE001 - it is what is compared
        answer = f"{type(error).__module__}.{type(error).__qualname__}: {error} {error.__suppress_context__}"
    print(f"  {operation}: {answer.replace('Pure', '')}")


def main() -> None:
    """Go through everything."""
    pickles = []
    for cls in (LRUCache, TTLCache, TLRUCache):
        print(cls, cls.__module__, cls.__qualname__, cls.__doc__, issubclass(cls, MutableMapping))
        for name in ("get", "peek", "pop", "popitem", "setdefault", "clear", "expire", "ttl_of", "resize", "__init__"):
            method = getattr(cls, name, None)
            if method is not None:
                parameters = [(p.name, p.kind.name, p.default is p.empty) for p in list(inspect.signature(method).parameters.values())[1:]]
                print(name, parameters, method.__doc__, method.__name__, callable(method))
        for options in (
            {},
            {"getsizeof": size},
            {"on_remove": lambda *told: print("    told", told)},
            {"getsizeof": size, "maxsize": 7.5},
            {"maxsize": 0},
        ):
            for start in (0, 0.5, Fraction(1, 3), datetime(2020, 1, 1)):
                if start and cls is LRUCache:
                    continue
                print(cls.__name__, sorted(options), start)
                Clock.now = start
                step = timedelta(seconds=1) if isinstance(start, datetime) else 1
                extra = {}
                if isinstance(start, datetime):
                    extra = {"ttl": timedelta(seconds=5)} if cls is TTLCache else {"ttu": lambda _k, _v, now: now + timedelta(seconds=2)}
                for operation in OPERATIONS:
                    if options.get("maxsize") == 0 and "[]" in operation:
                        continue  # which of two faults is found first is nobody's business
                    cache = make(cls, **{"maxsize": 4, **options, **extra})
                    Clock.now = start
                    try:
                        cache.update(a=1, b=2)
                        Clock.now = start + step
                        cache["c"] = 3
                    except ValueError as error:
                        print("   ", error)
                    say(operation, cache)
                    Clock.now = Clock.now + step * 4
                    print("   ", cache, list(cache.items()), dataclasses.replace(cache.stats(), load_seconds=0.0))
                    cache._check()
        Clock.now = 0
        for options in ({}, {"getsizeof": size, "maxsize": 10}):
            cache = make(cls, **options)
            cache.update(a=1, b=2, c=(3, "x"))
            pickles.append(pickle.dumps(cache, 4))
    print([len(data) for data in pickles], pickles)
    print(sorted(cause.name for cause in RemovalCause))
    with open(sys.argv[1], "wb") as file:  # noqa: PTH123 - a script
        pickle.dump(pickles, file)


def load() -> None:
    """Say what another run has pickled."""
    Clock.now = 0
    with open(sys.argv[1], "rb") as file:  # noqa: PTH123 - a script
        for data in pickle.load(file):
            cache = pickle.loads(data)
            cache._check()
            print(cache, list(cache.items()))


if __name__ == "__main__":
    load() if sys.argv[2:] == ["load"] else main()
