"""Every row: the usual way leaves what the row says, the safemem way keeps its promise, and a broken safemem way is found out."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from safemem import LRUCache, WeakCache
from safemem.demo import (
    ROWS,
    big_objects,
    byte_bound,
    growing_dict,
    half_written,
    identity_map,
    killed_workers,
    listener,
    load_rows,
    open_files,
    parent_pointer,
    pinned_instances,
    registry,
    short_of_memory,
    stampede,
    stored_exception,
)
from safemem.demo.corpus import Corpus
from safemem.demo.measure import weigh
from safemem.demo.row import Answer, Job, Left, Row
from safemem.demo.runner import Outcome, run_rows

FILES = 40
LIMITED = pytest.mark.skipif(sys.platform != "linux", reason="there are no limits of this kind on other systems")

posix = pytest.mark.skipif("open_files" not in ROWS, reason="this row needs POSIX, and is not shown elsewhere")
linux = pytest.mark.skipif("killed_workers" not in ROWS, reason="this row needs Linux, and is not shown elsewhere")


def run(row: Row, corpus: Corpus) -> Outcome:
    """Run one row."""
    (outcome,) = run_rows([row], corpus, lambda _title, _fraction: None)
    return outcome


@pytest.mark.parametrize("row", load_rows(), ids=ROWS)
class TestEveryRow:
    """What is true of each row, whatever it is about."""

    def test_is_named_after_its_module(self, row):
        """The name in the table of rows, in the JSON and of the module are one."""
        assert row.name in ROWS
        assert load_rows([row.name]) == [row]

    def test_keeps_its_promise(self, row, corpus):
        """Both ways come to the same, and safemem leaves nothing beyond its bound."""
        outcome = run(row, corpus)
        assert outcome.usual.answer == outcome.safemem.answer
        assert outcome.complaint == ""

    def test_does_real_work(self, row, corpus):
        """An answer has numbers, and they are of the size of the tree."""
        numbers = [value for value in run(row, corpus).usual.answer.values() if isinstance(value, int)]
        assert max(numbers) >= FILES

    def test_is_measured(self, row, corpus):
        """Time, objects and bytes come from this run."""
        for measured in (run(row, corpus).usual, run(row, corpus).safemem):
            assert measured.seconds > 0
            assert measured.left.built > 0
            assert bool(measured.left.live) <= bool(measured.left.bytes)

    def test_clears_up(self, row, corpus):
        """A second run starts from nothing: it makes as many objects as the first."""
        first, second = run(row, corpus), run(row, corpus)
        assert (first.safemem.left.built, first.safemem.left.live) == (second.safemem.left.built, second.safemem.left.live)

    def test_moves_the_bar_forward(self, row, corpus):
        """Progress starts at nothing, never goes back and stays below the whole."""
        shown: list[float] = []
        list(run_rows([row], corpus, lambda _title, fraction: shown.append(fraction)))
        assert shown == sorted(shown)
        assert shown[0] == 0
        assert shown[-1] < 1

    def test_fits_into_the_table(self, row):
        """The words have to fit into their columns."""
        assert len(row.usual.write) <= 25
        assert len(row.safemem.write) <= 25
        assert len(f"9,999 of 9,999 {row.unit}") <= 25

    def test_different_answers_are_a_failure(self, row, corpus):
        """Speed and thrift are worth nothing if the result is another."""
        outcome = run(row, corpus)
        changed = Outcome(row, outcome.usual, run(row, smaller(corpus)).safemem)
        assert "different answers" in changed.complaint


def smaller(corpus: Corpus) -> Corpus:
    """The same directory with fewer files."""
    return Corpus(corpus.root, corpus.label, corpus.sources[:3])


class TestTheLeakOfEachRow:
    """The usual way has the leak the row is about."""

    def test_growing_dict_keeps_every_file(self, corpus):
        """The dict has them all, the cache as many as it may."""
        outcome = run(growing_dict.ROW, corpus)
        assert outcome.usual.left.live == FILES
        assert outcome.safemem.left.live == growing_dict.BOUND

    def test_lru_cache_pins_every_instance(self, corpus):
        """No indexer of the usual way dies, none of the other survives."""
        outcome = run(pinned_instances.ROW, corpus)
        assert outcome.usual.left.live == FILES
        assert outcome.safemem.left.live == 0
        assert outcome.safemem.left.bytes == 0

    def test_a_count_says_nothing_about_bytes(self, corpus, monkeypatch):
        """Bound by count the cache weighs what the files weigh, bound by bytes it weighs no more than the bound."""
        monkeypatch.setattr(byte_bound, "BYTES", 100_000)
        monkeypatch.setattr(byte_bound, "recent", LRUCache(100_000, getsizeof=weigh))
        outcome = run(byte_bound.ROW, corpus)
        assert outcome.usual.left.bytes > 100_000
        assert 0 < outcome.safemem.left.bytes <= 100_000
        assert outcome.complaint == ""

    def test_stampede_computes_once(self, corpus):
        """However the threads run, safemem computes once and hands out one object."""
        outcome = run(stampede.ROW, corpus)
        assert outcome.safemem.left.built == 1
        assert outcome.safemem.left.facts == {"copies at once": 1}
        assert outcome.usual.left.facts["copies at once"] <= outcome.usual.left.built

    def test_a_registry_never_forgets(self, corpus):
        """The dict has every document that was ever open, the weak registry none that is closed."""
        outcome = run(registry.ROW, corpus)
        assert outcome.usual.left.live == FILES
        assert outcome.safemem.left.live == 0

    def test_a_bus_keeps_every_view(self, corpus):
        """All that were ever open are told of everything; the signal has none that is closed, and has told those that were open the same."""
        outcome = run(listener.ROW, corpus)
        assert outcome.usual.left.live == FILES
        assert outcome.safemem.left.live == 0
        assert outcome.usual.answer["longer files seen"] == outcome.safemem.answer["longer files seen"] > 0

    def test_an_identity_map_keeps_every_name(self, corpus, monkeypatch):
        """The dict has every symbol there ever was; the cache hands out the same objects and keeps as many as it may."""
        monkeypatch.setattr(identity_map, "recent", WeakCache(8))
        outcome = run(identity_map.ROW, corpus)
        assert outcome.usual.left.live == outcome.usual.left.built > 8
        assert outcome.safemem.left.live == 8
        assert outcome.usual.answer == outcome.safemem.answer

    def test_big_objects_are_made_again(self, corpus):
        """What lru_cache let go of while it was in use exists twice; the weak cache makes each text once while anybody reads it."""
        outcome = run(big_objects.ROW, corpus)
        assert outcome.usual.left.facts["copies at once"] > 1
        assert outcome.safemem.left.facts["copies at once"] == 1
        assert outcome.safemem.left.built < outcome.usual.left.built

    def test_a_stored_exception_keeps_the_file(self, corpus):
        """The frames of the usual way have every file that was found wanting; stripped, the same report keeps none."""
        outcome = run(stored_exception.ROW, corpus)
        assert outcome.usual.left.live == outcome.usual.answer["not documented"] == FILES
        assert outcome.safemem.left.live == 0
        assert outcome.safemem.answer == outcome.usual.answer

    def test_a_parent_pointer_leaves_all_to_the_collector(self, corpus):
        """Scopes that know their parents outlive their outlines, all of them; those of a TreeNode go at once."""
        outcome = run(parent_pointer.ROW, corpus)
        assert outcome.usual.left.built == 5 * FILES
        assert outcome.usual.left.facts["left to the collector"] > 4 * FILES  # the collector may have come by
        assert outcome.safemem.left.facts["left to the collector"] == 0
        assert outcome.safemem.left.built == 5 * FILES

    @posix
    def test_a_kept_exception_keeps_descriptors(self, corpus):
        """All files of the usual way are open for as long as the finding is kept; the scope has closed them."""
        outcome = run(open_files.ROW, corpus)
        assert open_files.held(outcome.usual.left.facts) == outcome.usual.left.built == FILES
        assert open_files.held(outcome.safemem.left.facts) == 0
        assert outcome.safemem.left.built == FILES

    @posix
    def test_a_killed_program_tears_what_it_writes(self, corpus):
        """Each report that was written in place is torn; each that was to be replaced is whole, and alone."""
        outcome = run(half_written.ROW, corpus)
        assert outcome.usual.left.facts == {"torn reports": half_written.REPORTS, "other files": 0}
        assert outcome.safemem.left.facts == {"torn reports": 0, "other files": 0}

    @linux
    def test_killed_workers_leave_their_segments(self, corpus):
        """With its tracker a program loses track of what it made; what it had leased is gone, and the bytes are counted."""
        outcome = run(killed_workers.ROW, corpus)
        assert outcome.usual.left.facts["segments left"] == outcome.usual.left.built == killed_workers.WORKERS + 1
        assert outcome.usual.left.bytes > 4096
        assert outcome.safemem.left.facts == {"segments left": 0, "bytes outside": 0}
        assert outcome.usual.answer["lines"] > FILES

    def test_a_bound_that_was_fine_is_killed(self, corpus):
        """The container with a fixed bound is killed when the report is written, that with a budget never is."""
        outcome = run(short_of_memory.ROW, corpus)
        assert not outcome.usual.left.facts["limited"] or outcome.usual.left.facts["killed"] > 0
        assert outcome.safemem.left.facts["killed"] == 0
        assert outcome.complaint == ""

    def test_being_killed_is_a_failure(self):
        """A container that was killed once has not kept the promise."""
        left = Left(0, 2, 0, {"killed": 1, "limited": 1})
        assert short_of_memory.ROW.excess(left) == "1 times killed, 0 allowed"
        assert short_of_memory.ROW.held(left) == "killed 1 of 2 times"
        assert short_of_memory.ROW.held(Left(0, 1, 0, {"killed": 0, "limited": 0})) == "no limit can be set here"


def connect_strongly(view: listener.View) -> None:
    """Connect a view so that the signal keeps it."""
    listener.opened.connect(view.see, weak=False)


run_service = short_of_memory.run_service


def run_the_usual_service(job: Job, _kind: str) -> Answer:
    """The service with a fixed bound, whatever was asked for."""
    return run_service(job, "usual")


class Careless(ExitStack):
    """A scope that closes nothing."""

    def adopt(self, obj):
        return obj


def as_usual(module):
    """What starts the program of the usual way, whichever is asked for."""
    real = module.kill_when_told
    return lambda name, _way, *rest, given: real(name, "usual", *rest, given=given)


class TestSabotage:
    """The criterion of each row fails when the safemem way does not keep its promise."""

    @pytest.mark.parametrize(
        ("module", "change", "complaint"),
        [
            (growing_dict, lambda: {"recent": LRUCache(math.inf)}, "40 parsed files, 32 allowed"),
            (pinned_instances, lambda: {"SafememIndexer": pinned_instances.UsualIndexer}, "40 indexers, 0 allowed"),
            (byte_bound, lambda: {"recent": LRUCache(math.inf, getsizeof=weigh), "BYTES": 50_000}, "bytes, 50,000 allowed"),
            (stampede, lambda: {"index_safemem": stampede.Index}, "16 computations, 1 allowed"),
            (registry, lambda: {"open_documents": registry.documents}, "40 documents, 0 allowed"),
            (listener, lambda: {"subscribe_safemem": connect_strongly}, "40 views, 0 allowed"),
            (identity_map, lambda: {"recent": WeakCache(math.inf), "BOUND": 8}, "symbols, 8 allowed"),
            (big_objects, lambda: {"load_safemem": big_objects.load_usual}, "copies of a text at once, 1 allowed"),
            (stored_exception, lambda: {"strip_traceback": stored_exception.as_it_is}, "40 parsed files, 0 allowed"),
            (parent_pointer, lambda: {"SafememScope": parent_pointer.UsualScope}, "scopes left to the collector, 0 allowed"),
            pytest.param(short_of_memory, lambda: {"run_service": run_the_usual_service}, "times killed, 0 allowed", marks=LIMITED),
            pytest.param(open_files, lambda: {"ResourceScope": Careless}, "40 descriptors, 0 allowed", marks=posix),
            pytest.param(half_written, lambda: {"kill_when_told": as_usual(half_written)}, "8 torn reports, 0 allowed", marks=posix),
            pytest.param(killed_workers, lambda: {"kill_when_told": as_usual(killed_workers)}, "4 segments left, 0 allowed", marks=linux),
        ],
        ids=lambda given: given.ROW.name if hasattr(given, "ROW") else "",
    )
    def test_is_found_out(self, module, change: Callable[[], dict[str, object]], complaint, corpus, monkeypatch):
        """Without a bound, with pinned instances, or without single flight the row complains and says how far it went."""
        for name, value in change().items():
            monkeypatch.setattr(module, name, value)
        found = run(module.ROW, corpus).complaint
        module.UsualIndexer.module.cache_clear() if module is pinned_instances else None
        assert complaint in found

    def test_an_error_in_a_thread_is_raised(self, corpus, monkeypatch):
        """What goes wrong in one of the threads is not lost."""

        def fail(_corpus: Corpus) -> stampede.Index:
            raise LookupError("nothing there")

        monkeypatch.setattr(stampede, "index_safemem", fail)
        with pytest.raises(LookupError, match="nothing there"):
            run(stampede.ROW, corpus)
