"""The file written in place, with nothing that could save the old one: what writing costs at least."""

from __future__ import annotations

from benchmarks.lent import Held, lent
from benchmarks.peers import Peer


def _replace(held: Held) -> None:
    with open(held.path, "w", encoding="utf-8") as file:
        file.write("value")


PEER = Peer(name="open", distribution=None, offers=lent(replace=_replace))
