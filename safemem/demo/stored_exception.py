"""The exception that keeps everything: stored with its traceback, and so with every frame it went through, against strip_traceback."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import TypeAlias

from safemem import strip_traceback
from safemem.demo.corpus import Corpus
from safemem.demo.crossref import Module, parse
from safemem.demo.row import Answer, Job, Row, Way, more_than

SAMPLE = 2_000_000

Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class UndocumentedError(LookupError):
    """A public function or class has no docstring."""


class Check:
    """One file's check, kept for the report that is written when all are done."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.error: UndocumentedError | None = None

    def run(self, corpus: Corpus, keep: Callable[[UndocumentedError], UndocumentedError]) -> None:
        """Parse the file and remember the first thing in it that is not documented."""
        module = parse(corpus, self.path)
        try:
            for definition in public_definitions(module.tree):
                require_docstring(definition)
        except UndocumentedError as error:
            self.error = keep(error)


def public_definitions(tree: ast.AST) -> Iterator[Definition]:
    """Find the functions and classes that others may use."""
    for node in ast.walk(tree):
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node


def require_docstring(definition: Definition) -> None:
    """Complain about a definition without a docstring."""
    if ast.get_docstring(definition) is None:
        raise UndocumentedError(f"line {definition.lineno}: {definition.name}")


def as_it_is(error: UndocumentedError) -> UndocumentedError:
    """Store the exception as most people do."""
    return error


checks: list[Check] = []


def check_all(job: Job, keep: Callable[[UndocumentedError], UndocumentedError]) -> Answer:
    """Check one file after the other, then write the report."""
    paths = job.corpus.sample(SAMPLE)
    for path in job.each(paths):
        check = Check(path)
        checks.append(check)
        check.run(job.corpus, keep)
    at_fault = [check for check in checks if check.error is not None]
    report = "\n".join(f"{check.path}: {check.error}" for check in at_fault)
    return {
        "files": len(paths),
        "not documented": len(at_fault),
        "digest": sha256(report.encode("utf-8", "backslashreplace")).hexdigest(),
    }


ROW = Row(
    name="stored_exception",
    title="The exception that keeps every frame",
    counts=Module,
    unit="files",
    usual=Way("self.error = error", lambda job: check_all(job, as_it_is), checks.clear),
    safemem=Way("strip_traceback(error)", lambda job: check_all(job, strip_traceback), checks.clear),
    promise="no parsed file",
    excess=lambda left: more_than(0, left.live, "parsed files"),
)
