"""The registry that never forgets: open documents by name in a module-level dict, against a WeakRegistry."""

from __future__ import annotations

from collections import deque
from collections.abc import MutableMapping
from hashlib import sha256

from safemem import WeakRegistry
from safemem.demo.corpus import Corpus
from safemem.demo.measure import Counted
from safemem.demo.row import Answer, Job, Row, Way, more_than

OPEN = 24


class Document(Counted):
    """A file in an editor: it registers its name when it is opened, so that others can find it."""

    __slots__ = ("is_open", "lines", "name")

    def __init__(self, corpus: Corpus, name: str) -> None:
        self.name = name
        self.lines = corpus.read(name).decode("utf-8", "replace").split("\n")
        self.is_open = True


documents: dict[str, Document] = {}
open_documents: WeakRegistry[str, Document] = WeakRegistry()


def imported_by(document: Document, corpus: Corpus) -> list[str]:
    """Return the files that a document imports from."""
    words = [line.split() for line in document.lines if line.startswith("from ")]
    return [corpus.modules[parts[1]] for parts in words if len(parts) > 1 and parts[1] in corpus.modules]


def follow_imports(job: Job, registry: MutableMapping[str, Document]) -> Answer:
    """Open one file after the other and close the oldest; of each, follow the imports that lead to documents which are open."""
    corpus = job.corpus
    tabs: deque[Document] = deque()
    digest = sha256()
    followed = 0
    for path in job.each(corpus.paths):
        document = registry[path] = Document(corpus, path)
        tabs.append(document)
        if len(tabs) > OPEN:
            tabs.popleft().is_open = False
        for target in imported_by(document, corpus):
            there = registry.get(target)
            if there is not None and there.is_open:
                followed += 1
                digest.update(f"{path} {there.name} {len(there.lines)}\n".encode("utf-8", "backslashreplace"))
    return {"documents": len(corpus.paths), "imports followed": followed, "digest": digest.hexdigest()}


ROW = Row(
    name="registry",
    title="The registry that never forgets",
    counts=Document,
    unit="documents",
    usual=Way("a module-level dict", lambda job: follow_imports(job, documents), documents.clear),
    safemem=Way("WeakRegistry()", lambda job: follow_imports(job, open_documents), open_documents.clear),
    promise="no document that nobody has open",
    excess=lambda left: more_than(0, left.live, "documents"),
)
