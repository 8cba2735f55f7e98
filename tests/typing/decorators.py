"""What a type checker sees of decorated functions: parameters and results survive. Checked by mypy and pyright, not executed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_type

from safemem import LRUCache, cached, cached_property, lru_cache


@cached
def plain(number: int, *, name: str = "") -> list[str]:
    return [name] * number


@cached(maxsize=10, ttl=60, typed=True)
def with_options(number: int) -> str:
    return str(number)


@cached
async def coroutine(number: int) -> str:
    return str(number)


@cached(cache=LRUCache[Any, str](10), cache_if=bool)
async def coroutine_with_options(number: int) -> str:
    return str(number)


class Shop:
    @cached
    def price(self, name: str, amount: int = 1) -> float:
        return len(name) * float(amount)

    @cached(maxsize=10)
    def tax(self, name: str) -> float:
        return self.price(name) * 0.19

    @cached
    async def stock(self, name: str) -> int:
        return len(name)

    @classmethod
    @cached
    def inner_class_method(cls, name: str) -> int:
        return len(name)

    @cached
    @classmethod
    def outer_class_method(cls, name: str) -> int:
        return len(name)

    @staticmethod
    @cached
    def inner_static_method(name: str) -> int:
        return len(name)

    @cached
    @staticmethod
    def outer_static_method(name: str) -> int:
        return len(name)

    @cached_property
    def names(self) -> list[str]:
        return []


def functions() -> None:
    assert_type(plain(1), list[str])
    assert_type(plain(1, name="a"), list[str])
    assert_type(with_options(1), str)
    assert_type(plain.cache_info().hits, int)
    assert_type(plain.cache_info().maxsize, float | None)
    assert_type(plain.cache_remove(1, name="a"), bool)
    assert_type(plain.__wrapped__(1), list[str])
    plain.cache_clear()
    plain.cache_key(1)
    plain.cache_parameters()
    plain.cache.clear()


def of_unknown_parameters(function: Callable[..., str], factory: Callable[[type[Shop], int], Shop]) -> None:
    bare: str = cached(function)(1, name="a")
    called: str = cached(maxsize=1)(function)(1, name="a")
    print(bare, called)
    assert_type(cached(factory)(Shop, 1), Shop)
    assert_type(cached(ttl=1)(factory)(Shop, 1), Shop)


async def coroutines() -> None:
    assert_type(await coroutine(1), str)
    assert_type(await coroutine_with_options(1), str)
    coroutine.cache_clear()


async def methods(shop: Shop) -> None:
    assert_type(shop.price("a"), float)
    assert_type(shop.price("a", amount=2), float)
    assert_type(shop.tax("a"), float)
    assert_type(await shop.stock("a"), int)
    assert_type(Shop.price(shop, "a"), float)
    # No type checker hands @classmethod's binding on to what it wraps, or what wraps it: these work, and are typed as unbound.
    assert_type(Shop.inner_class_method(Shop, "a"), int)
    assert_type(Shop.outer_class_method(Shop, "a"), int)
    assert_type(Shop.inner_static_method("a"), int)
    assert_type(Shop.outer_static_method("a"), int)
    # shop.outer_static_method("a") works, but no type checker can tell it from a method whose first parameter is a str.
    assert_type(shop.price.cache_remove("a"), bool)
    assert_type(shop.price.cache_info().currsize, float)
    Shop.price.cache_clear()
    shop.price.cache_clear()


def properties(shop: Shop) -> None:
    assert_type(shop.names, list[str])
    assert_type(Shop.names, cached_property[list[str]])
    del shop.names


def mistakes(shop: Shop) -> None:
    plain("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    plain(1, nom="a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    shop.price(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with_options()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    cached(maxsize="10")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


@lru_cache
def bare(number: int) -> str:
    return str(number)


@lru_cache(maxsize=None, typed=True)
def called(number: int) -> str:
    return str(number)


def as_in_functools() -> None:
    assert_type(bare(1), str)
    assert_type(called(1), str)
    assert_type(bare.cache_info().hits, int)
    bare.cache_clear()
    bare.cache_parameters()
