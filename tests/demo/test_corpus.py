"""Which files the demo takes, which it leaves out, and what it says of those it cannot use."""

from __future__ import annotations

import os
import sysconfig

import pytest

from safemem.demo import corpus as corpus_module
from safemem.demo.corpus import BadInputError, Corpus, find_corpus
from safemem.demo.crossref import parse
from safemem.demo.runner import check_usable


def write(root, *paths: str, text: str = "x = 1\n") -> None:
    """Write files below a directory."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


class TestFinding:
    """Which files are found."""

    def test_the_standard_library_is_the_default(self):
        """Hundreds of files, no installed packages, no tests, and less than the limit."""
        found = find_corpus()
        assert found.root == sysconfig.get_path("stdlib")
        assert "standard library" in found.label
        assert len(found.sources) > 400
        assert found.size <= corpus_module.MOST_BYTES
        assert {"ast.py", "email/message.py"} <= set(found.paths)
        assert not [path for path in found.paths if "site-packages/" in path or "/test/" in path]

    def test_sorted_and_relative(self, tmp_path):
        """The order does not depend on the file system."""
        write(tmp_path, "b.py", "a/z.py", "a/__init__.py", "c.txt", "a/b/c.py")
        assert find_corpus(str(tmp_path)).paths == ["b.py", "a/__init__.py", "a/z.py", "a/b/c.py"]

    def test_not_searched(self, tmp_path):
        """Caches, hidden directories and installed packages are not the program's source."""
        write(tmp_path, "a.py", ".git/b.py", "__pycache__/c.py", "lib/site-packages/d.py")
        assert find_corpus(str(tmp_path)).paths == ["a.py"]

    def test_modules(self, tmp_path):
        """A module has the name under which it would be imported beside the root."""
        write(tmp_path, "a.py", "pkg/__init__.py", "pkg/b.py")
        assert find_corpus(str(tmp_path)).modules == {"a": "a.py", "pkg": "pkg/__init__.py", "pkg.b": "pkg/b.py"}

    def test_a_sample_is_evenly_spread(self, corpus):
        """About as many bytes as asked for, from beginning to end, and never nothing."""
        half = corpus.sample(corpus.size // 2)
        assert half == corpus.paths[::2]
        assert corpus.sample(1) == corpus.paths[:1]
        assert corpus.sample(corpus.size * 10) == corpus.paths


class TestLeavingOut:
    """What does not fit into a minute is left out and told."""

    def test_huge_files(self, tmp_path, monkeypatch):
        """A file that takes a minute of its own is left out."""
        monkeypatch.setattr(corpus_module, "LARGEST_FILE", 10)
        write(tmp_path, "small.py")
        write(tmp_path, "huge.py", text="x = 1\n" * 100)
        found = find_corpus(str(tmp_path))
        assert found.paths == ["small.py"]
        assert found.left_out == {"over 2 MB": 1}

    def test_tests_go_first(self, tmp_path, monkeypatch):
        """Tests are the largest part of much source, and the least used."""
        monkeypatch.setattr(corpus_module, "MOST_BYTES", 15)
        write(tmp_path, "a.py", "b.py", "tests/c.py", "pkg/test/d.py", "contest/e.py")
        found = find_corpus(str(tmp_path))
        assert found.left_out["in test directories"] == 2
        assert not [path for path in found.paths if path.startswith(("tests/", "pkg/"))]

    def test_then_evenly_spread_files(self, tmp_path, monkeypatch):
        """What is too much even then is thinned out."""
        monkeypatch.setattr(corpus_module, "MOST_BYTES", 30)
        write(tmp_path, *(f"{number}.py" for number in range(10)))
        found = find_corpus(str(tmp_path))
        assert found.paths == ["0.py", "2.py", "4.py", "6.py", "8.py"]
        assert sum(found.left_out.values()) == 5

    def test_tests_stay_where_there_is_nothing_else(self, tmp_path, monkeypatch):
        """A directory of tests is worked on too."""
        monkeypatch.setattr(corpus_module, "MOST_BYTES", 10)
        write(tmp_path, "tests/a.py", "tests/b.py", "tests/c.py", "tests/d.py")
        assert len(find_corpus(str(tmp_path)).paths) == 2

    def test_huge_files_alone_are_an_error(self, tmp_path, monkeypatch):
        """They might take all memory, so somebody has to ask for it."""
        monkeypatch.setattr(corpus_module, "LARGEST_FILE", 1)
        write(tmp_path, "a.py")
        with pytest.raises(BadInputError, match="--all takes them"):
            find_corpus(str(tmp_path))
        assert find_corpus(str(tmp_path), everything=True).paths == ["a.py"]

    def test_nothing_is_told_of_what_is_not_there(self, tmp_path, monkeypatch):
        """Without tests none are left out."""
        monkeypatch.setattr(corpus_module, "MOST_BYTES", 6)
        write(tmp_path, "a.py", "b.py")
        assert find_corpus(str(tmp_path)).left_out == {"evenly spread": 1}

    def test_everything(self, tmp_path, monkeypatch):
        """Whoever asks for all gets all."""
        monkeypatch.setattr(corpus_module, "MOST_BYTES", 1)
        write(tmp_path, "a.py", "tests/b.py")
        found = find_corpus(str(tmp_path), everything=True)
        assert found.paths == ["a.py", "tests/b.py"]
        assert found.left_out == {}


class TestBadInput:
    """Nothing to work on is an error; one bad file among others is not."""

    @pytest.mark.parametrize(("name", "reason"), [("missing", "No such file"), ("file.py", "Not a directory"), ("a\0b", "null")])
    def test_no_directory(self, tmp_path, name, reason):
        """The directory and the reason are named."""
        write(tmp_path, "file.py")
        with pytest.raises(BadInputError, match=reason):
            find_corpus(f"{tmp_path}/{name}")

    def test_no_python_files(self, tmp_path):
        """An empty directory is named."""
        write(tmp_path, "readme.txt")
        with pytest.raises(BadInputError, match="no Python files in '"):
            find_corpus(str(tmp_path))

    def test_nothing_readable(self, tmp_path):
        """Links to nowhere and to themselves, and directories with a file's name, cannot be read."""
        (tmp_path / "dangling.py").symlink_to("nowhere.py")
        (tmp_path / "loop.py").symlink_to("loop.py")
        (tmp_path / "folder.py").mkdir()
        with pytest.raises(BadInputError, match="that can be read"):
            find_corpus(str(tmp_path))

    def test_one_unreadable_file_is_noted(self, tmp_path):
        """The others are worked on."""
        write(tmp_path, "a.py")
        (tmp_path / "dangling.py").symlink_to("nowhere.py")
        found = find_corpus(str(tmp_path))
        assert found.paths == ["a.py"]
        assert found.problems == {"dangling.py": "cannot be read"}
        assert found.skipped() == "1 cannot be read"

    def test_a_pipe_is_not_opened(self, tmp_path):
        """Opening it would wait for ever."""
        write(tmp_path, "a.py")
        os.mkfifo(tmp_path / "pipe.py")
        assert find_corpus(str(tmp_path)).problems == {"pipe.py": "not a regular file"}

    def test_a_directory_that_cannot_be_listed_is_noted(self, tmp_path, monkeypatch):
        """The system refuses one directory below the root."""
        write(tmp_path, "a.py", "locked/b.py")
        scandir = os.scandir

        def refuse(path):
            if str(path).endswith("locked"):
                raise PermissionError(13, "Permission denied", str(path))
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refuse)
        found = find_corpus(str(tmp_path))
        assert found.paths == ["a.py"]
        assert found.skipped() == "1 cannot be read"

    def test_a_file_that_vanishes_counts_as_empty(self, tmp_path):
        """It is noted once, however often it is asked for."""
        write(tmp_path, "a.py", "b.py")
        found = find_corpus(str(tmp_path))
        (tmp_path / "b.py").unlink()
        assert (found.read("b.py"), found.read("b.py")) == (b"", b"")
        assert found.skipped() == "1 cannot be read"


class TestNotPython:
    """Files that do not parse or decode."""

    @pytest.mark.parametrize(
        "source",
        [
            b"def f(:\n",
            b"x = '\xff'\n",
            b"# coding: nonsense\nx = 1\n",
            b"x = 1\0\n",
            b"x = " + b"(" * 5000 + b")" * 5000,
            b"x = " + b"-" * 100_000 + b"1\n",
        ],
        ids=["syntax", "encoding", "unknown-encoding", "null", "nesting", "depth"],
    )
    def test_counts_as_empty(self, tmp_path, source):
        """The file is noted and the work goes on."""
        (tmp_path / "bad.py").write_bytes(source)
        found = find_corpus(str(tmp_path))
        assert parse(found, "bad.py").tree.body == []
        assert found.problems == {"bad.py": "not valid Python"}

    def test_none_at_all_is_an_error(self, tmp_path):
        """There is nothing to work on."""
        write(tmp_path, "a.py", "b.py", text="def f(:\n")
        with pytest.raises(BadInputError, match="2 not valid Python"):
            check_usable(find_corpus(str(tmp_path)))

    def test_one_good_file_is_enough(self, tmp_path):
        """The first that parses ends the check."""
        write(tmp_path, "a.py", text="def f(:\n")
        write(tmp_path, "b.py")
        found = find_corpus(str(tmp_path))
        check_usable(found)
        assert found.skipped() == "1 not valid Python"


def test_a_path_is_shown_as_it_is_unless_it_would_confuse_a_terminal(tmp_path):
    """Line breaks and escape sequences in a name are written out."""
    for name in ("plain dir", "a\nb\x1b[1m"):
        write(tmp_path, f"{name}/a.py")
    assert find_corpus(f"{tmp_path}/plain dir").label == f"{tmp_path}/plain dir"
    assert find_corpus(f"{tmp_path}/a\nb\x1b[1m").label == rf"'{tmp_path}/a\nb\x1b[1m'"


def test_a_corpus_is_a_key():
    """Caches take it as an argument."""
    assert len({Corpus("a", "a", ()), Corpus("a", "a", ())}) == 2
