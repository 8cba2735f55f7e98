"""Netflix/dispatch, issue 2867: sessions stay in the thread"s registry, and the thread in its pool."""

from __future__ import annotations

import threading

KINDS = ["thread", "growth"]
HOLDER = ["registry", "sessions"]
FIX = ["thread", "ContextVar", "LRUCache"]


class Session:
    def __init__(self) -> None:
        self.identity_map = dict.fromkeys(range(10))


registry = threading.local()


def _sessions() -> list[Session]:
    if not hasattr(registry, "sessions"):
        registry.sessions = []
    found: list[Session] = registry.sessions
    return found


def leak() -> None:
    _sessions().append(Session())


def mended() -> None:
    sessions = _sessions()
    sessions.append(Session())
    sessions.pop()
