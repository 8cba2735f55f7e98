"""Functions that count how often they really ran."""

from __future__ import annotations

from typing import Any

from safemem import cached

from .collect import Thing


class Calls:
    """A function that counts how often it ran."""

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        self.calls.append((args, kwargs))
        return Thing((args, kwargs))

    def __len__(self) -> int:
        return len(self.calls)


def counting(*arguments: Any, **options: Any) -> tuple[Any, Calls]:
    """A cached function and the calls that got through."""
    calls = Calls()

    def function(*args: Any, **kwargs: Any) -> Any:
        return calls(*args, **kwargs)

    decorated = cached(function) if not (arguments or options) else cached(*arguments, **options)(function)
    return decorated, calls
