"""Reports: order, text, JSON there and back, pickles, signatures, the page and its drawing, the terminal."""

from __future__ import annotations

import io
import pickle
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest

from safemem import Leak, LeakError, LeakReport, RetentionPath, SafememError
from safemem.leaks.report import Edge
from safemem.leaks.terminal import show, wants_colour
from safemem.leaks.words import plain_name, readable_bytes, signature_of

HOSTILE = "<script>alert('x')</script> & \"quotes\" \N{SNOWMAN} \ud800"


def leak(kind="growth", what="3 Session", size=0, **more):
    path = RetentionPath((Edge("module shop", ".sessions", "dict"), Edge("dict", "['ab12']", "Session")))
    fields = {"where": "shop.py:12", "holder": path.holder, "bytes": size, "signature": signature_of(kind, what), "fix": "an LRUCache"}
    return Leak(kind=kind, what=what, **{"path": path, **fields, **more})


def test_worst_comes_first_and_retained_is_no_failure():
    """Leaks before what is only worth knowing, then by bytes; only leaks make a report fail."""
    report = LeakReport((leak("retained", size=10**9), leak(size=5), leak("file", size=500)))
    assert [each.kind for each in report.leaks] == ["file", "growth", "retained"]
    assert not report.ok
    assert LeakReport((leak("retained"),)).ok
    assert LeakReport().ok


def test_ignored_signatures_are_left_out():
    """A report without the signatures that are known is of the rest."""
    report = LeakReport((leak(), leak("file")), "shop")
    rest = report.without([report.leaks[0].signature])
    assert (len(rest.leaks), rest.title) == (1, "shop")


def test_text_says_everything():
    """Every field that is known is in the text, what is not known is not mentioned."""
    text = str(LeakReport((leak(size=2_500_000), leak("file", where=None, holder="")), "shop"))
    for part in ("shop: 2 leaks", "LEAK growth: 3 Session (2.5 MB)", "module shop.sessions['ab12']", "shop.py:12", "an LRUCache"):
        assert part in text
    assert text.count("made at") == 1


def test_unknown_kind_is_refused():
    """A kind that is not of the contract is a clear error."""
    with pytest.raises(ValueError, match="kind must be one of cache, .*, got 'odd'"):
        leak("odd")


def test_json_is_read_again():
    """What to_json writes, from_json reads: an equal report."""
    report = LeakReport((leak(size=3), leak("file", path=None, where=None, what=HOSTILE)), "shop")
    assert LeakReport.from_json(report.to_json()) == report


@pytest.mark.parametrize("text", ["[]", "{}", '{"schema": 2}', '{"schema": 1, "title": "", "leaks": [{}]}', "no json"])
def test_other_json_is_refused(text):
    """What is no report is a ValueError."""
    with pytest.raises(ValueError):
        LeakReport.from_json(text)


def test_error_carries_its_report_through_a_pickle():
    """A LeakError is an AssertionError and of this package; other processes get it whole."""
    error = LeakError(LeakReport((leak(),), "shop"))
    assert isinstance(error, AssertionError)
    assert isinstance(error, SafememError)
    again = pickle.loads(pickle.dumps(error))
    assert (again.report, str(again)) == (error.report, str(error.report))


def test_path_in_words_and_dot():
    """A path reads as one line, as steps, and as a graph; without edges it says that nothing is seen."""
    path = RetentionPath((Edge("function view", " closure over 'request'", "cell"), Edge("cell", " content", 'a "Request"')))
    assert path.holder == "function view -> closure over 'request' -> content"
    assert str(path).splitlines()[1:] == ["  closure over 'request' -> cell", '  content -> a "Request"']
    assert '[label="a \\"Request\\""]' in path.to_dot()
    assert not RetentionPath()
    assert "nothing" in str(RetentionPath())
    assert RetentionPath().to_dot().startswith("digraph")


def test_signature_is_of_what_stays_the_same():
    """Addresses and indexes do not change a signature, names do."""
    assert signature_of("growth", "x[12] at 0xff0") == signature_of("growth", "x[7] at 0xabc")
    assert signature_of("growth", "x") != signature_of("growth", "y") != signature_of("file", "y")
    assert signature_of("growth", "a1") != signature_of("growth", "a2")  # a name, not a number
    assert signature_of("growth", "\ud800").startswith("growth-")


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (999_999, "1.0 MB"), (10**9, "1.0 GB"), (10**16, "10000.0 TB")],
)
def test_bytes_are_readable(number, text):
    """Numbers of bytes are rounded to what people say."""
    assert readable_bytes(number) == text


def test_plain_names_forget_what_is_random():
    """Numbers, digests and random parts of names go, the rest stays."""
    assert plain_name("cache-5f3a9c2e11.db") == "cache-#.db"
    assert plain_name("settings.toml") == "settings.toml"


class Page(HTMLParser):
    """Collects what is in a page, and insists on tags that match."""

    VOID = frozenset({"meta", "br"})

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.links, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in {"src", "href", "action"} or (value and "url(" in value)]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def page_of(report, tmp_path):
    report.to_html(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    page.close()
    return text, page


def test_page_needs_nothing_else_and_has_all(tmp_path):
    """One file: no scripts, no links out of it, every leak a section with its drawing, every tag closed."""
    text, page = page_of(LeakReport((leak(size=5), leak("file"), leak("retained", path=None)), "shop"), tmp_path)
    assert page.open == []
    assert "script" not in page.tags
    assert page.links == ["#leak-0", "#leak-1", "#leak-2"]
    assert "http" not in text.replace("http-equiv", "")
    assert (page.tags.count("section"), page.tags.count("svg")) == (3, 2)


def test_page_shows_names_and_does_not_interpret_them(tmp_path):
    """Names with markup in them are text, in the drawing as well; what UTF-8 cannot express is escaped."""
    path = RetentionPath((Edge(HOSTILE, HOSTILE, HOSTILE),))
    text, page = page_of(LeakReport((leak(what=HOSTILE, holder=HOSTILE, fix=HOSTILE, where=HOSTILE, path=path),), HOSTILE), tmp_path)
    assert "script" not in page.tags
    assert "<script>" not in text
    assert "<script>alert('x')</script> & \"quotes\"" in "".join(page.text)


def test_drawing_is_well_formed_and_has_every_step(tmp_path):
    """The drawing is XML with a box for each object and a name for each reference, long ones cut."""
    path = RetentionPath(tuple(Edge(f"a{number}", f".b{number} & <c>", "x" * 200) for number in range(30)))
    text, _ = page_of(LeakReport((leak(path=path),)), tmp_path)
    drawing = ET.fromstring(text[text.index("<svg") : text.index("</svg>") + 6])
    assert len(drawing.findall("rect")) == 31
    assert len([each for each in drawing.findall("text") if each.get("class") == "label"]) == 30
    assert max(len(each.text) for each in drawing.findall("text")) <= 70


def test_page_shows_what_cannot_be_seen(tmp_path):
    """Characters that control, reverse or hide others are written as escapes, everywhere on the page."""
    name = "a\x00\x1b[31m\u202e\ud800"
    path = RetentionPath((Edge(name, name, name),))
    text, page = page_of(LeakReport((leak(what=name, holder=name, fix=name, where=name, path=path), leak()), name), tmp_path)
    assert [each for each in text if not each.isprintable() and each != "\n"] == []
    assert "".join(page.text).count("a\\x00\\x1b[31m\\u202e\\ud800") == 10


def test_boxes_are_as_wide_as_their_names(tmp_path):
    """Letters of East Asia take twice the room."""
    path = RetentionPath((Edge("m" * 20, ".a", "\u8a9e" * 20),))
    text, _ = page_of(LeakReport((leak(path=path),)), tmp_path)
    drawing = ET.fromstring(text[text.index("<svg") : text.index("</svg>") + 6])
    narrow, wide = (int(each.get("width")) for each in drawing.findall("rect"))
    assert wide - 24 == 2 * (narrow - 24)


def test_report_without_leaks_has_a_page_too(tmp_path):
    """A clean report says so."""
    _, page = page_of(LeakReport(title="shop"), tmp_path)
    assert "shop: no leaks" in page.text


class Terminal(io.StringIO):
    encoding = "ascii"

    def isatty(self):
        return True


def test_plain_text_where_there_is_no_terminal(monkeypatch):
    """A stream that is no terminal, or one whose user wants no colour, gets plain text; what it cannot encode is escaped."""
    report = LeakReport((leak(what="3 S\N{SNOWMAN}"),), "shop")
    stream = io.StringIO()
    show(report, stream)
    assert stream.getvalue() == f"{report}\n"
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    assert not wants_colour(terminal)
    show(report, terminal)
    assert "3 S\\u2603" in terminal.getvalue()


def test_rich_shows_the_same_words(monkeypatch):
    """With rich, all that is known is shown, and markup in names is not interpreted."""
    pytest.importorskip("rich", reason="the extra rich is not installed")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    terminal.encoding = "utf-8"
    assert wants_colour(terminal)
    show(LeakReport((leak(what="3 [bold]Session"),), "shop"), terminal)
    for part in ("shop: 1 leak", "3 [bold]Session", "module shop.sessions['ab12']", "an LRUCache"):
        assert part in terminal.getvalue()
