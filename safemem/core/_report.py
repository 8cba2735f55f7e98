"""Hand an exception that belongs to no caller to `sys.unraisablehook`."""

from __future__ import annotations

__all__ = ["report_unraisable"]


def report_unraisable(exc: BaseException) -> None:
    """Report an exception of a callback the way the interpreter reports those of finalisers.

    The hook takes an object of a type that cannot be made from Python, so the interpreter has to make it: a finaliser raises the exception.
    """
    carrier = _Carrier(exc)
    # The traceback will lead to the finaliser's frame and from there back to this one, which must not lead to the exception again.
    del exc
    del carrier


class _Carrier:
    __slots__ = ("_exc",)

    def __init__(self, exc: BaseException) -> None:
        self._exc = exc

    def __del__(self) -> None:
        exc = self._exc
        try:
            raise exc
        finally:
            # The exception's traceback refers to this frame: what the frame refers to must not lead back.
            del exc, self._exc
