"""boltons: atomic_save, which writes a temporary file and renames it."""

from __future__ import annotations

from boltons.fileutils import atomic_save

from benchmarks.lent import Held, lent
from benchmarks.peers import Peer


def _replace(held: Held) -> None:
    with atomic_save(held.path, text_mode=True) as file:
        file.write("value")


PEER = Peer(name="boltons", distribution="boltons", module="boltons.fileutils", offers=lent(replace=_replace))
