"""bigtree; its own class wants names that are texts."""

from __future__ import annotations

import bigtree

from benchmarks.peers import Peer
from benchmarks.shapes import trees

PEER = Peer(
    name="bigtree",
    distribution="bigtree",
    module="bigtree",
    offers=trees(lambda number, parent: bigtree.Node(f"node-{number}", parent=parent)),
)
