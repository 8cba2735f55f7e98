"""What the rows about resources have in common: a folder with a file in it, a segment to attach to, and functions that do the whole of a thing."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.peers import Offer

__all__ = ["CHOSEN", "SIZE", "Closable", "Held", "lent"]

SIZE = 65536
CHOSEN = f"safemem-bench-{os.getpid()}"  # a name that a user chose

_FILE = 4096

_ONCE = {"do": "c.do()"}


class Closable:
    """An object with a method to be called at the end."""

    __slots__ = ("__weakref__",)

    def close(self) -> None: ...


class Held:
    """What is there while a row is measured: `do()` is what is measured, in `folder` with a file at `path`, on shared memory called `name`."""

    def __init__(self, do: Callable[..., None]) -> None:
        self.do: Callable[[], None] = partial(do, self)
        self.folder = ""
        self.path = ""
        self.name = ""
        self.ends: list[Callable[[Held], None]] = []

    def in_folder(self) -> Held:
        self.folder = tempfile.mkdtemp()
        self.path = os.path.join(self.folder, "file")
        with open(self.path, "wb") as file:
            file.write(bytes(_FILE))
        self.ends.append(lambda held: shutil.rmtree(held.folder))
        return self

    def close(self) -> None:
        for end in self.ends:
            end(self)
        self.do = partial(int)  # it referred to this


def _alone(do: Callable[[], None]) -> Callable[[int], Any]:
    return lambda _n: Held(lambda _held: do())


def _sized(do: Callable[[int, bytes], None], *, filled: bool) -> Callable[[int], Any]:
    def held(n: int) -> Held:
        contents = bytes(n) if filled else b""
        return Held(lambda _held: do(n, contents))

    return held


def _in_folder(do: Callable[[Held], None]) -> Callable[[int], Any]:
    return lambda _n: Held(do).in_folder()


def _with_segment(make: Callable[[], str], attach: Callable[[Held], None], end: Callable[[Held], None]) -> Callable[[int], Any]:
    def held(_n: int) -> Held:
        made = Held(attach)
        made.name = make()
        made.ends.append(end)
        return made

    return held


def lent(
    *,
    segment: tuple[Callable[[], str], Callable[[Held], None], Callable[[Held], None]] | None = None,
    create: Callable[[int, bytes], None] | None = None,
    create_named: Callable[[int, bytes], None] | None = None,
    allocate: Callable[[int, bytes], None] | None = None,
    fill: Callable[[int, bytes], None] | None = None,
    scope: Callable[[], None] | None = None,
    one: Callable[[], None] | None = None,
    isolated: Callable[[], None] | None = None,
    **in_folder: Callable[[Held], None],
) -> dict[str, Offer]:
    """Return what a library offers of resources; each function does the whole of a thing, from making to closing.

    Those that make shared memory are given its size, and what is to be written.
    """
    makers = {f"lent {name}": _in_folder(do) for name, do in in_folder.items()}
    sized = {"create": create, "create named": create_named, "allocate": allocate, "fill": fill}
    makers |= {f"lent {name}": _sized(do, filled=name == "fill") for name, do in sized.items() if do is not None}
    alone = {"scope": scope, "one": one, "isolated": isolated}
    makers |= {f"lent {name}": _alone(do) for name, do in alone.items() if do is not None}
    if segment is not None:
        makers["lent attach"] = _with_segment(*segment)
    return {kind: Offer(make, _ONCE, close=Held.close) for kind, make in makers.items()}
