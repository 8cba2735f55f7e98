"""The identity map: one object for each name while anybody has it, in a dict that keeps all, against a WeakCache."""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha256

from safemem import WeakCache
from safemem.demo.measure import Counted
from safemem.demo.row import Answer, Job, Row, Way, more_than

BOUND = 512

_WORD = re.compile(r"[A-Za-z_]\w{3,}")


class Symbol(Counted):
    """A name, with the places where it is used; whoever asks for a name has to get the same symbol as everybody else."""

    __slots__ = ("name", "uses")

    def __init__(self, name: str) -> None:
        self.name = name
        self.uses = 0


symbols: dict[str, Symbol] = {}
recent: WeakCache[str, Symbol] = WeakCache(BOUND)


def get_usual(name: str) -> Symbol:
    """Keep every symbol there ever was."""
    symbol = symbols.get(name)
    if symbol is None:
        symbol = symbols[name] = Symbol(name)
    return symbol


def get_safemem(name: str) -> Symbol:
    """Keep the symbols used most recently, and find all that are in use."""
    return recent.get_or_create(name, lambda: Symbol(name))


def compare_neighbours(job: Job, get: Callable[[str], Symbol]) -> Answer:
    """Collect each file's symbols and count those it shares with the file before: the very objects, not names that are equal."""
    corpus = job.corpus
    before: set[Symbol] = set()
    digest = sha256()
    shared = 0
    for path in job.each(corpus.sample(3_000_000)):
        here = {get(name) for name in set(_WORD.findall(corpus.read(path).decode("utf-8", "replace")))}
        for symbol in here:
            symbol.uses += 1
        both = here & before
        shared += len(both)
        digest.update(f"{path} {len(here)} {len(both)}\n".encode("utf-8", "backslashreplace"))
        before = here
    return {"symbols shared by neighbours": shared, "digest": digest.hexdigest()}


ROW = Row(
    name="identity_map",
    title="The identity map that must return the same object",
    counts=Symbol,
    unit="symbols",
    usual=Way("a module-level dict", lambda job: compare_neighbours(job, get_usual), symbols.clear),
    safemem=Way(f"WeakCache({BOUND})", lambda job: compare_neighbours(job, get_safemem), recent.clear),
    promise=f"at most {BOUND} symbols",
    excess=lambda left: more_than(BOUND, left.live, "symbols"),
)
