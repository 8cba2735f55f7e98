"""Every cache is a MutableMapping, and a cachetools cache."""

from __future__ import annotations

from collections.abc import MutableMapping

import cachetools
import pytest
from helpers.kinds import Kind


def test_is_a_mutable_mapping(kind: Kind) -> None:
    """isinstance and issubclass of MutableMapping hold."""
    cache = kind.make()
    assert isinstance(cache, MutableMapping)
    assert issubclass(kind.cls, MutableMapping)


def test_is_a_cachetools_cache(kind: Kind) -> None:
    """isinstance and issubclass of cachetools.Cache hold."""
    cache = kind.make()
    assert isinstance(cache, cachetools.Cache)
    assert issubclass(kind.cls, cachetools.Cache)


def test_foreign_cachetools_caches_are_still_only_themselves() -> None:
    """Belonging to cachetools.Cache does not make other mappings belong to it."""
    assert not isinstance({}, cachetools.Cache)
    assert isinstance(cachetools.LFUCache(1), cachetools.Cache)
    assert not issubclass(dict, cachetools.Cache)


def test_fits_the_cachetools_decorators(kind: Kind) -> None:
    """cachetools.cached accepts the cache and reports its bounds."""
    calls: list[int] = []

    @cachetools.cached(kind.make(2), info=True)
    def double(x: int) -> int:
        calls.append(x)
        return 2 * x

    assert [double(1), double(1), double(2), double(3), double(1)] == [2, 2, 4, 6, 2]
    assert calls == [1, 2, 3, 1]
    assert tuple(double.cache_info()) == (1, 4, 2, 2)


def test_public_name(kind: Kind) -> None:
    """The class says where users find it."""
    assert kind.cls.__module__ == "safemem"
    assert kind.cls.__qualname__ == kind.name


def test_classes_can_be_subscripted(kind: Kind) -> None:
    """The classes are generic at run time too."""
    assert kind.cls[str, int].__origin__ is kind.cls


def test_set_get_delete(kind: Kind) -> None:
    """Storing, reading, replacing and deleting do what they do in a dict."""
    cache = kind.make()
    cache["a"] = 1
    cache["a"] = 2
    assert cache["a"] == 2
    assert len(cache) == 1
    del cache["a"]
    assert "a" not in cache
    assert len(cache) == 0


def test_missing_key_raises_key_error_with_the_key(kind: Kind) -> None:
    """`[]`, `del` and `pop` of a missing key raise a KeyError whose argument is the key itself."""
    cache = kind.make()
    key = ("not", "there")
    for operation in (cache.__getitem__, cache.__delitem__, cache.pop):
        with pytest.raises(KeyError) as caught:
            operation(key)
        assert caught.value.args == (key,)


def test_get(kind: Kind) -> None:
    """get() returns the value, the default, or None."""
    cache = kind.make()
    cache["a"] = 1
    assert cache.get("a") == 1
    assert cache.get("a", 9) == 1
    assert cache.get("b") is None
    assert cache.get("b", 9) == 9
    assert cache.get("b", default=9) == 9


def test_stored_none_is_a_value(kind: Kind) -> None:
    """A stored None is found, and no default replaces it."""
    cache = kind.make()
    cache["a"] = None
    assert cache.get("a", 9) is None
    assert cache.setdefault("a", 9) is None
    assert cache.peek("a", 9) is None
    assert cache.pop("a", 9) is None


def test_pop(kind: Kind) -> None:
    """pop() takes the value away, or returns the default, None included."""
    cache = kind.make()
    cache["a"] = 1
    assert cache.pop("a") == 1
    assert "a" not in cache
    assert cache.pop("a", 9) == 9
    assert cache.pop("a", None) is None
    assert cache.pop("a", default=3) == 3


def test_popitem_of_an_empty_cache(kind: Kind) -> None:
    """popitem() of an empty cache raises a KeyError that names the class, with no context."""
    with pytest.raises(KeyError, match=f"{kind.name} is empty") as caught:
        kind.make().popitem()
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_setdefault(kind: Kind) -> None:
    """setdefault() stores only what is missing and returns what is there."""
    cache = kind.make()
    assert cache.setdefault("a", 1) == 1
    assert cache.setdefault("a", 2) == 1
    assert cache.setdefault("b") is None
    assert dict(cache) == {"a": 1, "b": None}


def test_update_takes_what_dict_takes(kind: Kind) -> None:
    """update() takes a mapping, pairs, an iterator, keywords, something with keys(), or nothing."""

    class Keyed:
        def keys(self) -> list[str]:
            return ["k"]

        def __getitem__(self, key: str) -> str:
            return key * 2

    cache = kind.make()
    cache.update({"a": 1})
    cache.update([("b", 2)])
    cache.update(iter([["c", 3]]))
    cache.update(d=4)
    cache.update({"e": 5}, f=6)
    cache.update(Keyed())
    cache.update()
    assert dict(cache) == {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6, "k": "kk"}


def test_update_with_itself(kind: Kind) -> None:
    """A cache can be updated with itself and does not change."""
    cache = kind.make()
    cache.update(a=1, b=2)
    cache.update(cache)
    assert list(cache.items()) == [("a", 1), ("b", 2)]


def test_update_accepts_self_and_other_as_keys(kind: Kind) -> None:
    """Keyword keys named like parameters are ordinary keys."""
    cache = kind.make()
    cache.update(self=1, other=2, key=3)
    assert dict(cache) == {"self": 1, "other": 2, "key": 3}


@pytest.mark.parametrize("wrong", [42, [1], ["abc"], [(1, 2, 3)], object()], ids=["int", "ints", "triple-str", "triple", "object"])
def test_update_refuses_what_dict_refuses(kind: Kind, wrong: object) -> None:
    """update() with something that is neither mapping nor pairs raises what dict raises and is never ignored."""
    with pytest.raises((TypeError, ValueError)) as dict_error:
        {}.update(wrong)
    cache = kind.make()
    with pytest.raises((TypeError, ValueError)) as caught:
        cache.update(wrong)
    assert caught.type is dict_error.type
    assert len(cache) == 0


def test_clear(kind: Kind) -> None:
    """clear() empties the cache, which works on afterwards."""
    cache = kind.make(2)
    cache.update(a=1, b=2)
    cache.clear()
    assert (len(cache), cache.currsize, list(cache)) == (0, 0, [])
    cache.clear()
    cache.update(c=3, d=4, e=5)
    assert list(cache) == ["d", "e"]


def test_truth(kind: Kind) -> None:
    """An empty cache is false, any other true."""
    cache = kind.make()
    assert not cache
    cache["a"] = 1
    assert cache


def test_unhashable_cache(kind: Kind) -> None:
    """A cache is mutable, so it cannot be hashed."""
    with pytest.raises(TypeError, match="unhashable"):
        hash(kind.make())


def test_unhashable_keys(kind: Kind) -> None:
    """Every operation with an unhashable key raises TypeError, as in a dict, and changes nothing."""
    cache = kind.make()
    cache["a"] = 1
    key: list[int] = []
    operations = {
        "[]": lambda: cache[key],
        "[]=": lambda: cache.__setitem__(key, 1),
        "del": lambda: cache.__delitem__(key),
        "in": lambda: key in cache,
        "get": lambda: cache.get(key),
        "pop": lambda: cache.pop(key),
        "pop default": lambda: cache.pop(key, 1),
        "setdefault": lambda: cache.setdefault(key, 1),
        "peek": lambda: cache.peek(key),
        "get_or_create": lambda: cache.get_or_create(key, int),
    }
    for name, operation in operations.items():
        with pytest.raises(TypeError, match="unhashable"):
            raise AssertionError(f"{name} returned {operation()!r}")
    assert list(cache.items()) == [("a", 1)]


def test_views_are_views(kind: Kind) -> None:
    """keys(), values() and items() follow the cache, have a length, and answer `in`."""
    cache = kind.make()
    keys, values, items = cache.keys(), cache.values(), cache.items()
    cache.update(a=1, b=2)
    assert (len(keys), len(values), len(items)) == (2, 2, 2)
    assert "a" in keys
    assert 2 in values
    assert ("a", 1) in items
    assert ("a", 2) not in items
    assert "c" not in keys
    assert keys & {"a", "z"} == {"a"}
    assert items == {("a", 1), ("b", 2)}


def test_weakly_referable(kind: Kind) -> None:
    """A cache can be weakly referenced and takes attributes, as cachetools' can."""
    import weakref

    cache = kind.make()
    assert weakref.ref(cache)() is cache
    cache.note = "mine"
    assert cache.note == "mine"
