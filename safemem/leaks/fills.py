"""What grows in a program without leaking, as far as it can be told after one run: what is made first and then given a name, and imports."""

from __future__ import annotations

import re
import sys
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

from safemem.leaks.names import attributes_of_module, edges_along
from safemem.leaks.roots import is_module

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

    from safemem.leaks.report import Edge
    from safemem.leaks.walk import Way

__all__ = ["is_import", "is_importing", "is_variable_of_program", "names_along", "names_in_program", "variables_of_program"]

_GENERATED: Final = 200  # modules without a file
_DEPTH: Final = 300  # frames that are looked at
_IMPORTER: Final = "<frozen importlib._bootstrap>"
_NAME: Final = re.compile(r"^\.(\w+)$|closure variable '(\w+)'$")


def is_import(grows: Any) -> bool:
    """Whether it is `sys.modules`, and what came was imported rather than generated."""
    if grows is not sys.modules:
        return False
    modules: list[Any] = [*sys.modules.values()]
    return sum(is_module(module) and attributes_of_module(module).get("__spec__") is None for module in modules) < _GENERATED


def is_importing() -> bool:
    """Whether a module is being imported just now, in this thread."""
    frame: FrameType | None = sys._getframe()
    for _ in range(_DEPTH):
        if frame is None:
            return False
        if frame.f_code.co_filename == _IMPORTER:
            return True
        frame = frame.f_back
    return False


def variables_of_program() -> set[int]:
    """Return the addresses of what the variables of the program's main module refer to."""
    main: Any = sys.modules.get("__main__")
    return {id(value) for value in [*attributes_of_module(main).values()]} if is_module(main) else set()


def is_variable_of_program(way: Way, grows: Any) -> bool:
    """Whether it is the main module by which something is held, as the value of a variable."""
    return way.nodes[0] is sys.modules.get("__main__") and id(grows) in variables_of_program()


def names_in_program(way: Way) -> list[str]:
    """Return by which names a function would get from the main module to what it adds to: variables, attributes; nothing if it is held elsewhere."""
    return names_along(edges_along(way.root, way.nodes)) if way.nodes[0] is sys.modules.get("__main__") else []


def names_along(edges: Iterable[Edge]) -> list[str]:
    """Return the names of attributes and variables on a path, up to the first container that it leads into."""
    labels = [edge.label for edge in edges]
    found = [_NAME.search(label) for label in takewhile(lambda label: not label.startswith("["), labels)]
    return [match[1] or match[2] for match in found if match is not None]
