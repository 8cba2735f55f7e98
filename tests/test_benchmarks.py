"""The benchmarks run with whatever is installed, and the page in the docs is what they found; how long anything takes is not tested."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pyperf
import pytest

ROOT = Path(__file__).resolve().parent.parent

# One of each kind: a mapping, a clock, an iteration, a function, a coroutine function, signals, and what is no operation.
ROWS = [
    "lru-hit-1000",
    "ttl-expire-1000",
    "lru-iterate-1000",
    "lru_cache-miss-1000",
    "cached-method-1000",
    "cached-coroutine-1000",
    "signals-emit-method-10",
    "signals-connect-function-0",
    "resources-shm-attach-1",
    "resources-scope-0",
    "sizes-row-1",
    "import",
]
MEMORY_ROWS = [
    "rss-lru-30000",
    "traced-ttl-30000",
    "traced-signal idle-50000",
    "rss-signal in use-50000",
    "pause-lru_cache-30000",
    "pause-lru-list-30000",
]


def run_benchmarks(module: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the benchmarks as users do, from the checkout."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with the results of one quick pass over a few rows."""
    folder = tmp_path_factory.mktemp("results")
    rows = [f"--only={row}" for row in ROWS]
    done = run_benchmarks("run", "--quick", *rows, "--out", folder / "cpython-3.99.json")
    assert done.returncode == 0, done.stderr
    rows = [f"--only={row}" for row in MEMORY_ROWS]
    sizes = ["--entries", "30000", "--pause-entries", "30000"]
    done = run_benchmarks("memory", "--quick", *rows, *sizes, "--out", folder / "cpython-3.99-memory.json")
    assert done.returncode == 0, done.stderr
    done = run_benchmarks("threads", "--quick", "--out", folder / "cpython-3.99-threads.json")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def times(folder) -> pyperf.BenchmarkSuite:
    """The results of the runner."""
    return pyperf.BenchmarkSuite.load(str(folder / "cpython-3.99.json"))


@pytest.fixture(scope="module")
def memory(folder) -> pyperf.BenchmarkSuite:
    """The results about bytes and pauses."""
    return pyperf.BenchmarkSuite.load(str(folder / "cpython-3.99-memory.json"))


@pytest.fixture
def _checkout(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def contestants(suite: pyperf.BenchmarkSuite, row: str) -> set[str]:
    """Who was measured in a row."""
    return {run.get_metadata()["contestant"] for bench in suite for run in bench.get_runs() if run.get_metadata()["row"] == row}


def test_every_row_is_measured(times, memory):
    """Each row asked for has safemem in it, and nothing else is there."""
    for suite, rows in (times, ROWS), (memory, MEMORY_ROWS):
        assert {run.get_metadata()["row"] for bench in suite for run in bench.get_runs()} == set(rows)
        assert [row for row in rows if "safemem" not in contestants(suite, row)] == []


def test_peers_that_are_always_there_take_part(times, memory):
    """The standard library, cachetools and the bare loop stand beside safemem."""
    assert contestants(times, "lru-hit-1000") >= {"dict", "cachetools", "loop alone"}
    assert contestants(times, "lru_cache-miss-1000") >= {"functools", "cachetools", "loop alone"}
    assert contestants(times, "signals-emit-method-10") >= {"for-loop", "loop alone"}
    assert contestants(times, "import") >= {"cachetools"}
    assert contestants(memory, "rss-lru-30000") >= {"dict", "cachetools"}
    assert contestants(memory, "pause-lru_cache-30000") >= {"functools", "nobody"}
    assert contestants(memory, "traced-signal idle-50000") >= {"nobody"}


def test_enough_samples(times):
    """An operation has at least twenty samples of everybody, an import fifteen."""
    for bench in times:
        about = bench.get_metadata()
        assert bench.get_nvalue() >= (15 if about["row"] == "import" else 20), about["name"]


def test_samples_are_taken_in_the_same_process(times):
    """Everybody in a row has as many samples as safemem, from the same process, so that they can be compared round by round."""
    for row in ROWS:
        runs = [run for bench in times for run in bench.get_runs() if run.get_metadata()["row"] == row]
        assert len({(run.get_metadata()["process"], len(run.values)) for run in runs}) == 1


@pytest.mark.usefixtures("_checkout")
def test_cores_stand_side_by_side(times):
    """Each core that is there takes part in each row, under its own name."""
    from benchmarks.cores import which_are_there

    for row in ROWS:
        about = [run.get_metadata() for bench in times for run in bench.get_runs() if run.get_metadata()["row"] == row]
        assert {each["core"] for each in about if each["contestant"] == "safemem"} == set(which_are_there(None))
        assert {each["core"] for each in about if each["contestant"] != "safemem"} == {"any"}


@pytest.mark.usefixtures("_checkout")
def test_steady_samples_are_whole_passes():
    """A row about all keys over and over goes through each of them equally often."""
    from benchmarks.keys import number, same
    from benchmarks.operations import Operation
    from benchmarks.peers import load_one
    from benchmarks.sampling import Effort, contest

    operation = Operation("passes", 300, "", "lru", "getitem", same(number), "value", steady=True)
    for each in contest(operation, [load_one("dict")], Effort(0.0001, 2)):
        assert each.loops % 3 == 0


def test_results_say_what_they_are_of(times, memory):
    """Versions, machine, build, command and date are there."""
    for suite, command in (times, "python -m benchmarks.run --quick --only=lru-hit-1000"), (memory, "python -m benchmarks.memory --quick"):
        about = suite.get_metadata()
        assert about["command"].startswith(command)
        assert about["python_version"] == platform.python_version()
        assert "cachetools 8" in about["versions"]
        assert {"absent", "build", "cpu_count", "platform"} <= set(about)
        assert all("date" in run.get_metadata() for bench in suite for run in bench.get_runs())


def test_results_do_not_tell_where_they_are_from(folder):
    """No path and no host's name is published."""
    for file in folder.glob("*.json"):
        text = file.read_text(encoding="utf-8")
        assert [word for word in (str(ROOT), str(folder), sys.executable, '"hostname"') if word in text] == []


def test_pyperf_can_compare_them(folder):
    """`python -m pyperf compare_to` reads the file."""
    file = folder / "cpython-3.99.json"
    done = subprocess.run([sys.executable, "-m", "pyperf", "compare_to", file, file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_page_has_what_was_measured(folder, tmp_path):
    """The renderer writes a table for each group of rows, with the facts and the ratios."""
    out = tmp_path / "page.md"
    done = run_benchmarks("render", "--results", folder, "--out", out)
    assert done.returncode == 0, done.stderr
    page = out.read_text(encoding="utf-8")
    titles = [line for line in page.splitlines() if line.startswith("### ")]
    assert [title for title in ("### LRU cache", "### TTL cache", "### Bytes per entry", "### Import") if title not in titles] == []
    assert "## What this is blind to" in page
    assert "python -m benchmarks.run --quick" in page
    assert "cachetools 8" in page
    (row,) = [line for line in page.splitlines() if line.startswith("| `c[k]`, hit, `str` keys")][:1]
    assert row.count(" (") >= 2, row  # safemem's ratio to dict and to cachetools
    assert "| operation | receivers | safemem | for-loop |" in page


def test_page_has_two_threads(folder, tmp_path):
    """The renderer writes, beside each other, what one thread takes and what two do."""
    out = tmp_path / "page.md"
    run_benchmarks("render", "--results", folder, "--out", out)
    _, _, section = out.read_text(encoding="utf-8").partition(": two threads\n")
    rows = [line for line in section.splitlines() if line.startswith("| `c[k]")]
    assert len(rows) > 3
    assert [row for row in rows if row.count(" (") < 1] == []


def test_tables_are_tables(folder, tmp_path):
    """All rows of a table have as many cells as its head."""
    out = tmp_path / "page.md"
    run_benchmarks("render", "--results", folder, "--out", out)
    for block in out.read_text(encoding="utf-8").split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) <= 1, block


def test_page_in_the_docs_is_up_to_date(tmp_path):
    """docs/benchmarks.md is what the renderer makes of benchmarks/results/."""
    out = tmp_path / "page.md"
    done = run_benchmarks("render", "--out", out)
    assert done.returncode == 0, done.stderr
    assert (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8") == out.read_text(encoding="utf-8")


@pytest.mark.parametrize("module", ["run", "memory"])
def test_unknown_row(module):
    """A pattern that fits nothing is an error in one line."""
    done = run_benchmarks(module, "--only", "no-such-row")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"python -m benchmarks.{module}: error: no row is called like ['no-such-row']")


def test_no_results(tmp_path):
    """Rendering nothing is an error that says what to do."""
    done = run_benchmarks("render", "--results", tmp_path, "--out", tmp_path / "page.md")
    assert done.returncode == 1
    assert done.stderr == f"no results in {tmp_path}: run python -m benchmarks.run first\n"


@pytest.mark.usefixtures("_checkout")
def test_operations_have_names_and_tables():
    """Names are unique, and each row belongs to a table."""
    from benchmarks.operations import GROUPS, OPERATIONS

    names = [operation.name for operation in OPERATIONS]
    assert len(set(names)) == len(names)
    assert {operation.group for operation in OPERATIONS} == set(GROUPS)


@pytest.mark.usefixtures("_checkout")
def test_safemem_offers_every_operation():
    """There is no row without safemem in it."""
    from benchmarks.operations import OPERATIONS
    from benchmarks.peers import load_one

    offers = load_one("safemem").offers
    assert [operation.name for operation in OPERATIONS if offers[operation.kind].statement(operation.verb) is None] == []


@pytest.mark.usefixtures("_checkout")
def test_goals_are_about_rows_and_peers_that_exist():
    """A goal that names a row nobody measures would never be missed."""
    from benchmarks.container import NOBODY
    from benchmarks.goals import GOALS
    from benchmarks.memory import rows_of
    from benchmarks.operations import OPERATIONS
    from benchmarks.peers import NAMES
    from benchmarks.results import alone
    from benchmarks.threads import ROWS

    rows = {operation.name for operation in (*OPERATIONS, *ROWS)} | {
        row.name for row in rows_of([500_000, 132_000, 530_000, 1_050_000], [1_000_000])
    }
    assert [goal for goal in GOALS if goal.row not in rows] == []
    assert {goal.against for goal in GOALS} <= {*NAMES, NOBODY, alone("safemem"), None}


@pytest.mark.usefixtures("_checkout")
@pytest.mark.parametrize("statement", ["None", "c.get(k, 'other')"])
def test_statement_that_does_something_else_is_refused(statement):
    """Nobody gets a good time by not doing what the row says."""
    from benchmarks.operations import OPERATIONS
    from benchmarks.peers import Offer, Peer
    from benchmarks.sampling import Effort, contest

    (operation,) = [operation for operation in OPERATIONS if operation.name == "lru-hit-1000"]
    wrong = Peer("wrong", None, {"lru": Offer(lambda n: {}, {"getitem": statement, "set": "pass"})})
    with pytest.raises(RuntimeError, match="wrong does not do what lru-hit-1000 is about: 1000 of 1000 answers are wrong"):
        contest(operation, [wrong], Effort(0.0001, 2))


@pytest.mark.usefixtures("_checkout")
def test_signal_that_does_not_reach_everybody_is_refused():
    """Nobody gets a good time by leaving out receivers."""
    from benchmarks.operations import OPERATIONS
    from benchmarks.peers import Offer, Peer
    from benchmarks.sampling import Effort, contest

    (operation,) = [operation for operation in OPERATIONS if operation.name == "signals-emit-method-10"]
    wrong = Peer("wrong", None, {"signal methods": Offer(list, {"emit": "for receiver in c[1:]: receiver(k)"})})
    with pytest.raises(RuntimeError, match="wrong does not do what signals-emit-method-10 is about: 900 calls of receivers, 1000 expected"):
        contest(operation, [wrong], Effort(0.0001, 2))


@pytest.mark.usefixtures("_checkout")
def test_audit_is_measured():
    """What the audit costs is measured on a heap of any size, and every row has a figure."""
    command = [sys.executable, "-m", "benchmarks.audit", "--quick", "--objects", "60000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    rows = [line.rsplit(None, 2)[0].strip() for line in done.stdout.splitlines()]
    own = ["bytes an object during a round", "check_leaks: a round", "why_alive", "monitor: a tick", "watch: an object"]
    assert rows[:5] == own
    assert rows[-1] == "tracemalloc: a snapshot compared"
