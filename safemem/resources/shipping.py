"""What goes to a fresh interpreter: a call as bytes, functions that have no importable name with their code."""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import io
import marshal
import pickle
import sys
from types import CellType, CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Shipment", "namespaces", "pack", "unpack"]

# In the child: the globals of functions that came with their code, one dict a module.
namespaces: Final[dict[str, dict[str, Any]]] = {}


class Shipment:
    """A call as bytes, and what the child has to have before it can be unpacked."""

    __slots__ = ("data", "files", "main")

    def __init__(self, data: bytes, files: dict[str, str], main: bool) -> None:
        self.data = data
        self.files = files  # of the modules that it refers to, for a child that does not find them by name
        self.main = main  # whether it refers to classes of `__main__`


def pack(call: object) -> Shipment:
    """Turn a call into bytes; raises what pickle raises."""
    room = io.BytesIO()
    packer = _Packer(room, pickle.HIGHEST_PROTOCOL)
    packer.dump(call)
    return Shipment(room.getvalue(), packer.files, packer.main)


def unpack(data: bytes, files: dict[str, str]) -> Any:
    """Turn the bytes into the call again, in the child."""
    for name, file in files.items():
        _import(name, file)
    return pickle.loads(data)  # noqa: S301 - from the process that started this one


class _Packer(pickle.Pickler):
    def __init__(self, room: io.BytesIO, protocol: int) -> None:
        super().__init__(room, protocol)
        self.files: dict[str, str] = {}
        self.main = False

    def reducer_override(self, obj: Any) -> Any:
        """Say how functions, and what they lead to, are taken apart."""
        if isinstance(obj, FunctionType):
            if not _has_name(obj):
                return _take_apart(obj)
            self._note(obj.__module__)
        elif isinstance(obj, type):
            self.main = self.main or obj.__module__ == "__main__"
            self._note(obj.__module__)
        elif isinstance(obj, CellType):
            return _cell, (), _contents(obj), None, None, _fill
        elif isinstance(obj, ModuleType):
            self._note(obj.__name__)
            return importlib.import_module, (obj.__name__,)
        return NotImplemented

    def _note(self, name: str) -> None:
        file = getattr(sys.modules.get(name), "__file__", None)
        if isinstance(file, str) and name != "__main__":
            self.files[name] = file


def _has_name(function: FunctionType) -> bool:
    """Whether another interpreter finds a function by its name; the main module of this one is not the main module there."""
    found: Any = sys.modules.get(function.__module__)
    if found is None or function.__module__ == "__main__":
        return False
    for part in function.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is function


def _take_apart(function: FunctionType) -> Any:
    """Return what makes the function again: what it refers to comes after it, as that may lead back to it."""
    used = {name: function.__globals__[name] for name in _names(function.__code__) if name in function.__globals__}
    state = (used, function.__defaults__, function.__kwdefaults__, function.__dict__)
    cells = function.__closure__
    parts = (marshal.dumps(function.__code__), function.__module__ or "", function.__name__, function.__qualname__, cells)
    return _function, parts, state, None, None, _complete


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _function(code: bytes, module: str, name: str, qualname: str, cells: tuple[CellType, ...] | None) -> FunctionType:
    scope = namespaces.setdefault(module, {"__builtins__": builtins, "__name__": module})
    made = FunctionType(marshal.loads(code), scope, name, None, cells)  # noqa: S302 - as above
    made.__qualname__ = qualname
    return made


def _complete(function: FunctionType, state: Any) -> None:
    used, function.__defaults__, function.__kwdefaults__, attributes = state
    function.__globals__.update(used)
    function.__dict__.update(attributes)


def _contents(cell: CellType) -> tuple[Any, ...]:
    try:
        return (cell.cell_contents,)
    except ValueError:  # not assigned yet
        return ()


def _cell() -> CellType:
    return CellType()


def _fill(cell: CellType, contents: tuple[Any, ...]) -> None:
    for each in contents:
        cell.cell_contents = each


def _import(name: str, file: str) -> None:
    """Import a module, from its file if it is not where modules are looked for, as test runners load them."""
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
    else:
        return
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        return
    parts = name.split(".")
    for parent in (".".join(parts[:count]) for count in range(1, len(parts))):
        if parent not in sys.modules:  # pickle asks for it before it looks at the module itself
            sys.modules[parent] = ModuleType(parent)
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
