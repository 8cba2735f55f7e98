"""Trees, by the core that is in use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safemem._graph import name_edges
from safemem.core import NATIVE

if TYPE_CHECKING:
    from collections.abc import Iterator

if TYPE_CHECKING or not NATIVE:
    from safemem.core._tree import (
        TreeCore,
        adopt,
        adopt_all,
        children_of,
        keep_shell,
        leave,
        lineage,
        make_room,
        parent_of,
        set_parent,
        shell_of,
    )
else:
    from safemem.core._native import (
        TreeCore,
        adopt,
        adopt_all,
        children_of,
        keep_shell,
        leave,
        lineage,
        make_room,
        parent_of,
        set_parent,
        shell_of,
    )

__all__ = [
    "NATIVE",
    "TreeCore",
    "adopt",
    "adopt_all",
    "children_of",
    "keep_shell",
    "leave",
    "lineage",
    "make_room",
    "parent_of",
    "set_parent",
    "shell_of",
]


if NATIVE and not TYPE_CHECKING:  # the attributes of the pure core's records have names already
    from safemem.core._native import held_children

    def _edges(node: Any) -> Iterator[tuple[str, Any]]:
        return ((f".children[{place}]", child) for place, child in enumerate(held_children(node)))

    name_edges(TreeCore, _edges)
