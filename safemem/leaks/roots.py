"""Where a search begins: everything that is alive without any object referring to it, in words."""

from __future__ import annotations

import contextvars
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from safemem._graph import attributes_of, class_of, mro_of
from safemem.leaks.frames import locals_of, running_frames

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["Root", "Roots", "boundaries", "gather", "is_module", "is_tool"]

# Tools that look at the program rather than being part of it; what they hold, they hold for as long as the program is being looked at.
_TOOLS: Final = (
    "_pytest",
    "pytest",
    "pluggy",
    "hypothesis",
    "coverage",
    "xdist",
    "execnet",
    "unittest.case",
    "unittest.loader",
    "unittest.main",
    "unittest.result",
    "unittest.runner",
    "unittest.suite",
    "IPython",
    "pdb",
    "bdb",
    "safemem.leaks",
)

_PREFIXES: Final = tuple(f"{tool}." for tool in _TOOLS)

_get: Final[Any] = vars(dict)["get"]


class Root(NamedTuple):
    """An object where a search begins, and what holds it: `source` and, if the object is not the source itself, how."""

    obj: Any
    source: str
    label: str = ""


class Roots:
    """All roots in groups, those first that explain best why something is alive, and the words for each by its address."""

    __slots__ = ("groups", "words")

    def __init__(self) -> None:
        self.groups: list[list[Any]] = []
        self.words: dict[int, Root] = {}

    def add(self, roots: Iterator[Root]) -> None:
        """Add a group."""
        group: list[Any] = []
        for root in roots:
            if id(root.obj) not in self.words:
                self.words[id(root.obj)] = root
                group.append(root.obj)
        self.groups.append(group)


def gather(*more: Root) -> Roots:
    """Return the roots of this moment, with `more` of them behind the modules: what the caller knows that the program is working with."""
    roots = Roots()
    program, standard, tools = _modules()
    roots.add(iter([Root(sys.modules, "module sys", ".modules"), *program, *standard]))
    roots.add(_interpreter())
    roots.add(iter(more))
    frames = running_frames()
    roots.add(_locals(frames, tools=False))
    roots.add(iter(tools))
    roots.add(_locals(frames, tools=True))
    return roots


def boundaries() -> tuple[list[Any], list[Any]]:
    """Return where ways to the program's objects begin, and the modules of tools, where none goes on."""
    program, standard, tools = _modules()
    starts = [root.obj for root in (*program, *standard, *_interpreter(), *_locals(running_frames(), tools=False))]
    return starts, [root.obj for root in tools]


def _modules() -> tuple[list[Root], list[Root], list[Root]]:
    """Return the modules: the program's and its libraries', those of the standard library, and those of tools."""
    program: list[Root] = []
    standard: list[Root] = []
    tools: list[Root] = []
    listed: dict[Any, Any] = dict(sys.modules)
    for name, module in listed.items():
        if class_of(name) is not str or module is None:
            continue
        root = Root(module, f"module {name}")
        if is_tool(name):
            tools.append(root)
        elif name.partition(".")[0] in sys.stdlib_module_names and name != "__main__":
            standard.append(root)
        else:
            program.append(root)
    program.sort(key=lambda root: root.source != "module __main__")
    return program, standard, tools


def is_tool(name: str) -> bool:
    """Whether a module is part of a tool."""
    return f"{name}.".startswith(_PREFIXES)


def _interpreter() -> Iterator[Root]:
    """Yield what the interpreter itself keeps for this thread and for all."""
    yield from (Root(value, source) for source, value in ((f"{name}()", getattr(sys, name[4:])()) for name in _HOOKS) if value is not None)
    for variable, value in contextvars.copy_context().items():
        yield Root(value, f"context variable {variable.name!r}")
    yield from _signal_handlers()
    hooks = sys.get_asyncgen_hooks()
    yield from (Root(hook, "sys.get_asyncgen_hooks()") for hook in hooks if hook is not None)
    for exception in _handled():
        yield Root(exception, "the exception that is being handled")


_HOOKS: Final = ("sys.gettrace", "sys.getprofile")


def _signal_handlers() -> Iterator[Root]:
    """Yield what the program has set to handle signals, which is in a table of the interpreter; nothing if it has not imported `signal`."""
    module: Any = sys.modules.get("signal")
    if module is None:
        return
    for number in module.valid_signals():
        handler: Any = module.getsignal(number)
        if handler is not None and class_of(handler) is not module.Handlers:
            yield Root(handler, f"the handler of signal {getattr(number, 'name', number)}")


def _handled() -> list[Any]:
    found: list[Any] = []
    for value in sys._current_exceptions().values():
        exception: Any = value[1] if class_of(value) is tuple else value  # a triple until 3.11
        if exception is not None:
            found.append(exception)
    return found


def _locals(frames: list[tuple[int, FrameType]], *, tools: bool) -> Iterator[Root]:
    """Yield the variables of running functions, those of tools or all others."""
    for number, frame in frames:
        name: Any = _get(frame.f_globals, "__name__")
        if (class_of(name) is str and is_tool(name)) is not tools:
            continue
        if frame.f_trace is not None:
            yield Root(frame.f_trace, f"the tracing function of {_running(number, frame)}")
        if frame.f_code.co_flags & 1:  # else they are the module's or the class's, which are found elsewhere
            for variable, value in locals_of(frame).items():
                yield Root(value, _running(number, frame), f" local {variable!r}")


def _running(number: int, frame: FrameType) -> str:
    thread = _thread_name(number)
    words = f"running function {frame.f_code.co_qualname}"
    return words if thread is None else f"thread {thread!r}: {words}"


def _thread_name(number: int) -> str | None:
    """Return the name of a thread, None for the main thread and those without a name."""
    threading: Any = sys.modules.get("threading")
    if threading is None:
        return None
    thread: Any = threading._active.get(number)
    if thread is None or thread is threading._main_thread:
        return None
    name = (attributes_of(thread) or {}).get("_name")
    return name if class_of(name) is str else None


def is_module(obj: object) -> bool:
    """Whether an object is a module, whatever it says."""
    return any(base is ModuleType for base in mro_of(class_of(obj)))
