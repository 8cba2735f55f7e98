"""managed: any object with a closing method as a resource."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from safemem._compat import override
from safemem.resources.base import Ending, Held
from safemem.resources.closing import closer_of, finish, is_awaitable

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["managed"]

T = TypeVar("T")


class managed(Held, Generic[T]):  # noqa: N801 - named like the functions that open resources
    """Close any object at the end of a block, when this handle is dropped, or at exit: whatever comes first, once.

    As `contextlib.closing()`, for any closing method, and without a block too: keep the handle, and call its `close()`.

    >>> class Connection:
    ...     def hang_up(self):
    ...         print("hung up")
    >>> with managed(Connection(), close="hang_up") as connection:
    ...     print(type(connection).__name__)
    Connection
    hung up
    >>> call = managed(Connection(), close=Connection.hang_up)
    >>> call.obj.hang_up is not None
    True
    >>> call.close()
    hung up
    >>> call.close()

    * A handle that is dropped open closes its object and warns (`ResourceWarning` with the place of creation). The object itself may live on.
    * An error while closing is raised, but never in place of an exception that is on its way out of the block: that one gets a note.
    * A closing method that is a coroutine function needs `async with`, or `await handle.aclose()`.
    * In a forked child the handle does nothing. Threads may share it.

    Args:
        obj: What is to be closed.
        close: The name of its closing method, or a callable that is called with the object.

    Raises:
        TypeError: There is no such method.

    """

    __module__ = "safemem"
    __slots__ = {"obj": "What is to be closed."}

    obj: T

    def __init__(self, obj: T, *, close: str | Callable[[T], object] = "close") -> None:
        self.obj = obj
        what = f"managed {type(obj).__qualname__} object"
        super().__init__(what, _Closer(what, closer_of("obj", obj, close)).release)

    def __enter__(self) -> T:
        self._check_open()
        return self.obj

    async def __aenter__(self) -> T:
        return self.__enter__()

    @override
    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            await self.aclose()
        except Exception as another:
            if error is None:
                raise
            error.add_note(f"while closing {self!r}: {type(another).__name__}: {another}")

    async def aclose(self) -> None:
        """Close it, and wait if its closing method is a coroutine function."""
        found = self._finalizer.detach()
        if found is not None:
            result = found[2][2].__self__.call()
            if is_awaitable(result):
                await result

    def __repr__(self) -> str:
        return f"<managed {self.obj!r}>"


class _Closer:
    """What closes the object; the handle is not among what it holds."""

    __slots__ = ("call", "what")

    def __init__(self, what: str, call: Callable[[], Any]) -> None:
        self.what = what
        self.call = call

    def release(self, _ending: Ending) -> None:
        finish(self.what, self.call())
