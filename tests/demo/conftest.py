"""Small trees of Python source for the rows to work on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from safemem.demo.corpus import Corpus, find_corpus

if TYPE_CHECKING:
    from pathlib import Path

FILES = 40

FILE = '''\
"""File number {number}."""
from pkg.file_{before:02} import Thing_{before}, helper

class Thing_{number}:
    """A thing."""
    def use(self, other):
        return helper(other.size) + Thing_{before}().use(self)

def helper(value):
    async def inner():
        return value
    return inner
'''


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A package of files of very different length that import each other."""
    package = tmp_path / "tree" / "pkg"
    package.mkdir(parents=True)
    for number in range(FILES):
        before = (number or FILES) - 1
        text = FILE.format(number=number, before=before) + "# filling\n" * number**2
        (package / f"file_{number:02}.py").write_text(text, encoding="utf-8")
    return package.parent


@pytest.fixture
def corpus(tree: Path) -> Corpus:
    """The files of the tree."""
    return find_corpus(str(tree))
