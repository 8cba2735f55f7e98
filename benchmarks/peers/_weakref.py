"""The weak dictionaries of the standard library."""

from __future__ import annotations

from weakref import WeakKeyDictionary, WeakValueDictionary

from benchmarks.peers import MAPPING, MORTAL, Offer, Peer

_VALUES = Offer(lambda _n: WeakValueDictionary(), {**MAPPING, **MORTAL}, bounded=False)

PEER = Peer(
    name="weakref",
    distribution=None,
    offers={
        "weak": _VALUES,
        "weak bare": _VALUES,
        "weak tight": _VALUES,
        "weak owners": Offer(lambda _n: WeakKeyDictionary(), MAPPING, bounded=False),
    },
)
