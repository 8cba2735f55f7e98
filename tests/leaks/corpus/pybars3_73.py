"""wbond/pybars3, issue 73: every compiled template becomes a module of its own name, which stays in sys.modules."""

from __future__ import annotations

import sys
from itertools import count
from types import ModuleType

KINDS = ["growth"]
HOLDER = ["sys.modules"]
FIX = ["sys.modules", "LRUCache"]

numbers = count()


def compiled(source: str) -> ModuleType:
    module = ModuleType(f"pybars_template_{next(numbers)}")
    exec(source, vars(module))
    sys.modules[module.__name__] = module
    return module


def leak() -> None:
    compiled("text = 'hello'")


def mended() -> None:
    del sys.modules[compiled("text = 'hello'").__name__]


def tidy() -> None:
    for name in [name for name in sys.modules if name.startswith("pybars_template_")]:
        del sys.modules[name]
