"""Trees of files as kernels and containers show them, unpacked for one test."""

from __future__ import annotations

from pathlib import Path

import pytest

TREES = Path(__file__).parent / "trees"


@pytest.fixture
def tree(tmp_path):
    """Return a function that unpacks a tree and returns its root; each file begins at a line `== path`."""

    def unpack(name: str) -> str:
        for part in ("\n" + (TREES / f"{name}.tree").read_text(encoding="utf-8")).split("\n== ")[1:]:
            path, _, text = part.partition("\n")
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")
        return str(tmp_path)

    return unpack
