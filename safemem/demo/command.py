"""The command `safemem demo`: find the files, run the rows, print each as soon as it is done."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence

from safemem._console import CommandError, check_stdout, say, say_json
from safemem.demo import ROWS, load_rows
from safemem.demo.corpus import find_corpus
from safemem.demo.progress import Progress
from safemem.demo.report import as_json as to_json
from safemem.demo.report import audit_of, heading, row_of_table, summary
from safemem.demo.runner import Outcome, check_usable, run_rows

__all__ = ["run"]


def run(directory: str | None, names: Sequence[str] | None, *, everything: bool, as_json: bool) -> bool:
    """Run the demo and print what it found; return whether every row kept its promise.

    Raises:
        CommandError: there is no such row, or nothing to work on.
    """
    for name in names or ():
        if name not in ROWS:
            raise CommandError(f"no row is called {name!r}; there are {', '.join(ROWS)}")
    check_stdout()
    start = time.perf_counter()
    with Progress(sys.stderr, len(names or ROWS)) as progress:
        progress.show("looking for Python files", 0.0)
        corpus = find_corpus(directory, everything=everything)
        check_usable(corpus)
        progress.erase()
        width = _width()
        if not as_json:
            say(heading(corpus, width))
        outcomes: list[Outcome] = []
        for outcome in run_rows(load_rows(names or ROWS), corpus, progress.show):
            progress.step()
            outcomes.append(outcome)
            if not as_json:
                say(row_of_table(len(outcomes), outcome, width))
    seconds = time.perf_counter() - start
    if as_json:
        say_json(to_json(outcomes, corpus, seconds))
    else:
        say(audit_of(outcomes, width))
        say(summary(outcomes, corpus, seconds, width))
    return not any(outcome.complaint for outcome in outcomes)


def _width() -> int:
    """Return the width of the terminal, or what is usual if the output goes elsewhere."""
    if "COLUMNS" in os.environ or sys.stdout.isatty():
        return shutil.get_terminal_size().columns
    return 80
