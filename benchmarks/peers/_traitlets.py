"""traitlets: classes whose attributes are declared, checked and observed."""

from __future__ import annotations

from typing import Any

import traitlets

from benchmarks.peers import Peer, fields


class _Point(traitlets.HasTraits):
    x: Any = traitlets.Any()


def _observed(count: int) -> _Point:
    point = _Point()
    for _ in range(count):
        point.observe(lambda _change: None, names="x")
    return point


PEER = Peer(name="traitlets", distribution="traitlets", module="traitlets", offers=fields(_observed))
