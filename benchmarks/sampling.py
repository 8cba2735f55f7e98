"""Takes samples of one operation from all who can do it, in turn, so that what disturbs the machine disturbs them alike."""

from __future__ import annotations

import asyncio
import gc
import itertools
import math
import random
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

from benchmarks.clock import now
from benchmarks.keys import Keys, Thing
from benchmarks.operations import Operation
from benchmarks.peers import Offer, Peer
from benchmarks.receivers import make_receivers
from benchmarks.results import ANY

__all__ = ["LOOP", "VALUE", "Effort", "Samples", "Subject", "compile_sample", "contest"]

# The name of the column that is nothing but the loop around the statements.
LOOP = "loop alone"

VALUE = "value"
_WEAKABLE = Thing(0)

# Blocks of keys that are gone through before each sample.
_WARM_UP = 10

_EXPECTED = {"none": None, "true": True, "false": False}

# Functions get `c`, a container, under the names that suit them too.
_SAMPLE = """
{kind} sample(blocks, c, v, tick):
    f = o = c
    start = now()
    for keys in blocks:
        for k in keys:
            {statement}
    return now() - start
"""


class Effort(NamedTuple):
    """How much is measured: seconds for a sample, and how many samples of each contestant."""

    seconds: float
    rounds: int


class Samples(NamedTuple):
    """What came of one contestant: seconds for one statement, or for one entry, in the order of the rounds."""

    name: str
    core: str
    loops: int
    inner_loops: int
    values: list[float]


class _Mortal:
    """A value that nobody keeps."""

    __slots__ = ("__weakref__",)


def compile_sample(statement: str, clock: Callable[[], float] = now) -> Callable[..., Any]:
    """Return a function of (blocks of keys, subject, value, clock) that returns the seconds it took, a coroutine function if need be.

    Each has code of its own: the interpreter adapts code to what it meets, and what it learnt with one library must not meet another.
    """
    names: dict[str, Any] = {"now": clock, "Mortal": _Mortal}
    exec(_SAMPLE.format(kind=_kind(statement), statement=statement), names)
    return names["sample"]  # type: ignore[no-any-return]


def _kind(statement: str) -> str:
    return "async def" if "await " in statement else "def"


class Subject:
    """What one library makes of an offer, with whatever it needs around it."""

    def __init__(self, offer: Offer, kind: str, n: int, heard: list[int] | None = None) -> None:
        self.calls = 0  # of the function that a decorator was given: its misses
        unread: list[object] = []
        self.tick = unread.append
        if kind.endswith("ticking"):
            # A clock in C, and moved on in C: its reading is its length.
            now: list[object] = []
            self.tick = now.append
            self.it = offer.make(n, now)
        elif kind.startswith(("lru_cache", "cached", "method", "coroutine")):
            self.it = offer.make(n, self._work())
        elif kind.startswith("signal"):
            self._receivers = make_receivers(kind, n, offer.parameters, heard)  # which nobody else may hold
            self.it = offer.make(self._receivers)
        else:
            self.it = offer.make(n)
        self._close = offer.close

    def _work(self) -> Callable[..., object]:
        def work(k: object, y: object = 0, z: object = 0) -> object:  # noqa: ARG001 - as callers pass them
            self.calls += 1
            return VALUE

        return work

    def close(self) -> None:
        if self._close is not None:
            self._close(self.it)


class _Contestant:
    """One library set up for one operation."""

    def __init__(self, peer: Peer | None, operation: Operation, keys: Keys, runner: asyncio.Runner) -> None:
        offer = None if peer is None else peer.offers[operation.kind]
        statement = "pass" if offer is None else offer.statement(operation.verb)
        assert statement is not None
        self.name = LOOP if peer is None else peer.name
        self.core = ANY if peer is None or peer.core is None else peer.core
        self.loops = 1
        self.values: list[float] = []
        self.inner_loops = len(keys.asked[0]) * (operation.n if operation.entrywise else 1)
        self._operation = operation
        self._value: object = _WEAKABLE if operation.group in {"weak", "signals"} else VALUE
        self._runner = runner
        self._statement = statement
        self._offer = offer
        self._sample = compile_sample(statement, time.perf_counter if operation.waits else now)
        self._blocks = itertools.cycle(keys.asked)
        self._pass = len(keys.asked)
        self._subject = None if offer is None else Subject(offer, operation.kind, operation.n)
        if offer is not None:
            self._time([keys.stored], compile_sample(offer.statement("set") or statement))
            self._check(keys)

    def _time(self, blocks: Iterable[Sequence[Hashable]], sample: Callable[..., Any]) -> float:
        subject = self._subject
        it, tick = (None, None) if subject is None else (subject.it, subject.tick)
        seconds = sample(blocks, it, self._value, tick)
        return float(self._runner.run(seconds) if asyncio.iscoroutine(seconds) else seconds)

    def _check(self, keys: Keys) -> None:
        """Raise unless the statement does, with every key, what the operation says."""
        if self._operation.verb == "emit" and self._offer is not None:
            self._check_emission(self._offer, keys)
        if not self._operation.expect or self._subject is None:
            return
        names: dict[str, Any] = {}
        exec(f"{_kind(self._statement)} ask(c, v, keys):\n    f = o = c\n    return [{self._statement} for k in keys]", names)
        calls, expected = self._subject.calls, {**_EXPECTED, "value": self._value}[self._operation.expect]
        answers = names["ask"](self._subject.it, self._value, itertools.chain.from_iterable(keys.asked))
        answers = self._runner.run(answers) if asyncio.iscoroutine(answers) else answers
        wrong = sum(answer is not expected for answer in answers) + self._subject.calls - calls
        if wrong:
            msg = f"{self.name} does not do what {self._operation.name} is about: {wrong} of {len(answers)} answers are wrong"
            raise RuntimeError(msg)

    def _check_emission(self, offer: Offer, keys: Keys) -> None:
        """Raise unless all receivers are called each time: counted with others, as those that are measured do nothing."""
        heard: list[int] = []
        subject = Subject(offer, self._operation.kind, self._operation.n, heard)
        compile_sample(self._statement)(keys.asked, subject.it, self._value, subject.tick)
        expected = sum(map(len, keys.asked)) * self._operation.n
        if len(heard) != expected:
            msg = f"{self.name} does not do what {self._operation.name} is about: {len(heard)} calls of receivers, {expected} expected"
            raise RuntimeError(msg)

    def calibrate(self, seconds: float) -> None:
        """Choose how many blocks make a sample that long; what runs meanwhile is the warm-up."""
        self._run(1)
        while (taken := self._run(self.loops)) < seconds * 0.75:
            self.loops = max(self.loops + 1, math.ceil(self.loops * min(10.0, seconds / max(taken, 1e-9))))
        if self._operation.steady:
            self.loops = math.ceil(self.loops / self._pass) * self._pass

    def sample(self) -> None:
        # The others have used the processor's caches meanwhile. How warm they are at first would otherwise depend on the length of a sample.
        self._run(self._pass if self._operation.steady else min(self.loops, _WARM_UP))
        self.values.append(self._run(self.loops) / (self.loops * self.inner_loops))

    def _run(self, loops: int) -> float:
        return self._time(list(itertools.islice(self._blocks, loops)), self._sample)

    def close(self) -> None:
        if self._subject is not None:
            self._subject.close()


def contest(operation: Operation, peers: Iterable[Peer], effort: Effort) -> list[Samples]:
    """Let all who offer the operation do it in turn, in another order each round; the bare loop is one of them."""
    keys = operation.keys(operation.n)
    contestants: list[_Contestant] = []
    with asyncio.Runner() as runner:
        try:
            for peer in peers:
                offer = peer.offers.get(operation.kind)
                if offer is not None and offer.statement(operation.verb) is not None:
                    contestants.append(_Contestant(peer, operation, keys, runner))
            if not operation.entrywise:
                contestants.append(_Contestant(None, operation, keys, runner))
            _take_turns(contestants, effort)
        finally:
            for contestant in contestants:
                contestant.close()
    return [Samples(each.name, each.core, each.loops, each.inner_loops, each.values) for each in contestants]


def _take_turns(contestants: list[_Contestant], effort: Effort) -> None:
    for contestant in contestants:
        contestant.calibrate(effort.seconds)
    # What each has built must not be gone through in the collections that another's garbage starts.
    gc.collect()
    gc.freeze()
    try:
        order = random.Random(effort.rounds)
        for _ in range(effort.rounds):
            for contestant in order.sample(contestants, len(contestants)):
                contestant.sample()
    finally:
        gc.unfreeze()
