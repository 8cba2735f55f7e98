"""How things are closed: by which of their methods, and what becomes of one that is asynchronous where nobody can wait."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["closer_of", "finish", "is_awaitable"]

# The first that an object has; "terminate" comes before all of them.
METHODS: Final = ("close", "aclose", "shutdown", "cleanup", "stop", "cancel")
PATIENCE: Final = 5.0  # seconds that a process gets to end by itself


def closer_of(name: str, obj: Any, close: Any) -> Callable[[], Any]:
    """Return what closes an object, or say what it lacks; `close` is a method's name, a callable, or None for whatever it has."""
    if close is None:
        return _found(name, obj)
    if isinstance(close, str):
        method = getattr(obj, close, None)
        if not callable(method):
            msg = f"{name} must have a method {close!r}, got {obj!r}: name another one with close="
            raise TypeError(msg)
        return method  # type: ignore[no-any-return]
    if not callable(close):
        msg = f"close must be the name of a method or callable, got {close!r}"
        raise TypeError(msg)
    return partial(close, obj)


def _found(name: str, obj: Any) -> Callable[[], Any]:
    if callable(getattr(obj, "terminate", None)):
        return partial(_end_process, obj)
    executor = getattr(sys.modules.get("concurrent.futures._base"), "Executor", ())
    if isinstance(obj, executor):
        return partial(obj.shutdown, wait=True, cancel_futures=True)
    for method in METHODS:
        found = getattr(obj, method, None)
        if callable(found):
            return found  # type: ignore[no-any-return]
    msg = f"{name} must have one of the methods terminate, {', '.join(METHODS)}, got {obj!r}: say with close= how it is closed"
    raise TypeError(msg)


def _end_process(process: Any) -> Any:
    """End a process, or a pool of them, and reap it: kindly at first."""
    if getattr(process, "pid", 0) is None:  # never started
        return None
    try:
        process.terminate()
    except ProcessLookupError:  # asyncio's say so; the others keep silent
        pass
    wait = getattr(process, "wait", None) or getattr(process, "join", None)
    if wait is None:
        return None
    if not hasattr(process, "kill"):  # a pool
        return wait()
    waited = _wait(process, wait)
    if is_awaitable(waited):
        return waited
    for each in ("stdin", "stdout", "stderr"):
        stream: Any = getattr(process, each, None)
        if stream is not None:
            stream.close()
    return None


def _wait(process: Any, wait: Callable[..., Any]) -> Any:
    try:
        waited = wait(PATIENCE)
    except TypeError:  # asyncio's takes no limit
        return wait()
    except Exception as error:
        if type(error).__name__ != "TimeoutExpired":
            raise
    else:
        if not (hasattr(process, "is_alive") and process.is_alive()):
            return waited
    process.kill()
    return wait()


def is_awaitable(result: object) -> bool:
    """Whether somebody has to wait for a result of closing."""
    return hasattr(type(result), "__await__")


def finish(what: str, result: Any) -> None:
    """Let a closing that turned out to be asynchronous do what it can without waiting; it is an error if that is not all."""
    if not is_awaitable(result):
        return
    steps = result.__await__()
    try:
        next(steps)
    except StopIteration:
        return
    steps.close()
    msg = f"closing {what} has to wait for something, which only works with `async with`"
    raise TypeError(msg)
