"""A clock that moves only when a test moves it, in either direction."""

from __future__ import annotations


class Clock:
    """A timer driven by hand: `tick` forward, `back`, or `jump` anywhere."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self.calls = 0

    def __call__(self) -> float:
        self.calls += 1
        return self.now

    def tick(self, seconds: float = 1.0) -> None:
        """Move forward."""
        self.now += seconds

    def back(self, seconds: float = 1.0) -> None:
        """Move backward, as a wall clock does when it is set."""
        self.now -= seconds

    def jump(self, to: float) -> None:
        """Move anywhere at once."""
        self.now = to


class BrokenClock(Clock):
    """A hand-driven clock that raises `error` while it is set."""

    def __init__(self, now: float = 0.0) -> None:
        super().__init__(now)
        self.error: BaseException | None = None

    def __call__(self) -> float:
        if self.error is not None:
            raise self.error
        return super().__call__()


SHARED = Clock()


def shared_clock() -> float:
    """Read the one clock of this process: a timer that pickles by reference."""
    return SHARED()
