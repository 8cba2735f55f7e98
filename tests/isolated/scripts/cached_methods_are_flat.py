"""Memory stays flat while instances with cached methods and properties come and go."""

from __future__ import annotations

from typing import Any

from helpers.leak import Unique, flat, ignore

from safemem import cached, cached_property


class Plain:
    """With a `__dict__`."""

    @cached
    def method(self, x: int) -> Unique:
        if x < 0:
            raise LookupError
        return Unique(x)

    @cached(maxsize=None)
    def unbounded(self, x: int) -> Unique:
        return Unique(x)

    @cached_property
    def value(self) -> Unique:
        return Unique()

    @classmethod
    @cached(maxsize=5)
    def of_class(cls, x: int) -> Unique:
        return Unique(x)


class Slotted:
    """Without one."""

    __slots__ = ("__weakref__",)
    __hash__ = None

    @cached
    def method(self, x: int) -> Unique:
        if x < 0:
            raise LookupError
        return Unique(x)

    @cached(maxsize=None)
    def unbounded(self, x: int) -> Unique:
        return Unique(x)

    @cached_property
    def value(self) -> Unique:
        return Unique()


def work(number: int) -> None:
    """Make, use, let go."""
    for cls in (Plain, Slotted):
        owner: Any = cls()
        owner.method(number)
        owner.method(number)
        owner.unbounded(number)
        ignore(lambda owner=owner: owner.method(-1), LookupError)
        ignore(lambda owner=owner: owner.method([]), TypeError)
        _ = owner.value
        if number % 3 == 0:
            del owner.value
        if number % 5 == 0:
            owner.method.cache_clear()
        owner.method.cache_info()
    Plain.of_class(number)


if __name__ == "__main__":
    flat(work, 2000)
    Plain.of_class.cache_clear()
    assert Unique.alive == 0, Unique.alive
