"""Words and digests of reports: a leak's signature, and numbers of bytes as people say them."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

__all__ = ["plain_name", "readable_bytes", "signature_of", "visible"]

# What differs between two runs of the same program: addresses, and numbers inside brackets, of names and of what is counted.
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]+")
_NUMBER: Final = re.compile(r"(?<![A-Za-z_])\d+")


def signature_of(kind: str, *parts: str) -> str:
    """Return a leak's signature: its kind, and a digest of what tells it from others, addresses and numbers left out.

    >>> signature_of("growth", "module shop.sessions[17]") == signature_of("growth", "module shop.sessions[4]")
    True
    """
    text = "\0".join(_NUMBER.sub("#", _ADDRESS.sub("#", part)) for part in parts)
    return f"{kind}-{sha256(text.encode('utf-8', 'backslashreplace')).hexdigest()[:10]}"


def readable_bytes(number: int) -> str:
    """Return a number of bytes as people say it.

    >>> readable_bytes(512), readable_bytes(2_500_000)
    ('512 bytes', '2.5 MB')
    """
    if number < 1000:
        return f"{number} bytes"
    power = next((power for power in (1, 2, 3) if number < 999.95 * 1000**power), 4)
    return f"{number / 1000**power:.1f} {_UNITS[power]}"


_UNITS: Final = ("", "kB", "MB", "GB", "TB")


def visible(text: str) -> str:
    r"""Return a text in which every character can be seen: those that control, reverse or hide others are written as escapes.

    >>> print(visible("shop\x1b[31m\u202e"))
    shop\x1b[31m\u202e
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each == "\n" else repr(each)[1:-1] for each in text)


_VARIES: Final = re.compile(r"(?<=tmp)[a-z0-9_]{8}|[0-9a-f]{6,}|\d+|(?<=[-_.])[A-Za-z0-9_]{8}(?=\.|$)")


def plain_name(name: str) -> str:
    """Return what of a file's name is the same in every run: numbers, digests and the random part of temporary names left out.

    >>> plain_name("report-2026-11-21.csv"), plain_name("tmpk3x9q2ab.json")
    ('report-#-#-#.csv', 'tmp#.json')
    """
    return _VARIES.sub("#", name)
