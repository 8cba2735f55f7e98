"""What arguments of resources must be; each error names the argument, the rule and the offender."""

from __future__ import annotations

import operator
import os
import sys
from typing import Any

from safemem.resources.lease import parse_name

__all__ = ["check_choice", "check_init", "check_mode", "check_name", "check_size"]

_NAME_MAX = 255


def check_size(size: Any) -> int:
    """Return a size in bytes as an int.

    >>> check_size(0)
    Traceback (most recent call last):
    ValueError: size must be > 0, got 0
    """
    if isinstance(size, bool):
        msg = f"size must be an int, got {size!r}"
        raise TypeError(msg)
    try:
        number = operator.index(size)
    except TypeError:
        msg = f"size must be an int, got {size!r}"
        raise TypeError(msg) from None
    if number <= 0:
        msg = f"size must be > 0, got {number}"
        raise ValueError(msg)
    if number > sys.maxsize:
        msg = f"size must be <= {sys.maxsize}, got {number}"
        raise ValueError(msg)
    return number


def check_name(name: Any, *, new: bool) -> str:
    """Return a name as it stands in its directory; one slash at the start, which `shm_open()` wants, is taken off.

    >>> check_name("/camera", new=True)
    'camera'
    >>> check_name("a/b", new=True)
    Traceback (most recent call last):
    ValueError: name must not contain '/' or NUL, got 'a/b'
    """
    if not isinstance(name, str):
        msg = f"name must be a str, got {name!r}"
        raise TypeError(msg)
    plain = name.removeprefix("/")
    if not plain or plain in {".", ".."}:
        msg = f"name must not be empty, '.' or '..', got {name!r}"
        raise ValueError(msg)
    if "/" in plain or "\0" in plain:
        msg = f"name must not contain '/' or NUL, got {name!r}"
        raise ValueError(msg)
    try:
        length = len(os.fsencode(plain))
    except UnicodeEncodeError:
        msg = f"name must be encodable in {sys.getfilesystemencoding()}, got {name!r}"
        raise ValueError(msg) from None
    if length > _NAME_MAX:
        msg = f"name must be at most {_NAME_MAX} bytes long, got {length}: {name[:30]!r}..."
        raise ValueError(msg)
    if new and parse_name(plain) is not None:
        msg = f"name must not look like those that safemem makes itself, got {name!r}"
        raise ValueError(msg)
    return plain


def check_choice(what: str, value: Any, choices: tuple[str, ...]) -> None:
    """Refuse what is none of the words that are allowed.

    >>> check_choice("policy", "first", ("owner", "last"))
    Traceback (most recent call last):
    ValueError: policy must be 'owner' or 'last', got 'first'
    """
    if not (isinstance(value, str) and value in choices):
        *some, last = map(repr, choices)
        msg = f"{what} must be {', '.join(some)} or {last}, got {value!r}"
        raise ValueError(msg) if isinstance(value, str) else TypeError(msg)


def check_mode(mode: Any) -> int:
    """Return permissions that let the owner read and write: without, not even its own sweep could ask who uses it."""
    if not isinstance(mode, int) or isinstance(mode, bool):
        msg = f"mode must be an int, got {mode!r}"
        raise TypeError(msg)
    if not 0 <= mode <= 0o777 or mode & 0o600 != 0o600:
        msg = f"mode must be permissions that let the owner read and write, as 0o600, got {mode:#o}"
        raise ValueError(msg)
    return mode


def check_init(init: Any, size: int | None) -> int:
    """Return the size, which is that of `init` if it was not given."""
    if callable(init):
        if size is None:
            msg = "size must be given with an init that is to be called"
            raise TypeError(msg)
        return check_size(size)
    try:
        with memoryview(init) as contents:
            length, contiguous = contents.nbytes, contents.c_contiguous
    except TypeError:
        msg = f"init must be a bytes-like object or a callable, got {init!r}"
        raise TypeError(msg) from None
    if not contiguous:
        msg = "init must be C-contiguous"
        raise ValueError(msg)
    size = check_size(length if size is None else size)
    if length > size:
        msg = f"init must not be longer than size, which is {size}, got {length} bytes"
        raise ValueError(msg)
    return size
