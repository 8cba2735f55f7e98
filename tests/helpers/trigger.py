"""What keys and arguments do from inside a hash or a comparison: nothing, until it is set."""

from __future__ import annotations

from collections.abc import Callable


class Fault(Exception):
    """What keys raise."""


class Trigger:
    """One action for all keys, done by whichever is hashed or compared next."""

    action: Callable[[], object] | None = None

    @classmethod
    def pull(cls) -> None:
        """Do it, once."""
        action, cls.action = cls.action, None
        if action is not None:
            action()

    @classmethod
    def fail_after(cls, count: int) -> None:
        """From the next pull but `count` on, every one raises."""
        left = [count]

        def bite() -> None:
            left[0] -= 1
            if left[0] < 0:
                raise Fault
            cls.action = bite

        cls.action = bite
