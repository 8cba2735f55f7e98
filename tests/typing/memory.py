"""What a type checker sees of sizes and readings. Checked by mypy and pyright, not executed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_type

from safemem import MemoryInfo, Pressure, memory_info, sizeof, trim


class Image:
    pixels: bytes


def size_of_image(image: Image) -> int:
    return len(image.pixels)


@sizeof.register(Image)
def decorated(image: Image) -> int:
    return len(image.pixels)


def readings() -> None:
    assert_type(sizeof([1, 2]), int)
    assert_type(sizeof(object(), exact=True), int)
    same: Callable[[Image], int] = sizeof.register(Image, size_of_image)
    assert_type(same(Image()), int)
    assert_type(decorated(Image()), int)
    sizeof.register("package.Class", size_of_image)
    sizeof.register(Image, "no function")  # type: ignore[call-overload] # pyright: ignore[reportArgumentType, reportCallIssue]
    sizeof.register(5, size_of_image)  # type: ignore[call-overload] # pyright: ignore[reportArgumentType, reportCallIssue]
    assert_type(memory_info(), MemoryInfo)
    assert_type(memory_info().rss, int | None)
    assert_type(trim(), int)


def pressure(found: Pressure, anything: Any) -> None:
    assert_type(found.reason, str)
    assert_type(found.readings.level, float | None)
    assert_type(sizeof(anything), int)
