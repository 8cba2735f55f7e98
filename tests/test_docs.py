"""Every example in README.md and docs/ runs, and gives what the page says."""

from __future__ import annotations

import doctest
import re
import sys
import textwrap
from pathlib import Path

import pytest
from helpers.isolate import run_script

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", *(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)])
FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,})(?P<info>[^`\n]*)\n(?P<body>.*?)^(?P=indent)(?P=ticks)`* *$", re.MULTILINE | re.DOTALL)

AUDITS = re.compile(r"check_leaks|no_leaks|why_alive|Audit\(|snapshot\(")

# Fences that hold no Python: shell commands (run by .ci/run), output, and directives.
NOT_PYTHON = re.compile(r"sh|text|toml|\{(include|toctree|eval-rst)\}.*")


def page_id(path: Path) -> str:
    """A page's path as a test id."""
    return path.relative_to(ROOT).as_posix()


def fences(text: str) -> list[tuple[str, str, int]]:
    """Every fenced block: its info string, its body, and the line its body begins on, counted from 0."""
    found = FENCE.finditer(text)
    return [(match["info"].strip(), textwrap.dedent(match["body"]), text.count("\n", 0, match.start("body"))) for match in found]


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_every_example_is_executable(path):
    """A block is an interactive session, which is run, or no Python at all."""
    others = {info for info, body, _line in fences(path.read_text(encoding="utf-8")) if info != "pycon" or not body.startswith(">>> ")}
    assert {info for info in others if not NOT_PYTHON.fullmatch(info)} == set()


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_no_session_outside_of_a_fence(path):
    """Nothing that looks like an example escapes being run."""
    assert ">>> " not in FENCE.sub("", path.read_text(encoding="utf-8"))


def run_page(path: Path) -> str:
    """Run the sessions of a page, in one namespace; return what was not as the page shows, or nothing."""
    names: dict[str, object] = {"__name__": "__main__"}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    report: list[str] = []
    for info, body, line in fences(path.read_text(encoding="utf-8")):
        if info == "pycon":
            test = doctest.DocTestParser().get_doctest(body, {}, page_id(path), str(path), line)
            test.globs = names  # not a copy: functions of one session see what a later one assigns
            runner.run(test, out=report.append, clear_globs=False)
    return "".join(report) if runner.summarize(verbose=False).failed else ""


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_examples_run(path):
    """The sessions of a page print what the page shows; those that audit their process have one of their own, where nothing else grows."""
    if AUDITS.search(path.read_text(encoding="utf-8")):
        done = run_script(Path(__file__), str(path))
        assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
    else:
        assert run_page(path) == ""


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_links_to_files_lead_somewhere(path):
    """A relative link names a file that is there."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    links = [target for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) if "://" not in target]
    assert [target for target in links if not (path.parent / target).exists()] == []


def test_readme_has_the_two_commands():
    """The one-line commands that a stranger types."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/safemem demo" in readme
    assert "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest" in readme


if __name__ == "__main__":
    print(run_page(Path(sys.argv[1])), end="")
