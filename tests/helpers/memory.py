"""Allocations that fail."""

from __future__ import annotations

from collections.abc import Callable

from helpers.recorder import unraisable


def fails_without_memory(start: int, operation: Callable[..., object], *args: object, harmless: tuple[type[Exception], ...] = ()) -> bool:
    """Run an operation with its `start`-th allocation failing; return whether it failed, or something that it called and that cannot raise."""
    import _testcapi as testcapi  # part of CPython's own tests

    failed = False
    with unraisable() as caught:
        testcapi.set_nomemory(start, start + 1)
        try:
            operation(*args)
        except MemoryError:
            failed = True
        except harmless:
            pass
        finally:
            testcapi.remove_mem_hooks()
    failed = failed or bool(caught)
    caught.clear()
    return failed
