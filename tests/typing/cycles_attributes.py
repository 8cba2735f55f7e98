"""What a type checker sees of weak attributes, weak partials and stripped exceptions. Checked by mypy and pyright, not executed."""

from __future__ import annotations

from typing import assert_type

from safemem import strip_traceback, weak_partial


class Shape:
    """Something of the user's."""

    def area(self, scale: int) -> float:
        return float(scale)


def partials(shape: Shape) -> None:
    assert_type(weak_partial(shape.area)(1), float | None)
    assert_type(weak_partial(shape.area, 1), weak_partial[float])
    weak_partial(5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def tracebacks() -> None:
    try:
        partials(Shape())
    except (ValueError, KeyError) as error:
        assert_type(strip_traceback(error), ValueError | KeyError)
    strip_traceback(ValueError)  # type: ignore[type-var] # pyright: ignore[reportArgumentType]
