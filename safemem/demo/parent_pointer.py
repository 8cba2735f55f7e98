"""The parent pointer: an outline of each file, whose scopes know what they are in, as a cycle against a TreeNode."""

from __future__ import annotations

import ast
import weakref
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

from safemem import TreeNode
from safemem.demo.crossref import parse
from safemem.demo.measure import Counted
from safemem.demo.row import Answer, Job, Left, Row, Way, more_than

_FACT = "left to the collector"
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Scope(Counted):
    """A file, or one of the functions and classes in it."""

    __slots__ = ("line", "name")


class UsualScope(Scope):
    """A scope with a list of children and a parent, each of which holds the other."""

    __slots__ = ("children", "parent")

    def __init__(self, name: str, line: int, parent: UsualScope | None) -> None:
        self.name = name
        self.line = line
        self.parent = parent
        self.children: list[UsualScope] = []
        if parent is not None:
            parent.children.append(self)


class SafememScope(Scope, TreeNode):
    """The same, whose parent is held weakly."""

    __slots__ = ()

    def __init__(self, name: str, line: int, parent: SafememScope | None) -> None:
        self.name = name
        self.line = line
        if parent is not None:
            parent.append(self)


def outline(tree: ast.Module, path: str, make: Callable[[str, int, Any], Any]) -> Iterator[Any]:
    """Yield the scopes of a file, each after the one that it is in."""
    top = make(path, 0, None)
    yield top
    todo: list[tuple[Any, list[ast.stmt]]] = [(top, tree.body)]
    while todo:
        scope, body = todo.pop()
        for node in body:
            if isinstance(node, _DEFINITIONS):
                inner = make(node.name, node.lineno, scope)
                yield inner
                todo.append((inner, node.body))


def dotted(scope: Any) -> str:
    """Return the name of a scope with all that it is in."""
    names: list[str] = []
    while scope is not None:
        names.append(scope.name)
        scope = scope.parent
    return ".".join(reversed(names))


def list_all(job: Job, make: Callable[[str, int, Any], Any]) -> Answer:
    """List the functions and classes of each file by their full names, and look whether the outline goes when it is not needed any more."""
    corpus = job.corpus
    digest = sha256()
    count = 0
    for path in job.each(corpus.sample(2_000_000)):
        scopes = list(outline(parse(corpus, path).tree, path, make))
        digest.update("".join(f"{dotted(scope)} {scope.line}\n" for scope in scopes).encode("utf-8", "backslashreplace"))
        count += len(scopes)
        alive = [weakref.ref(scope) for scope in scopes]
        del scopes
        left = sum(ref() is not None for ref in alive)
        job.facts[_FACT] = job.facts.get(_FACT, 0) + left
    return {"scopes listed": count, "digest": digest.hexdigest()}


def excess(left: Left) -> str:
    """Complain about scopes that did not go with their outline."""
    return more_than(0, left.facts.get(_FACT, 0), f"scopes {_FACT}") or more_than(0, left.live, "scopes")


ROW = Row(
    name="parent_pointer",
    title="The parent pointer that makes every tree a cycle",
    counts=Scope,
    unit="scopes",
    usual=Way("self.parent = parent", lambda job: list_all(job, UsualScope)),
    safemem=Way("class Scope(TreeNode)", lambda job: list_all(job, SafememScope)),
    promise="no scope that is left to the garbage collector",
    excess=excess,
    headline=lambda left: f"{left.facts.get(_FACT, 0):,} of {left.built:,} to gc",
)
