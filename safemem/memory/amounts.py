"""Amounts of memory as people write them: `512_000_000`, `"512MB"`, `"1.5 GiB"`, `"50%"`; and how they read them."""

from __future__ import annotations

import math
import re
from typing import Final

__all__ = ["bytes_of", "fraction_of", "in_words"]

_UNITS: Final = {
    "": 1,
    "b": 1,
    **{prefix + end: 1000**power for power, prefix in enumerate("kmgtp", 1) for end in ("", "b")},
    **{prefix + end: 1024**power for power, prefix in enumerate("kmgtp", 1) for end in ("i", "ib")},
}
_AMOUNT: Final = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*", re.IGNORECASE | re.ASCII)
_PERCENT: Final = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*%\s*", re.ASCII)


def bytes_of(name: str, amount: object) -> int:
    """Return an amount in bytes; `name` is the argument's, for errors.

    A number, or a string with a unit: kB, MB, GB, TB, PB are powers of 1000, KiB, MiB, GiB, TiB, PiB of 1024; "b" and case do not matter.

    >>> bytes_of("limit", "1.5 MB"), bytes_of("limit", "1.5MiB"), bytes_of("limit", 1500)
    (1500000, 1572864, 1500)
    """
    if isinstance(amount, str):
        match = _AMOUNT.fullmatch(amount)
        unit = _UNITS.get(match[2].lower()) if match is not None else None
        if match is None or unit is None:
            msg = f"{name} must be a number of bytes or a string such as '512MB', got {amount!r}"
            raise ValueError(msg)
        return int(match[1]) * unit if match[1].isdigit() else int(float(match[1]) * unit)
    if isinstance(amount, bool) or not isinstance(amount, (int, float)):
        msg = f"{name} must be a number of bytes or a string such as '512MB', got {amount!r}"
        raise TypeError(msg)
    if not 0 <= amount < math.inf:
        msg = f"{name} must be finite and >= 0, got {amount!r}"
        raise ValueError(msg)
    return int(amount)


def fraction_of(name: str, text: str) -> float | None:
    """Return the fraction that a string such as `"50%"` says, None if it is none.

    >>> fraction_of("limit", "50%"), fraction_of("limit", "50MB")
    (0.5, None)
    """
    match = _PERCENT.fullmatch(text)
    if match is None:
        return None
    fraction = float(match[1]) / 100
    if not 0 < fraction <= 1:
        msg = f"{name} must be between 0% and 100%, got {text!r}"
        raise ValueError(msg)
    return fraction


def in_words(nbytes: float) -> str:
    """Return a number of bytes in units.

    >>> in_words(512_000_000), in_words(0)
    ('512.0 MB', '0 B')
    """
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if abs(nbytes) >= 1000**power:
            return f"{nbytes / 1000**power:.1f} {unit}"
    return f"{nbytes:.0f} B"
