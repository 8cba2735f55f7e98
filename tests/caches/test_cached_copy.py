"""Copying and pickling cached functions, and instances that have cached methods."""

from __future__ import annotations

import copy
import pickle
import weakref
from typing import Any

import pytest
from helpers.collect import Thing, freed_by_count

from safemem import cached, lru_cache

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


@cached
def function(x: int) -> int:
    """Cached."""
    return x


@cached(maxsize=5)
def bounded(x: int) -> int:
    """Cached, with an option."""
    return x


@cached
async def coroutine(x: int) -> int:
    """Cached, to be awaited."""
    return x


@lru_cache(maxsize=5)
def functools_like(x: int) -> int:
    """Cached as by functools."""
    return x


class Owner:
    """An ordinary class with cached methods."""

    def __init__(self, name: str) -> None:
        self.name = name

    @cached
    def method(self, x: int) -> tuple[str, int]:
        return self.name, x

    @cached
    async def coroutine(self, x: int) -> tuple[str, int]:
        return self.name, x

    @classmethod
    @cached
    def of_class(cls, x: int) -> int:
        return x

    @staticmethod
    @cached
    def of_nothing(x: int) -> int:
        return x


class Slotted:
    """A slotted one."""

    __slots__ = ("__weakref__", "name")

    def __init__(self, name: str) -> None:
        self.name = name

    @cached
    def method(self, x: int) -> tuple[str, int]:
        return self.name, x


@pytest.mark.parametrize(
    "decorated", [function, bounded, coroutine, functools_like, Owner.of_nothing], ids=["cached", "bounded", "async", "lru_cache", "static"]
)
def test_functions_are_themselves(decorated: Any) -> None:
    """A cached function copies and pickles to itself, as a function does."""
    assert copy.copy(decorated) is decorated
    assert copy.deepcopy(decorated) is decorated
    for protocol in PROTOCOLS:
        assert pickle.loads(pickle.dumps(decorated, protocol)) is decorated


def test_functions_inside_other_objects() -> None:
    """Deep copies of what refers to a cached function refer to the same function."""
    assert copy.deepcopy([function, {"f": function}]) == [function, {"f": function}]


def test_local_functions_cannot_be_pickled() -> None:
    """A cached function that cannot be found by its name is refused, as a plain one is."""

    @cached
    def local() -> None: ...

    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(local)
    assert copy.copy(local) is local
    assert copy.deepcopy(local) is local


def test_lambdas_and_partials_can_be_copied() -> None:
    """Things without a name are copied to themselves too."""
    import functools

    for thing in (cached(lambda: 1), cached(functools.partial(pow, 2)), lru_cache(functools.partial(pow, 2))):
        assert copy.copy(thing) is thing
        assert copy.deepcopy(thing) is thing


WAYS = [copy.copy, copy.deepcopy, *(lambda owner, p=protocol: pickle.loads(pickle.dumps(owner, p)) for protocol in PROTOCOLS)]
NAMES = ["copy", "deepcopy", *(f"pickle{protocol}" for protocol in PROTOCOLS)]


@pytest.mark.parametrize("way", WAYS, ids=NAMES)
def test_a_copy_of_an_instance_has_its_own_cache(way: Any) -> None:
    """The copy computes for itself and shares neither results, nor statistics, nor the clearing of them."""
    owner = Owner("original")
    owner.method(1)
    twin = way(owner)
    twin.name = "copy"
    assert twin.method.cache_info() == (0, 0, 128, 0)
    assert twin.method(1) == ("copy", 1)
    assert owner.method(1) == ("original", 1)
    assert twin.method.cache is not owner.method.cache
    twin.method.cache_clear()
    assert owner.method.cache_info() == (1, 1, 128, 1)


@pytest.mark.parametrize("way", WAYS[:2] + WAYS[4:], ids=NAMES[:2] + NAMES[4:])
def test_a_copy_of_a_slotted_instance(way: Any) -> None:
    """The same for slots, with the protocols that know slots."""
    owner = Slotted("original")
    owner.method(1)
    twin = way(owner)
    twin.name = "copy"
    assert twin.method(1) == ("copy", 1)
    assert owner.method(1) == ("original", 1)


def test_a_shallow_copy_keeps_nothing_of_the_original() -> None:
    """When the original dies its results die, although a copy that was made of it lives on."""

    class Holder(Owner):
        @cached
        def thing(self) -> Thing:
            return Thing()

    with freed_by_count() as watched:
        owner = Holder("original")
        watched.append(weakref.ref(owner.thing()))
        twin = copy.copy(owner)
        del owner
        assert watched[0]() is None
    assert twin.thing() is twin.thing()


def test_the_state_of_an_instance_has_no_results() -> None:
    """Neither vars() nor a pickle of an instance contains anything that was cached; what cannot be pickled does no harm there."""

    class Marker(Owner):
        @cached
        def unpicklable(self) -> Any:
            return lambda: "a marker that must not be found"

    owner = Marker("original")
    plain = dict(vars(Owner("original")))
    owner.unpicklable()
    owner.method(1)
    state = {name: value for name, value in vars(owner).items() if name in plain}
    assert state == plain
    for value in vars(owner).values():
        assert not isinstance(value, Thing)
        assert "function" not in repr(value)
    reduced = owner.__reduce_ex__(4)
    assert "marker" not in repr(reduced)


def test_pickling_an_instance_with_unpicklable_results() -> None:
    """An instance can be pickled whatever its methods returned."""
    owner = Owner("original")
    owner.method.cache[owner.method.cache_key(1)] = lambda: 1
    size = len(pickle.dumps(Owner("original")))
    for protocol in PROTOCOLS:
        assert pickle.loads(pickle.dumps(owner, protocol)).name == "original"
    assert len(pickle.dumps(owner)) <= size + 200
    copy.deepcopy(owner)


def test_bound_methods_can_be_pickled() -> None:
    """A bound cached method pickles as a bound method does: its instance and its name."""
    bound = pickle.loads(pickle.dumps(Owner("original").method))
    assert bound(1) == ("original", 1)
    assert bound.cache_info().currsize == 1


def test_equality_and_comparison_of_dataclasses() -> None:
    """Cached results take no part in `vars()`-based comparison of instances that never called the method."""
    one, two = Owner("same"), Owner("same")
    assert vars(one) == vars(two)
