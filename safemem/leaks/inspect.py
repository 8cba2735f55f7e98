"""why_alive: who holds an object, step by step from a root."""

from __future__ import annotations

from typing import Any

from safemem.leaks.report import RetentionPath
from safemem.leaks.walk import in_words, ways_to

__all__ = ["why_alive"]


def why_alive(obj: Any, /) -> RetentionPath:
    """Return the strongest short path by which an object is held, in words: `print(why_alive(obj))`.

    Modules and classes come before what the interpreter keeps (tracing functions, context variables), and that before the variables of
    running functions: of several ways the one is shown that will last. Within each it is a shortest one. If nothing that can be seen holds
    the object but the caller, the path says so; `path.edges` has the steps, `path.holder` all in one line, and `path.to_dot()` draws it.

    No code of any object is run, and the path refers to none of them. The walk stops the program: a fifth of a second for a million objects
    with the compiled core, some seconds without it. Threads may go on in between if there is no GIL, and a path may then be one of a moment ago.

    >>> import sys
    >>> from types import ModuleType
    >>> class Session: ...
    >>> sessions = {}
    >>> sessions["ab12"] = session = Session()
    >>> sys.modules["shop"] = shop = ModuleType("shop")
    >>> shop.sessions = sessions
    >>> print(why_alive(session))
    module shop
      .sessions -> dict of 1
      ['ab12'] -> Session
    >>> del sys.modules["shop"]
    """
    way = ways_to([obj])[0]
    return in_words(way) or RetentionPath()


why_alive.__module__ = "safemem"
