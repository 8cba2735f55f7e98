"""What all mappings have in common: a buffer whose views outlive it, NumPy arrays over it, `with` and `async with`."""

from __future__ import annotations

import importlib
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmap import mmap
    from types import TracebackType
    from typing import Self

__all__ = ["Mapped"]


class Mapped:
    """A mapping of memory. `mmap.close()` is never called: NumPy may refer to it in ways that the mapping cannot see."""

    __slots__ = ("__weakref__", "_buf", "_mapping", "_size")

    def _hold_mapping(self, mapping: mmap, size: int) -> None:
        self._mapping: mmap | None = mapping
        self._buf: memoryview | None = memoryview(mapping)
        self._size = size

    def _drop_mapping(self, on_views: str) -> bool:
        """Let go of the mapping, which is unmapped at once unless there are views; return whether that is to be raised."""
        watch = weakref.ref(self._mapping) if on_views == "raise" and self._mapping is not None else None
        self._buf = self._mapping = None
        return watch is not None and watch() is not None

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self._size

    @property
    def buf(self) -> memoryview:
        """The memory; slices and arrays made of it stay valid after `close()`.

        Raises:
            ValueError: it is closed.
        """
        if self._buf is None:
            msg = f"{self!r} is closed"
            raise ValueError(msg)
        return self._buf

    def ndarray(self, shape: Any, dtype: Any) -> Any:
        """Return a NumPy array over the beginning of the memory; it stays valid after `close()`.

        Raises:
            ImportError: NumPy is not installed.
            TypeError: the memory is too small for that shape and type.
        """
        np: Any = importlib.import_module("numpy")
        return np.ndarray(shape, dtype, buffer=self.buf)

    if TYPE_CHECKING:

        def close(self) -> None:
            """Let go of the memory."""

    def __enter__(self) -> Self:
        _ = self.buf  # raises if it is closed
        return self

    def __exit__(self, _type: type[BaseException] | None, exc: BaseException | None, _tb: TracebackType | None, /) -> None:
        try:
            self.close()
        except Exception as error:
            if exc is None:
                raise
            exc.add_note(f"closing {self!r} failed, too: {error!r}")  # an error while closing never hides the one on its way

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None, /) -> None:
        self.__exit__(kind, exc, tb)  # before anything is awaited: a cancellation cannot come between
