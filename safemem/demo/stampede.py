"""The stampede: many threads ask at once for one thing that takes long, with functools.lru_cache and with @cached."""

from __future__ import annotations

import functools
import re
import threading
from collections import Counter
from collections.abc import Callable
from hashlib import sha256

from safemem import cached
from safemem.demo.corpus import Corpus
from safemem.demo.measure import Counted
from safemem.demo.row import Answer, Job, Left, Row, Way, more_than

THREADS = 16
SAMPLE = 1_000_000

_WORD = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*")


class Index(Counted):
    """How often each word occurs in the files, which takes a while to count."""

    def __init__(self, corpus: Corpus) -> None:
        self.words: Counter[str] = Counter()
        # Not parsed: the parser lets no other thread run, and all these trees at once would take too much memory.
        for path in corpus.sample(SAMPLE):
            for match in _WORD.finditer(corpus.read(path)):
                self.words[match[0].decode("ascii")] += 1
        self.digest = sha256(repr(sorted(self.words.items())).encode()).hexdigest()


@functools.lru_cache
def index_usual(corpus: Corpus) -> Index:
    """Make the index or take the one that is ready: whoever asks in between makes another."""
    return Index(corpus)


@cached
def index_safemem(corpus: Corpus) -> Index:
    """Make the index once: whoever asks in between waits for it."""
    return Index(corpus)


def ask_at_once(job: Job, index: Callable[[Corpus], Index]) -> Answer:
    """Let every thread ask at the same moment."""
    start = threading.Barrier(THREADS)
    answers: list[Index] = []
    errors: list[BaseException] = []

    def ask() -> None:
        start.wait()
        try:
            answers.append(index(job.corpus))
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            errors.append(error)

    # Daemons, so that Ctrl-C does not have to wait for all of them.
    threads = [threading.Thread(target=ask, daemon=True) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in job.each(threads):
        thread.join()
    for error in errors:
        raise error
    job.facts["copies at once"] = len(set(map(id, answers)))
    return {
        "threads answered": len(answers),
        "different words": len(answers[0].words),
        "words": answers[0].words.total(),
        "digest": " ".join(sorted({answer.digest for answer in answers})),
    }


def excess(left: Left) -> str:
    """One computation, and the one result the cache keeps."""
    return more_than(1, left.built, "computations") or more_than(1, left.live, "results")


ROW = Row(
    name="stampede",
    title=f"The stampede: {THREADS} threads ask at once",
    counts=Index,
    unit="results",
    usual=Way("@lru_cache", lambda job: ask_at_once(job, index_usual), index_usual.cache_clear),
    safemem=Way("@cached", lambda job: ask_at_once(job, index_safemem), index_safemem.cache_clear),
    promise="one computation, one result",
    excess=excess,
    trouble="nothing stays behind: it is work done again and again",
)
