"""Who is measured: what each library offers of each kind, and the statements that use it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

__all__ = [
    "ASSIGN",
    "CALLS",
    "CONNECT",
    "LIFE",
    "MAPPING",
    "MORTAL",
    "NAMES",
    "TTL",
    "Offer",
    "Peer",
    "connected",
    "coroutine_of",
    "fields",
    "load",
    "load_one",
    "method_of",
    "signals",
]

# In the order of the tables' columns; safemem itself comes first.
NAMES = (
    "safemem",
    "dict",
    "functools",
    "cachetools",
    "cachebox",
    "lru-dict",
    "theine",
    "moka-py",
    "fastcache",
    "async-lru",
    "weakref",
    "for-loop",
    "blinker",
    "psygnal",
    "psygnal-fast",
    "django",
    "pydispatcher",
    "traitlets",
    "slots class",
    "anytree",
    "bigtree",
    "stdlib",
    "open",
    "boltons",
    "subprocess",
    "exact",
    "pympler",
    "recursion",
)

TTL = 600.0
# A lifetime of its own for each key, so that deadlines do not come in order.
LIFE = "600 + (hash(k) & 255)"

# The statements see `k`, a key, `v`, the value, and what is measured: `c` a container, `f` a function, `o` an object with a method `f`.
# `c` may also be an object with a field `x`, to which `k` is assigned.
# For signals `c` is the signal, and `k` what is sent, or a function or an object with a method `hear` to be connected.
MAPPING = {
    "getitem": "c[k]",
    "get": "c.get(k)",
    "in": "k in c",
    "set": "c[k] = v",
    "setdefault": "c.setdefault(k, v)",
    "pop": "c.pop(k); c[k] = v",
    "popitem": "c.popitem(); c[k] = v",
    "len": "len(c)",
    "iterate": "for _ in c: pass",
}
# A value that dies as soon as the next one takes its place, or the container lets go of it.
MORTAL = {"die": "c[k] = Mortal()"}
CALLS = {"one": "f(k)", "three": "f(k, 2, 3)", "keywords": "f(k, y=2)"}

ASSIGN = {"assign": "c.x = k"}
CONNECT = {"connect": "c.connect(k); c.disconnect(k)", "connect method": "c.connect(k.hear); c.disconnect(k.hear)"}


@dataclass(frozen=True)
class Offer:
    """One library's answer to one kind of need.

    Args:
        make: called with the number of entries it shall hold, or of receivers that shall hear of a field, and for decorators with the function to decorate; for signals with a list of
            receivers to connect; returns what is measured.
        verbs: the statements that use it, by what they do.
        close: called when it is needed no more.
        bounded: whether storing a new key in a full one evicts another.
        parameters: those that it calls receivers with.
    """

    make: Callable[..., Any]
    verbs: Mapping[str, str]
    close: Callable[[Any], object] | None = None
    bounded: bool = True
    parameters: str = "x"

    def statement(self, verb: str) -> str | None:
        """Return the statement for a verb, None if there is none."""
        if verb == "insert":
            return self.verbs.get("set") if self.bounded else None
        return self.verbs.get(verb)


@dataclass(frozen=True)
class Peer:
    """A library, and what it offers; `distribution` and `module` are None for what comes with Python, `core` for all but safemem."""

    name: str
    distribution: str | None
    offers: Mapping[str, Offer]
    module: str | None = None
    core: str | None = None

    @property
    def version(self) -> str | None:
        return metadata.version(self.distribution) if self.distribution else None


def load() -> tuple[list[Peer], dict[str, str]]:
    """Return all that are installed, and why the others are not there."""
    peers: list[Peer] = []
    absent: dict[str, str] = {}
    for name in NAMES:
        try:
            peers.append(load_one(name))
        except ImportError as error:
            if name == "safemem":
                raise
            absent[name] = str(error)
    return peers, absent


def load_one(name: str) -> Peer:
    """Return a peer; raises ImportError if it is not installed."""
    peer: Peer = importlib.import_module(f"benchmarks.peers._{name.replace('-', '_').replace(' ', '_')}").PEER
    return peer


def method_of(decorator: Callable[[Any], Any], work: Callable[..., object]) -> object:
    """Return an object with a decorated method."""

    class Owner:
        @decorator
        def f(self, k: object) -> object:
            return work(k)

    return Owner()


def coroutine_of(decorator: Callable[[Any], Any], work: Callable[..., object]) -> object:
    """Return a decorated coroutine function."""

    async def f(k: object) -> object:
        return work(k)

    return decorator(f)


def connected(signal: Any, receivers: Iterable[Callable[..., object]]) -> Any:
    """Return a signal to which receivers have been connected."""
    for receiver in receivers:
        signal.connect(receiver)
    return signal


def signals(make: Callable[[list[Callable[..., object]]], object], verbs: Mapping[str, str], parameters: str = "x") -> dict[str, Offer]:
    """Return what a library of signals offers: the same for functions and for methods."""
    return {kind: Offer(make, verbs, parameters=parameters) for kind in ("signal functions", "signal methods")}


def fields(make: Callable[[int], object]) -> dict[str, Offer]:
    """Return what a library offers whose objects tell of changes of a field."""
    return {kind: Offer(make, ASSIGN) for kind in ("field", "field observed")}
