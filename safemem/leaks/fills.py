"""What grows in a program without leaking, as far as it can be told after one run: what is made first and then given a name, and imports."""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from safemem._graph import class_of
from safemem.leaks.names import attributes_of_module
from safemem.leaks.roots import is_module

if TYPE_CHECKING:
    from safemem.leaks.walk import Way

__all__ = ["is_import", "is_variable_of_program", "table_of_program", "variables_of_program"]

_GENERATED: Final = 200  # modules without a file
_PLAIN: Final[tuple[Any, ...]] = (dict, list, set, deque)


def is_import(grows: Any) -> bool:
    """Whether it is `sys.modules`, and what came was imported rather than generated."""
    if grows is not sys.modules:
        return False
    modules: list[Any] = [*sys.modules.values()]
    return sum(is_module(module) and attributes_of_module(module).get("__spec__") is None for module in modules) < _GENERATED


def variables_of_program() -> set[int]:
    """Return the addresses of what the variables of the program's main module refer to."""
    main: Any = sys.modules.get("__main__")
    return {id(value) for value in [*attributes_of_module(main).values()]} if is_module(main) else set()


def is_variable_of_program(way: Way, grows: Any) -> bool:
    """Whether it is the main module by which something is held, as the value of a variable."""
    return way.nodes[0] is sys.modules.get("__main__") and id(grows) in variables_of_program()


def table_of_program(way: Way) -> str | None:
    """Return the main module's variable by which something is held, if it refers to a plain container; else None."""
    main: Any = sys.modules.get("__main__")
    if way.nodes[0] is not main or not is_module(main):
        return None
    first = {id(node) for node in way.nodes[1:3]}  # the module's dict may be between
    names = [name for name, value in [*attributes_of_module(main).items()] if id(value) in first and class_of(value) in _PLAIN]
    return names[0] if names else None
