"""What is connected to signals: functions, and objects with a method to be connected, that do nothing or count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["function", "listener", "make_receivers"]

_FUNCTION = """
def hear({parameters}):
    {body}
"""

_CLASS = """
class Listener:
    def hear(self, {parameters}):
        {body}
"""


def make_receivers(kind: str, n: int, parameters: str, heard: list[int] | None = None) -> list[Callable[..., object]]:
    """Return receivers with these parameters: for the kind "signal functions" functions, else bound methods of as many objects.

    With a list, each call appends to it; without, it does nothing. Functions have code of their own, methods are of one class, as listeners
    mostly are.
    """
    body = "pass" if heard is None else "heard.append(1)"
    if kind == "signal functions":
        return [_compiled(_FUNCTION, parameters, body, heard)["hear"] for _ in range(n)]
    listener_type = _compiled(_CLASS, parameters, body, heard)["Listener"]
    return [listener_type().hear for _ in range(n)]


def _compiled(source: str, parameters: str, body: str, heard: list[int] | None) -> dict[str, Any]:
    names: dict[str, Any] = {"heard": heard}
    exec(source.format(parameters=parameters, body=body), names)
    return names


class _Listener:
    def hear(self, x: object) -> None: ...


def function(_number: int) -> Callable[[object], None]:
    """Return a new function."""

    def hear(x: object) -> None: ...

    return hear


def listener(_number: int) -> _Listener:
    """Return a new object with a method `hear`."""
    return _Listener()
