"""The pytest plugin: what leaks fails its test with a report, what does not passes, and nothing is imported before it is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import safemem

OPTIONS = ("-p", "safemem.pytest_plugin", "-p", "no:cacheprovider", "-q")

SUITE = """
import pytest

KEPT = []

def test_clean(tmp_path):
    (tmp_path / "x").write_text("x")

def test_leaves_a_file_open():
    KEPT.append(open(__file__))

@pytest.mark.allow_leak("SIGNATURE")
def test_leaves_a_file_open_and_may():
    KEPT.append(open(__file__))

def test_fails():
    KEPT.append(open(__file__))
    assert False

@pytest.fixture
def closing():
    opened = []
    yield opened
    for file in opened:
        file.close()

def test_fixture_closes(closing):
    closing.append(open(__file__))

@pytest.fixture(scope="session")
def shared():
    with open(__file__) as file:
        yield file

def test_shared_stays_open(shared):
    pass
"""

MARKED = """
import pytest

KEPT = []

@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.no_leaks(rounds=2)
def test_clean(number, tmp_path):
    assert number

@pytest.mark.no_leaks(rounds=2)
def test_grows():
    KEPT.append(object())

@pytest.mark.no_leaks(rounds=2)
def test_fails():
    assert False

@pytest.mark.no_leaks
def test_skips():
    pytest.skip("not here")

def test_fixture(leak_check):
    assert leak_check.run(dict, rounds=2).ok

def test_fixture_grows(leak_check):
    leak_check.run(lambda: KEPT.append(object()), rounds=2)
"""


def run_pytest(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on one file, in a process of its own that knows no other plugins."""
    root = str(Path(safemem.__file__).parent.parent)
    return subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS, *options, path.name],
        cwd=path.parent,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, "PYTHONPATH": root, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )


def outcomes(done: subprocess.CompletedProcess[str]) -> str:
    """The line in which pytest sums up, without the time."""
    return done.stdout.strip().splitlines()[-1].partition(" in ")[0]


def signature_in(done: subprocess.CompletedProcess[str]) -> str:
    """The signature of the first leak that is shown."""
    return next(line.split()[-1] for line in done.stdout.splitlines() if "signature " in line)


@pytest.fixture
def suite(tmp_path):
    """A file with tests of every sort."""
    path = tmp_path / "test_suite.py"
    path.write_text(SUITE)
    return path


def test_suite_is_left_alone_without_the_option(suite):
    """Without the option nothing is audited."""
    assert outcomes(run_pytest(suite)) == "1 failed, 5 passed"


def test_suite_option_finds_what_stays_open(suite):
    """A file that outlives its test and fixtures is an error with its holder and line; a failed test is not audited on top."""
    done = run_pytest(suite, "--safemem-leaks")
    assert outcomes(done) == "1 failed, 5 passed, 2 errors"
    assert "module test_suite.KEPT[0]" in done.stdout
    assert f"made at   {suite}:10" in done.stdout
    suite.write_text(SUITE.replace("SIGNATURE", signature_in(done)))
    done = run_pytest(suite, "--safemem-leaks")
    assert outcomes(done) == "1 failed, 5 passed, 1 error"


def test_baseline_is_written_and_then_holds(suite):
    """A missing baseline is written and nothing fails; with it only what is new fails."""
    options = ("--safemem-leaks", "--safemem-leaks-baseline", "known.txt")
    done = run_pytest(suite, *options)
    assert outcomes(done) == "1 failed, 5 passed"
    lines = (suite.parent / "known.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")][0].startswith("file-")
    (suite.parent / "known.txt").write_text("# none\n")
    assert outcomes(run_pytest(suite, *options)) == "1 failed, 5 passed, 2 errors"


def test_markers_and_fixture(tmp_path):
    """The marker runs tests of every sort in rounds, the fixture a function; what grows fails with its holder, what fails is not audited."""
    path = tmp_path / "test_marked.py"
    path.write_text(MARKED)
    done = run_pytest(path)
    assert outcomes(done) == "3 failed, 3 passed, 1 skipped"
    assert "test_marked.py::test_grows: 1 leak" in done.stdout
    assert "module test_marked.KEPT" in done.stdout


def test_xdist_workers_are_gathered(suite):
    """What workers found is in one baseline."""
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    options = ("-p", "xdist", "-n", "2", "--safemem-leaks", "--safemem-leaks-baseline", "known.txt")
    assert outcomes(run_pytest(suite, *options)) == "1 failed, 5 passed"
    assert "file-" in (suite.parent / "known.txt").read_text()
    assert outcomes(run_pytest(suite, *options)) == "1 failed, 5 passed"


def test_coroutine_functions_are_run_by_their_plugin(tmp_path):
    """The marker calls a coroutine test through the plugin that runs it."""
    pytest.importorskip("pytest_asyncio", reason="pytest-asyncio is not installed")
    path = tmp_path / "test_async.py"
    path.write_text(
        "import asyncio, pytest\nKEPT = []\n"
        "@pytest.mark.asyncio\n@pytest.mark.no_leaks(rounds=2)\nasync def test_clean():\n    await asyncio.sleep(0)\n"
        "@pytest.mark.asyncio\n@pytest.mark.no_leaks(rounds=2)\nasync def test_grows():\n    KEPT.append([1])\n"
    )
    assert outcomes(run_pytest(path, "-p", "pytest_asyncio.plugin")) == "1 failed, 1 passed"


def test_audit_is_not_imported_before_it_is_asked_for(tmp_path):
    """A suite that uses nothing of it pays for nothing."""
    path = tmp_path / "test_nothing.py"
    path.write_text(
        "import sys\ndef test_nothing():\n    assert [name for name in sys.modules if name.startswith('safemem.leaks')] == []\n"
    )
    assert outcomes(run_pytest(path)) == "1 passed"
