"""Pympler, which looks at everything."""

from __future__ import annotations

from pympler.asizeof import asizeof  # type: ignore[import-untyped, unused-ignore]

from benchmarks.measured import sizes
from benchmarks.peers import Peer

PEER = Peer(name="pympler", distribution="pympler", offers=sizes(asizeof))
