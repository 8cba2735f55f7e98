"""Anchor: what keeps a whole tree alive for somebody who holds only a part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Anchor"]

N_co = TypeVar("N_co", covariant=True)


class Anchor(Generic[N_co]):
    """A handle on a node that also holds the root which the node had when the handle was made.

    `with node.anchored() as anchor:` lets go of both at the end of the block; without `with` it lets go when it is dropped itself, or when
    `release()` is called. It does not hold the node in its place: what is detached meanwhile is detached.
    """

    __slots__ = ("__weakref__", "_held")

    def __init__(self, node: N_co, root: N_co) -> None:
        self._held: tuple[N_co, N_co] | None = (node, root)

    @property
    def node(self) -> N_co:
        """The node; ReferenceError after the release."""
        return self._both()[0]

    @property
    def root(self) -> N_co:
        """The root that is held; ReferenceError after the release."""
        return self._both()[1]

    def _both(self) -> tuple[N_co, N_co]:
        if self._held is None:
            msg = "the anchor has been released"
            raise ReferenceError(msg)
        return self._held

    def release(self) -> None:
        """Let go of the tree; nothing happens the second time."""
        self._held = None

    def __enter__(self) -> Self:
        self._both()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def __repr__(self) -> str:
        if self._held is None:
            return "<Anchor, released>"
        node, root = self._held
        return f"<Anchor of {type(node).__qualname__} at {id(node):#x}, root at {id(root):#x}>"
