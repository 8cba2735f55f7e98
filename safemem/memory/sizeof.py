"""`sizeof`: how many bytes an object takes, with everything it refers to."""

from __future__ import annotations

from functools import partial
from sys import getsizeof
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast, overload

from safemem.memory.estimate import estimate
from safemem.memory.exact import measure
from safemem.memory.kinds import LEAVES, learn, plan_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["sizeof"]

F = TypeVar("F", bound="Callable[[Any], int]")


class _SizeOf(Protocol):
    """The function `sizeof`, which can be taught."""

    def __call__(self, obj: object, *, exact: bool = False) -> int:
        """Return how many bytes an object takes, with everything it refers to."""
        ...

    @overload
    def register(self, type: type | str, func: None = None) -> Callable[[F], F]: ...
    @overload
    def register(self, type: type | str, func: F) -> F: ...
    def register(self, type: type | str, func: Callable[[Any], int] | None = None) -> Any:  # noqa: A002
        """Say how to measure the objects of a type."""
        ...


def _sizeof(obj: object, *, exact: bool = False) -> int:
    """Return how many bytes an object takes, with everything it refers to.

    What the object shares within itself counts once, and cycles do no harm. What belongs to the program and not to the object counts nothing: classes,
    modules, functions, code, frames, loggers, threads, executors, event loops, members of enums, and objects of which there is only one (None, small ints, strings
    of one letter). Keys of attributes belong to the class. Arrays, tables and images of NumPy, pandas, polars, PyArrow, PyTorch and Pillow count with their
    buffers, and a view with all that it keeps; memory of another device, mapped files, and what other libraries allocate out of Python's sight do not.

    It is an estimate: of what is large a sample is looked at, so that it takes some microseconds for a row of JSON and a fraction of a
    millisecond for anything. It assumes that what it has not seen is like what it has: rare large things in a large container of small ones, or a long
    chain of objects, are misjudged. `exact=True` looks at everything, which takes a second and about 100 MB for a million objects.

    No code of what is measured is run, but a function registered for its type and the method `__safemem_size__` of its class, which return the
    size of the whole object, parts included; for the classes of an object the nearest of them in the order of inheritance is taken. Other threads may go on
    changing the object; then the answer is of no particular moment. No lock is held, so there is nothing that a fork could leave locked.

    Args:
        obj: anything.
        exact: look at everything.

    Raises:
        TypeError: a registered function or `__safemem_size__` returned something else than an int.
        ValueError: it returned a negative one.

    >>> shared = "x" * 1000
    >>> sizeof([shared, shared]) < 1200
    True
    >>> class Image:
    ...     def __safemem_size__(self):
    ...         return 2_000_000
    >>> sizeof({"first": Image(), "second": Image()}) > 4_000_000
    True
    """
    if id(type(obj)) in LEAVES:
        return getsizeof(obj)
    plan = plan_of(obj)
    if plan.measure is not None:
        return plan.measure(obj)
    if not plan.counts or (plan.look is None and plan.blocks is None):
        return plan.size(obj)
    return measure(obj) if exact else estimate(obj)


def _register(type: type | str, func: Any = None) -> Any:  # noqa: A002 - the name in the contract
    """Say how to measure the objects of a type and of the types derived from it; also as a decorator.

    Args:
        type: the type, or its name with its module as in "package.module.Class", so that nothing need be imported. A package around the module will do:
            "pandas.DataFrame" is found wherever pandas keeps it.
        func: gives the size of an object in bytes, parts included. It may call `sizeof` for parts.

    Raises:
        TypeError: `type` or `func` is of a wrong kind.
        ValueError: `type` is a name without a module.

    The function is kept for as long as the program runs, and a type with it; one that is registered again replaces the one before.

    >>> @sizeof.register("somewhere.Matrix")
    ... def size_of_matrix(matrix):
    ...     return 8 * matrix.rows * matrix.columns
    >>> class Pool:
    ...     pass
    >>> sizeof.register(Pool, lambda pool: 0) is not None  # belongs to the program
    True
    >>> sizeof(Pool())
    0
    """
    if func is None:
        return partial(_register, type)
    if not callable(func):
        msg = f"func must be callable, got {func!r}"
        raise TypeError(msg)
    learn(type, cast("Callable[[Any], int]", func))
    return func


sizeof: Final = cast("_SizeOf", _sizeof)
sizeof.register = _register  # type: ignore[method-assign]
_sizeof.__module__ = "safemem"
_sizeof.__name__ = _sizeof.__qualname__ = "sizeof"
_register.__name__ = "register"
_register.__qualname__ = "sizeof.register"
