"""The bar: drawn on terminals alone, never wider than they are, and gone at the end."""

from __future__ import annotations

import io
import os

import pytest

from safemem.demo import progress as progress_module
from safemem.demo.progress import Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal, of the usual size."""

    def isatty(self):
        return True


class Broken(Terminal):
    """A terminal that went away."""

    def write(self, text):
        raise OSError("gone")


def screen(text: str) -> str:
    """What is left on a line after the text was written to it, carriage returns and all."""
    line: list[str] = []
    for part in text.split("\r"):
        line[: len(part)] = part
    return "".join(line).rstrip()


@pytest.fixture(autouse=True)
def _draw_each(monkeypatch):
    monkeypatch.setattr(progress_module, "_EVERY", 0.0)
    monkeypatch.setenv("TERM", "xterm")


def test_is_drawn_and_erased():
    """While it works there is a bar, at the end nothing."""
    stream = Terminal()
    with Progress(stream, 2) as progress:
        progress.show("first", 0.5)
        assert screen(stream.getvalue()) == f"[{'#' * 6}{'.' * 18}]  25%  first"
        progress.step()
        assert screen(stream.getvalue()) == ""
        progress.show("second", 0.5)
        assert "75%  second" in screen(stream.getvalue())
    assert screen(stream.getvalue()) == ""


def test_a_shorter_text_leaves_nothing_of_a_longer_one():
    """Each drawing covers the one before."""
    stream = Terminal()
    with Progress(stream, 1) as progress:
        progress.show("a long text", 0.1)
        progress.show("short", 0.1)
        assert screen(stream.getvalue()).endswith("10%  short")


def test_is_erased_after_an_error():
    """Whatever ends the work, the line is clean."""
    stream = Terminal()

    def work(progress: Progress) -> None:
        progress.show("first", 0.5)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Progress(stream, 1) as progress:
        work(progress)
    assert screen(stream.getvalue()) == ""


@pytest.mark.parametrize("columns", [0, 1, 10, 40, 80, 200])
def test_is_narrower_than_the_terminal(columns, monkeypatch):
    """A bar that wraps cannot be erased. A terminal that does not know its width is taken for a usual one."""
    monkeypatch.setattr(os, "get_terminal_size", lambda _fd: os.terminal_size((columns, 24)))
    monkeypatch.setattr(Terminal, "fileno", lambda _self: 2)
    stream = Terminal()
    with Progress(stream, 1) as progress:
        progress.show("a title that is longer than the terminal is wide" * 3, 0.5)
    assert max(map(len, stream.getvalue().split("\r"))) < (columns or 80)


def test_is_erased_if_interrupted_while_drawing():
    """The interrupt comes after the text reached the terminal."""

    class Interrupting(Terminal):
        def flush(self):
            if "first" in self.getvalue().split("\r")[-1]:
                raise KeyboardInterrupt

    stream = Interrupting()
    with pytest.raises(KeyboardInterrupt), Progress(stream, 1) as progress:
        progress.show("first", 0.5)
    assert screen(stream.getvalue()) == ""


@pytest.mark.parametrize("stream", [io.StringIO(), None], ids=["file", "closed"])
def test_nothing_where_there_is_no_terminal(stream):
    """Files and pipes get no control characters."""
    with Progress(stream, 1) as progress:
        progress.show("first", 0.5)
        progress.step()
    assert stream is None or stream.getvalue() == ""


def test_nothing_on_a_dumb_terminal(monkeypatch):
    """One that cannot go back to the start of its line."""
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with Progress(stream, 1) as progress:
        progress.show("first", 0.5)
    assert stream.getvalue() == ""


def test_a_terminal_that_goes_away_is_nobodys_concern():
    """The work goes on without a bar."""
    with Progress(Broken(), 1) as progress:
        progress.show("first", 0.5)
        progress.show("first", 0.6)


def test_a_closed_stream_is_no_terminal():
    """Asking it raises ValueError."""
    stream = Terminal()
    stream.isatty = lambda: (_ for _ in ()).throw(ValueError("closed"))
    with Progress(stream, 1) as progress:
        progress.show("first", 0.5)


def test_is_not_drawn_too_often(monkeypatch):
    """Drawing costs more than much of the work."""
    monkeypatch.setattr(progress_module, "_EVERY", 1000.0)
    stream = Terminal()
    with Progress(stream, 1) as progress:
        for part in range(100):
            progress.show("first", part / 100)
    assert stream.getvalue().count("first") == 1
