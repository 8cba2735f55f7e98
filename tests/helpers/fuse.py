"""Objects whose special methods bite: they call back at the worst moment, once, and never from inside their own bite."""

from __future__ import annotations

from collections.abc import Callable


class Fuse:
    """A one-shot charge: `arm` it, and the next `blow` calls the action; what it raises is kept for the test to see."""

    def __init__(self) -> None:
        self._action: Callable[[], object] | None = None
        self.blown = 0
        self.errors: list[BaseException] = []

    def arm(self, action: Callable[[], object]) -> None:
        """Have `action` called by the next `blow`."""
        self._action = action

    def disarm(self) -> None:
        """Take the charge out."""
        self._action = None

    def blow(self, *_: object) -> None:
        """Call the action, if armed."""
        action, self._action = self._action, None
        if action is None:
            return
        self.blown += 1
        try:
            action()
        except Exception as error:  # noqa: BLE001 - a finaliser may not raise; the test looks here
            self.errors.append(error)


class DelBomb:
    """A value or key whose finaliser blows its fuse."""

    def __init__(self, fuse: Fuse, name: object = None) -> None:
        self.fuse = fuse
        self.name = name

    def __del__(self) -> None:
        self.fuse.blow()


class EqBomb:
    """A key whose comparison blows its fuse; all of them collide."""

    def __init__(self, fuse: Fuse, name: int) -> None:
        self.fuse = fuse
        self.name = name

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        self.fuse.blow()
        return isinstance(other, EqBomb) and self.name == other.name


class HashBomb:
    """A key whose hash blows its fuse."""

    def __init__(self, fuse: Fuse, name: int) -> None:
        self.fuse = fuse
        self.name = name

    def __hash__(self) -> int:
        self.fuse.blow()
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HashBomb) and self.name == other.name


class FreshKey:
    """A key that equals others by name, collides with half of them, and whose instances are many."""

    __slots__ = ("name",)

    def __init__(self, name: int) -> None:
        self.name = name

    def __hash__(self) -> int:
        return self.name % 2

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FreshKey) and self.name == other.name

    def __repr__(self) -> str:
        return f"FreshKey({self.name})"
