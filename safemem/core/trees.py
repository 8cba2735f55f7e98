"""Trees, by the core that is in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safemem.core import NATIVE

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
