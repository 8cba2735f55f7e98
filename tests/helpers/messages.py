"""Messages of exceptions without what differs from version to version."""

from __future__ import annotations

import re

__all__ = ["plain"]

# From Python 3.14 on a dict says what it was asked to do with what has no hash; the native core asks for the hash itself.
_NAMES_THE_USE = re.compile(r"cannot use '[^']*' as a (?:dict key|set element) \((unhashable type: '[^']*')\)")


def plain(text: str) -> str:
    """Return a text with the messages that all versions have.

    >>> plain("cannot use 'list' as a dict key (unhashable type: 'list')")
    "unhashable type: 'list'"
    """
    return _NAMES_THE_USE.sub(r"\1", text)
