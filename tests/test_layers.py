"""The floors of the house: who may import whom, read from the source."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

import safemem

PACKAGE = Path(safemem.__file__).resolve().parent
TESTS = Path(__file__).resolve().parent

# A room is a module or a package directly below safemem/. A module imports from its own room and from lower floors;
# on the lowest and the highest floor, whose rooms are parts of one thing, from neighbours too.
FLOORS = {
    0: {"_compat", "_finalize", "_graph", "core", "errors"},
    1: {"weak"},
    2: {"caches", "cycles", "observers"},
    3: {"memory", "resources"},
    4: {"leaks"},
    5: {"__main__", "_audit", "_baseline", "_console", "_info", "_leftovers", "cli", "demo", "pytest_plugin"},
}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
OPEN_FLOORS = {0, 5}

# What costs too much to be imported before it is needed, and optional extras.
LATE = {
    "annotationlib",
    "argparse",
    "asyncio",
    "concurrent",
    "ctypes",
    "dataclasses",
    "gc",
    "inspect",
    "json",
    "logging",
    "multiprocessing",
    "numpy",
    "resource",
    "shutil",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
    "traceback",
    "tracemalloc",
}


class Import(NamedTuple):
    """One imported module, and how it is imported."""

    importer: str
    imported: str
    line: int
    in_function: bool
    in_try: bool
    type_checking: bool

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def module_name(path: Path) -> str:
    """The dotted name of a module's file."""
    parts = ["safemem", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def is_type_checking(test: ast.expr) -> bool:
    """Whether a condition is `TYPE_CHECKING` and nothing else."""
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def imports_of(name: str) -> list[Import]:
    """Every import of a module, relative ones refused."""
    found: list[Import] = []

    def visit(node: ast.AST, in_function: bool, in_try: bool, type_checking: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(name, alias.name, node.lineno, in_function, in_try, type_checking) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}:{node.lineno} is a relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.append(Import(name, full if full in MODULES else str(node.module), node.lineno, in_function, in_try, type_checking))
        elif isinstance(node, ast.If) and is_type_checking(node.test):
            for child in node.body:
                visit(child, in_function, in_try, True)
            for child in node.orelse:
                visit(child, in_function, in_try, type_checking)
            return
        in_function = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        in_try = in_try or isinstance(node, ast.Try)
        for child in ast.iter_child_nodes(node):
            visit(child, in_function, in_try, type_checking)

    visit(ast.parse(MODULES[name].read_text(encoding="utf-8")), False, False, False)
    return found


IMPORTS = [item for name in MODULES for item in imports_of(name)]
OURS = [item for item in IMPORTS if item.imported.split(".")[0] == "safemem"]


def room_of(module: str) -> str | None:
    """The room a module is in; None for the package itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else None


def allowed(item: Import) -> bool:
    """Whether the floors allow an import of ours."""
    importer, imported = room_of(item.importer), room_of(item.imported)
    if importer is None:  # safemem/__init__.py re-exports from everywhere below the highest floor
        return imported is not None and FLOOR_OF[imported] < 5
    if imported is None:  # `import safemem`, as users write it: for those who stand above all of it
        return FLOOR_OF[importer] == 5
    if importer == imported:
        return True
    lower = FLOOR_OF[imported] < FLOOR_OF[importer]
    return lower or (FLOOR_OF[imported] == FLOOR_OF[importer] and FLOOR_OF[importer] in OPEN_FLOORS)


@pytest.mark.parametrize("name", MODULES)
def test_room_is_on_the_plan(name):
    """Every module is in a room that has its floor."""
    room = room_of(name)
    assert room is None or room in FLOOR_OF


def test_no_import_goes_up():
    """A module imports from its own room and from lower floors only."""
    assert [str(item) for item in OURS if not allowed(item)] == []


def test_no_circles():
    """Modules import each other in one direction; what only a type checker reads does not count."""
    graph = {name: {item.imported for item in OURS if item.importer == name and not item.type_checking} - {name} for name in MODULES}
    assert len(list(TopologicalSorter(graph).static_order())) >= len(MODULES)


def test_typing_extensions_in_compat_only():
    """What this Python lacks is fetched in one place."""
    users = {item.importer for item in IMPORTS if item.imported.split(".")[0] == "typing_extensions"}
    assert users <= {"safemem._compat"}


def test_typing_extensions_is_for_type_checkers():
    """It costs more to import than the whole package."""
    assert [str(item) for item in IMPORTS if item.imported == "typing_extensions" and not item.type_checking] == []


def test_imports_that_may_fail_stand_in_one_place():
    """Which core is used is decided in `safemem.core` alone."""
    assert {item.importer for item in IMPORTS if item.in_try and not item.in_function} <= {"safemem.core"}


def test_imports_inside_functions_are_of_heavy_modules():
    """An import that is put off is of something heavy, or of a module of the same room that imports something heavy."""
    late = [item for item in IMPORTS if item.in_function and not item.type_checking]
    below = [item for item in late if FLOOR_OF.get(room_of(item.importer) or "", 0) < 5]
    elsewhere = [item for item in below if not (item in OURS and room_of(item.importer) in {room_of(item.imported), None})]
    assert [str(item) for item in elsewhere if item.imported.split(".")[0] not in LATE] == []


@pytest.mark.parametrize("name", MODULES)
def test_module_is_small(name):
    """A file has one idea."""
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= 500


@pytest.mark.parametrize("name", MODULES)
def test_module_says_what_it_is(name):
    """The first line of a file is a sentence that says what its idea is."""
    text = ast.get_docstring(ast.parse(MODULES[name].read_text(encoding="utf-8")))
    assert text, f"{name} has no docstring"
    assert text.splitlines()[0].endswith((".", ":")), f"{name}: {text.splitlines()[0]!r} is no sentence"


@pytest.mark.parametrize("path", sorted(TESTS.rglob("test_*.py")), ids=lambda path: path.relative_to(TESTS).as_posix())
def test_every_test_states_its_expectation(path):
    """A test has a docstring whose first line is a sentence; copies of other projects' tests are as they are."""
    functions = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)]
    silent = [node.name for node in functions if node.name.startswith("test_") and not ast.get_docstring(node)]
    assert silent == [] or "vendor" in path.parts
