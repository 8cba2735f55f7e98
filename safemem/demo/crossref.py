"""The real work of the demo: parse Python files and find which names they define, use and import."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from hashlib import sha256
from typing import cast

from safemem.demo.corpus import Corpus
from safemem.demo.measure import Counted

__all__ = ["CrossReference", "Module", "Names", "imports_in", "line_of", "parse"]

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Module(Counted):
    """One parsed file."""

    __slots__ = ("path", "tree")

    def __init__(self, path: str, tree: ast.Module) -> None:
        self.path = path
        self.tree = tree


class Names(Counted):
    """The functions and classes one file defines, by dotted name, each with its line, and the names it uses, attributes too."""

    __slots__ = ("defined", "used")

    def __init__(self, tree: ast.Module) -> None:
        self.defined: dict[str, int] = {}
        self.used: set[str] = set()
        scopes: list[tuple[str, ast.AST]] = [("", tree)]
        while scopes:
            prefix, scope = scopes.pop()
            nodes = _children(scope)
            # Grows while it is walked: ast.walk and a visitor take twice the time.
            for node in nodes:
                if isinstance(node, _DEFINITIONS):
                    name = prefix + node.name
                    self.defined[name] = max(node.lineno, self.defined.get(name, 0))
                    scopes.append((f"{name}.", node))
                elif isinstance(node, ast.Name):
                    self.used.add(node.id)
                else:
                    if isinstance(node, ast.Attribute):
                        self.used.add(node.attr)
                    nodes += _children(node)


def _children(node: ast.AST) -> list[ast.AST]:
    found: list[ast.AST] = []
    for value in vars(node).values():
        if isinstance(value, ast.AST):
            found.append(value)
        elif isinstance(value, list):
            found += [item for item in cast("list[object]", value) if isinstance(item, ast.AST)]
    return found


def parse(corpus: Corpus, path: str, source: bytes | None = None) -> Module:
    """Parse one file, read before or now; one that is not Python is noted in the corpus and counts as empty."""
    if source is None:
        source = corpus.read(path)
    try:
        return Module(path, ast.parse(source, path))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # Null bytes are a ValueError, nesting too deep for the parser is a RecursionError or a MemoryError.
        corpus.problems[path] = "not valid Python"
        return Module(path, ast.Module([], []))


def line_of(tree: ast.Module, name: str) -> int | None:
    """Return the line on which a file's outermost level defines a function or class of this name."""
    for node in tree.body:
        if isinstance(node, _DEFINITIONS) and node.name == name:
            return node.lineno
    return None


def imports_in(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield (module, name) for every absolute `from module import name` on a file's outermost level."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield node.module, alias.name


class CrossReference:
    """Where every name is defined and which files use it."""

    def __init__(self) -> None:
        self.defined: dict[str, list[str]] = {}
        self.used: dict[str, list[str]] = {}
        self.imported: dict[str, list[str]] = {}

    def add(self, path: str, names: Names) -> None:
        """Enter one file."""
        for name, line in names.defined.items():
            self.defined.setdefault(name, []).append(f"{path}:{line}")
        for name in names.used:
            self.used.setdefault(name, []).append(path)

    def link(self, path: str, definition: str) -> None:
        """Enter that a file imports the definition at FILE:LINE."""
        self.imported.setdefault(definition, []).append(path)

    def answer(self) -> dict[str, int | str]:
        """Sum up: how many of each there are, and a digest of them all."""
        digest = sha256()
        summary: dict[str, int | str] = {}
        for what, table in (("definitions", self.defined), ("uses", self.used), ("imports", self.imported)):
            if table:
                summary[what] = sum(map(len, table.values()))
            for name in sorted(table):
                digest.update(f"{what} {name} {sorted(table[name])}\n".encode("utf-8", "backslashreplace"))
        return {**summary, "digest": digest.hexdigest()}
