"""Locks that a forked child can use, whoever held them in the parent.

A fork copies a lock in the state it had; a lock that another thread held at that moment would stay locked in the child for ever.
Every lock of the package is made here, and one hook resets those that the surviving thread does not hold itself.
The hook is registered with the first lock, not at import.
"""

from __future__ import annotations

import os
from _thread import RLock
from weakref import WeakSet

__all__ = ["new_lock"]

_locks: WeakSet[RLock] | None = None


def new_lock() -> RLock:
    """Return a re-entrant lock that is free, or still this thread's own, in a forked child."""
    global _locks  # noqa: PLW0603 - made with the first lock, so that importing changes nothing in the process
    if _locks is None:
        _locks = WeakSet()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_free_foreign_locks)
    lock = RLock()
    _locks.add(lock)
    return lock


def _free_foreign_locks() -> None:
    # A lock held by the forking thread itself is left alone: that thread lives on and will release it.
    for lock in list(_locks or ()):
        if not lock._is_owned():  # type: ignore[attr-defined] # as the standard library's own after-fork hooks do
            lock._at_fork_reinit()  # type: ignore[attr-defined]
