"""Says all that can be seen of decorated functions: run with either core, the output must be the same. Arguments: file to write pickles to."""

from __future__ import annotations

import asyncio
import copy  # noqa: F401 - for what is evaluated
import gc
import inspect
import pickle
import re
import sys
import warnings
from datetime import timedelta

from safemem import LRUCache, TTLCache, cached, lru_cache

warnings.simplefilter("error")


class Clock:
    """A timer driven by hand."""

    now = 0.0

    def __call__(self) -> float:
        """Read it."""
        return type(self).now


class Bad:
    """An argument that cannot be compared, or hashed."""

    def __init__(self, *, hashed: bool = True) -> None:
        self.hashed = hashed

    def __hash__(self) -> int:
        if not self.hashed:
            raise ValueError("no hash")
        return hash((1,))

    def __eq__(self, other: object) -> bool:
        raise LookupError("no equality")


def plain(x: object, *rest: object, y: object = 2, **named: object) -> tuple[object, ...]:
    """What is decorated: says what it was given."""
    if x == "boom":
        raise KeyError(x)
    return (x, rest, y, dict(named))


async def later(x: object, y: object = 2) -> tuple[object, ...]:
    """What is decorated: says what it was given, later."""
    await asyncio.sleep(0)
    if x == "boom":
        raise KeyError(x)
    return (x, y)


class Owner:
    """One with methods of every kind."""

    def __repr__(self) -> str:
        return "Owner()"

    @cached(3)
    def method(self, x: object, *rest: object, y: object = 2) -> tuple[object, ...]:
        """Say what it was given."""
        return (x, rest, y)

    @cached(3, typed=True, ttl=5, timer=Clock())
    def short(self, x: object) -> tuple[object, ...]:
        """Say what it was given."""
        return (x, Clock.now)

    @classmethod
    @cached
    def below(cls, x: object) -> tuple[object, ...]:
        """Say what it was given."""
        return (cls.__name__, x)

    @staticmethod
    @cached
    def static(x: object) -> tuple[object, ...]:
        """Say what it was given."""
        return (x,)

    @cached
    async def later(self, x: object) -> tuple[object, ...]:
        """Say what it was given."""
        return (x,)


class Slotted:
    """One without a __dict__."""

    __slots__ = ("__weakref__",)

    def __repr__(self) -> str:
        return "Slotted()"

    method = cached(3, key=lambda *args, **kwargs: (len(args), *sorted(kwargs)))(lambda self, *args, **kwargs: (args, kwargs))


class Unfit:
    """One that cannot be referred to weakly."""

    __slots__ = ()

    @cached
    def method(self, x: object) -> object:
        """Never called."""
        return x


def subjects() -> dict[str, object]:
    """Fresh functions of every kind."""
    owner, slotted = Owner(), Slotted()
    return {
        "cached": cached(plain),
        "small": cached(2)(plain),
        "nothing kept": cached(0)(plain),
        "unbounded": cached(None)(plain),
        "typed": cached(typed=True)(plain),
        "key": cached(key=lambda x, *rest, **named: (x, len(rest)))(plain),
        "bad key": cached(key=lambda *args, **named: [])(plain),
        "ttl": cached(4, ttl=5, timer=Clock())(plain),
        "timedelta": cached(4, ttl=timedelta(seconds=5), timer=Clock())(plain),
        "cache_if": cached(cache_if=lambda value: value[0] != 1)(plain),
        "dict": cached(cache={})(plain),
        "LRUCache": cached(cache=LRUCache(2))(plain),
        "TTLCache": cached(cache=TTLCache(2, 5, Clock()))(plain),
        "method": owner.method,
        "unbound": lambda *args, **named: Owner.method(owner, *args, **named),
        "short": owner.short,
        "below": Owner.below,
        "static": owner.static,
        "slotted": slotted.method,
        "unfit": Unfit().method,
        "later": cached(later),
        "later small": cached(1, typed=True)(later),
        "later method": owner.later,
        "lru_cache": lru_cache(plain),
        "lru_cache small": lru_cache(2)(plain),
        "lru_cache typed": lru_cache(2, typed=True)(plain),
        "lru_cache unbounded": lru_cache(None)(plain),
        "lru_cache nothing": lru_cache(0)(plain),
        "lru_cache negative": lru_cache(-5)(plain),
        "lru_cache true": lru_cache(True)(plain),
    }


CALLS = [
    "f(1)",
    "f(1)",
    "f(1.0)",
    "f(True)",
    "f('a')",
    "f('a', 'b', 'c')",
    "f(1, y=3)",
    "f(x=1)",
    "f(1, y=3, b=4, a=5)",
    "f(1, a=5, b=4, y=3)",
    "f(*range(40))",
    "f(1, **{f'n{i}': i for i in range(30)})",
    "f((1, 2))",
    "f(1, 2)",
    "f(float('nan'))",
    "f(-1)",
    "f(-2)",
    "f(2**70)",
    "f()",
    "f(1, x=2)",
    "f([])",
    "f(1, y=[])",
    "f('boom')",
    "f(Bad())",
    "f(Bad())",
    "f(Bad(hashed=False))",
    "f(None)",
    "f.cache_info()",
    "f.cache_parameters()",
    "f.cache_key(1, 2, b=3, a=4)",
    "f.cache_key([])",
    "f.cache_remove(1)",
    "f.cache_remove('none')",
    "f.cache_remove([])",
    "list(f.cache.items())",
    "type(f.cache)",
    "f.__name__, f.__qualname__, f.__module__, f.__doc__",
    "inspect.signature(f)",
    "f.__wrapped__",
    "inspect.iscoroutinefunction(f)",
    "callable(f)",
    "repr(f)",
    "copy.copy(f) is f",
    "copy.deepcopy(f) is f",
    "f == f, hash(f) == hash(f), f != 1",
    "f.attribute",
    "f.__self__, f.__func__",
    "f.__get__(None, int) is f",
    "f.__get__(5)",
    "f.__class__.__mro__[-1]",
    "pickle.dumps(f)",
    "f.cache_clear()",
    "f.cache_info()",
    "f.cache_clear(1)",
]


def say(operation: str, function: object) -> None:
    """Do it and say what came of it."""
    try:
        answer = eval(operation, {**globals(), "f": function})
        if inspect.isawaitable(answer):
            answer = asyncio.run(answer)
        text = repr(answer)
    except Exception as error:  # noqa: BLE001 - it is what is compared
        text = f"{type(error).__module__}.{type(error).__qualname__}: {error}"
    text = re.sub(r" at 0x[0-9a-f]+", " at ...", text)
    text = re.sub(r"(functools\.|safemem\.core\._native\.)?\b(_lru_cache|lru)_wrapper\b", "WRAPPER", text)
    print(f"  {operation}: {text}")


def main() -> None:
    """Go through everything, one call after the other and each alone."""
    pickles = []
    for name in subjects():
        print(name)
        Clock.now = 0.0
        function = subjects()[name]
        for operation in CALLS:
            say(operation, function)
            Clock.now += 0.5
        print(name, "each alone")
        for operation in CALLS:
            Clock.now = 0.0
            function = subjects()[name]
            say(operation, function)
            Clock.now = 7.0
            say(operation, function)
            say("f.cache_info()", function)
        gc.collect()
    function = cached(plain)
    function(1), function("a", 2.5, y=None, z=()), function(x=1)
    mapping = function.cache
    print(list(mapping))
    pickles = [pickle.dumps(mapping, protocol) for protocol in (2, 4, 5)]
    print([len(data) for data in pickles], pickles)
    print(
        [pickle.loads(pickle.dumps(Owner.__dict__["static"].__func__)) is not None, pickle.loads(pickle.dumps(Owner().static)) is not None]
    )
    with open(sys.argv[1], "wb") as file:  # noqa: PTH123 - a script
        pickle.dump(pickles, file)


def load() -> None:
    """Use what another run has pickled."""
    with open(sys.argv[1], "rb") as file:  # noqa: PTH123 - a script
        for data in pickle.load(file):
            function = cached(cache=pickle.loads(data))(plain)
            print(function(1), function("a", 2.5, z=(), y=None), function(x=1), function.cache_info(), list(function.cache.items()))


if __name__ == "__main__":
    load() if sys.argv[2:] == ["load"] else main()
