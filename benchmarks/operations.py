"""The table of operations: what each does, in words, and with what it is measured."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.keys import KeyMaker, absent, equal, hot, nothing, number, once, pair, same, text, thing, turnover, unstored
from benchmarks.lent import SIZE
from benchmarks.receivers import function, listener

__all__ = ["GROUPS", "OPERATIONS", "Operation"]


@dataclass(frozen=True)
class Operation:
    """One row: `verb` done to a `kind` of thing that holds `n` entries (a signal: receivers), with these keys.

    Args:
        family: a short name; with the number of entries it is the name that `--only` looks at.
        n: how many entries, or receivers, there are.
        words: what it does, for the docs.
        kind: of what, see the offers in `benchmarks.peers`.
        verb: what the statement does; the offers have the statement of each library.
        keys: which keys are there, and which are asked for.
        expect: what the statement returns: "value", "none", "true", "false"; "" if that tells nothing.
        entrywise: the statement goes through all entries, and its time is given for one.
        steady: samples are passes over all that is asked for, after a pass that is not counted.
        waits: what is measured is the time on the clock, as other processes do the work.
    """

    family: str
    n: int
    words: str
    kind: str
    verb: str
    keys: KeyMaker
    expect: str = ""
    entrywise: bool = False
    steady: bool = False
    waits: bool = False

    @property
    def name(self) -> str:
        return f"{self.family}-{self.n}"

    @property
    def group(self) -> str:
        """The table it stands in."""
        return self.family.partition("-")[0]

    @property
    def counted(self) -> str:
        """What there are `n` of."""
        if self.kind.startswith(("lent create", "lent allocate", "lent fill")):
            return "bytes"
        if self.kind.startswith("lent"):
            return "open before"
        if self.kind.startswith("size"):
            return "things in it"
        return "receivers" if self.kind.startswith(("signal", "field")) else "entries"


GROUPS = {
    "lru": "LRU cache",
    "ttl": "TTL cache",
    "lru_cache": "Functions, with the contract of `functools.lru_cache`",
    "weak": "Weak containers",
    "cached": "Functions, methods and coroutine functions, with `cached`",
    "signals": "Signals, beside a `for` loop over a list of callables",
    "fields": "Fields of objects, whose changes others may hear of",
    "tree": "Trees",
    "resources": "Shared memory, files, scopes: each made, used and closed",
    "sizes": "The size of an object with all it refers to: `sizeof(obj)`, and `exact=True`",
}

_FEW, _MANY = 1000, 100_000
_HIT = "`c[k]`, hit"
_RANDOM = f"{_HIT}, `str` keys, the very objects, in random order"
_OTHER = "equal but other objects"
_SOME = "100 hot keys among the others"
_HOT = f"{_HIT}, {_SOME}"
_STEADY = "all of them over and over in random order"
_INSERT = "`c[k] = v`, new key, one is evicted"
_POP = "`c.pop(k)`, then `c[k] = v`"
_POPITEM = "`c.popitem()`, then `c[k] = v`, new key"
_ITERATE = "`for k in c: pass`, for each entry"
_OWN = "`c.set(k, v, ttl=...)`, new key, one is evicted"
_EXPIRE = "`c[k] = v`, new key, one has just expired"
_MISS = "`f(k)`, miss, one is evicted"

_LRU = (
    Operation("lru-hit", _FEW, _RANDOM, "lru", "getitem", same(text), "value"),
    Operation("lru-hit", _MANY, _RANDOM, "lru", "getitem", same(text), "value"),
    Operation("lru-hit-steady", _MANY, f"{_HIT}, `str` keys, {_STEADY}", "lru", "getitem", same(text), "value", steady=True),
    Operation("lru-hit-hot", _FEW, _HOT, "lru", "getitem", hot(text), "value"),
    Operation("lru-hit-hot", _MANY, _HOT, "lru", "getitem", hot(text), "value"),
    Operation("lru-hit-equal", _FEW, f"{_HIT}, `str` keys, {_OTHER}", "lru", "getitem", equal(text), "value"),
    Operation("lru-hit-tuple", _FEW, f"{_HIT}, `(str, int)` keys", "lru", "getitem", same(pair), "value"),
    Operation("lru-hit-tuple-equal", _FEW, f"{_HIT}, `(str, int)` keys, {_OTHER}", "lru", "getitem", equal(pair), "value"),
    Operation("lru-hit-int", _FEW, f"{_HIT}, `int` keys", "lru", "getitem", same(number), "value"),
    Operation("lru-hit-int", _MANY, f"{_HIT}, `int` keys", "lru", "getitem", same(number), "value"),
    Operation("lru-hit-int-steady", _MANY, f"{_HIT}, `int` keys, {_STEADY}", "lru", "getitem", same(number), "value", steady=True),
    Operation("lru-hit-int-equal", _FEW, f"{_HIT}, `int` keys, {_OTHER}", "lru", "getitem", equal(number), "value"),
    Operation("lru-get", _FEW, "`c.get(k)`, hit", "lru", "get", same(text), "value"),
    Operation("lru-get-miss", _FEW, "`c.get(k)`, miss", "lru", "get", absent(text), "none"),
    Operation("lru-get-miss", _MANY, "`c.get(k)`, miss", "lru", "get", absent(text), "none"),
    Operation("lru-in", _FEW, "`k in c`, it is", "lru", "in", same(text), "true"),
    Operation("lru-in-miss", _FEW, "`k in c`, it is not", "lru", "in", absent(text), "false"),
    Operation("lru-set", _FEW, "`c[k] = v`, key is there", "lru", "set", same(text)),
    Operation("lru-set", _MANY, "`c[k] = v`, key is there", "lru", "set", same(text)),
    Operation("lru-set-hot", _FEW, f"`c[k] = v`, key is there, {_SOME}", "lru", "set", hot(text)),
    Operation("lru-set-hot", _MANY, f"`c[k] = v`, key is there, {_SOME}", "lru", "set", hot(text)),
    Operation("lru-setdefault", _FEW, "`c.setdefault(k, v)`, hit", "lru", "setdefault", same(text), "value"),
    Operation("lru-get_or_create", _FEW, "`c.get_or_create(k, factory)`, hit", "lru", "get_or_create", same(text), "value"),
    Operation("lru-insert", _FEW, _INSERT, "lru", "insert", turnover(text)),
    Operation("lru-insert", 1023, _INSERT, "lru", "insert", turnover(text)),
    Operation("lru-insert", 1360, _INSERT, "lru", "insert", turnover(text)),
    Operation("lru-insert", _MANY, _INSERT, "lru", "insert", turnover(text)),
    Operation("lru-insert-int", _FEW, f"{_INSERT}, `int` keys", "lru", "insert", turnover(number)),
    Operation("lru-pop", _FEW, _POP, "lru", "pop", same(text)),
    Operation("lru-pop", _MANY, _POP, "lru", "pop", same(text)),
    Operation("lru-pop-hot", _FEW, f"{_POP}, {_SOME}", "lru", "pop", hot(text)),
    Operation("lru-pop-hot", _MANY, f"{_POP}, {_SOME}", "lru", "pop", hot(text)),
    Operation("lru-popitem", _FEW, _POPITEM, "lru", "popitem", turnover(text)),
    Operation("lru-popitem", _MANY, _POPITEM, "lru", "popitem", turnover(text)),
    Operation("lru-iterate", _FEW, _ITERATE, "lru", "iterate", once(text), entrywise=True),
    Operation("lru-iterate", _MANY, _ITERATE, "lru", "iterate", once(text), entrywise=True),
)

_TTL = (
    Operation("ttl-hit", _FEW, _RANDOM, "ttl", "getitem", same(text), "value"),
    Operation("ttl-hit", _MANY, _RANDOM, "ttl", "getitem", same(text), "value"),
    Operation("ttl-hit-hot", _FEW, _HOT, "ttl", "getitem", hot(text), "value"),
    Operation("ttl-hit-hot", _MANY, _HOT, "ttl", "getitem", hot(text), "value"),
    Operation("ttl-hit-int", _FEW, f"{_HIT}, `int` keys", "ttl", "getitem", same(number), "value"),
    Operation("ttl-get", _FEW, "`c.get(k)`, hit", "ttl", "get", same(text), "value"),
    Operation("ttl-get-miss", _FEW, "`c.get(k)`, miss", "ttl", "get", absent(text), "none"),
    Operation("ttl-get-miss", _MANY, "`c.get(k)`, miss", "ttl", "get", absent(text), "none"),
    Operation("ttl-in", _FEW, "`k in c`, it is", "ttl", "in", same(text), "true"),
    Operation("ttl-set", _FEW, "`c[k] = v`, key is there", "ttl", "set", same(text)),
    Operation("ttl-set", _MANY, "`c[k] = v`, key is there", "ttl", "set", same(text)),
    Operation("ttl-set-hot", _FEW, f"`c[k] = v`, key is there, {_SOME}", "ttl", "set", hot(text)),
    Operation("ttl-set-hot", _MANY, f"`c[k] = v`, key is there, {_SOME}", "ttl", "set", hot(text)),
    Operation("ttl-insert", _FEW, _INSERT, "ttl", "insert", turnover(text)),
    Operation("ttl-insert", _MANY, _INSERT, "ttl", "insert", turnover(text)),
    Operation("ttl-insert-own", _FEW, _OWN, "ttl", "set_for", turnover(text)),
    Operation("ttl-insert-own", _MANY, _OWN, "ttl", "set_for", turnover(text)),
    Operation("ttl-expire", _FEW, _EXPIRE, "ttl ticking", "expire", turnover(text)),
    Operation("ttl-expire", _MANY, _EXPIRE, "ttl ticking", "expire", turnover(text)),
    Operation("ttl-pop", _FEW, _POP, "ttl", "pop", same(text)),
    Operation("ttl-pop", _MANY, _POP, "ttl", "pop", same(text)),
    Operation("ttl-pop-hot", _FEW, f"{_POP}, {_SOME}", "ttl", "pop", hot(text)),
    Operation("ttl-pop-hot", _MANY, f"{_POP}, {_SOME}", "ttl", "pop", hot(text)),
    Operation("ttl-popitem", _FEW, _POPITEM, "ttl", "popitem", turnover(text)),
    Operation("ttl-popitem", _MANY, _POPITEM, "ttl", "popitem", turnover(text)),
    Operation("ttl-len", _FEW, "`len(c)`, nothing has expired", "ttl", "len", once(text)),
    Operation("ttl-len", _MANY, "`len(c)`, nothing has expired", "ttl", "len", once(text)),
    Operation("ttl-iterate", _FEW, _ITERATE, "ttl", "iterate", once(text), entrywise=True),
    Operation("ttl-iterate", _MANY, _ITERATE, "ttl", "iterate", once(text), entrywise=True),
    Operation("ttl-tlru-hit", _FEW, f"`TLRUCache`: {_HIT}", "tlru", "getitem", same(text), "value"),
    Operation("ttl-tlru-hit", _MANY, f"`TLRUCache`: {_HIT}", "tlru", "getitem", same(text), "value"),
    Operation("ttl-tlru-insert", _FEW, f"`TLRUCache`: {_INSERT}", "tlru", "insert", turnover(text)),
    Operation("ttl-tlru-insert", _MANY, f"`TLRUCache`: {_INSERT}", "tlru", "insert", turnover(text)),
)

_LRU_CACHE = (
    Operation("lru_cache-str", _FEW, "`f(k)`, hit, one `str` argument", "lru_cache", "one", same(text), "value"),
    Operation("lru_cache-str", _MANY, "`f(k)`, hit, one `str` argument", "lru_cache", "one", same(text), "value"),
    Operation("lru_cache-int", _FEW, "`f(k)`, hit, one `int` argument", "lru_cache", "one", same(number), "value"),
    Operation("lru_cache-three", _FEW, "`f(k, 2, 3)`, hit", "lru_cache", "three", same(text), "value"),
    Operation("lru_cache-keywords", _FEW, "`f(k, y=2)`, hit", "lru_cache", "keywords", same(text), "value"),
    Operation("lru_cache-typed", _FEW, "`f(k)`, hit, `typed=True`", "lru_cache typed", "one", same(text), "value"),
    Operation("lru_cache-miss", _FEW, _MISS, "lru_cache", "one", turnover(text)),
    Operation("lru_cache-miss", _MANY, _MISS, "lru_cache", "one", turnover(text)),
)

_CACHED = (
    Operation("cached-str", _FEW, "`f(k)`, hit, one `str` argument", "cached", "one", same(text), "value"),
    Operation("cached-str", _MANY, "`f(k)`, hit, one `str` argument", "cached", "one", same(text), "value"),
    Operation("cached-int", _FEW, "`f(k)`, hit, one `int` argument", "cached", "one", same(number), "value"),
    Operation("cached-three", _FEW, "`f(k, 2, 3)`, hit", "cached", "three", same(text), "value"),
    Operation("cached-keywords", _FEW, "`f(k, y=2)`, hit", "cached", "keywords", same(text), "value"),
    Operation("cached-typed", _FEW, "`f(k)`, hit, `typed=True`", "cached typed", "one", same(text), "value"),
    Operation("cached-ttl", _FEW, "`f(k)`, hit, with a lifetime", "cached ttl", "one", same(text), "value"),
    Operation("cached-miss", _FEW, _MISS, "cached", "one", turnover(text)),
    Operation("cached-miss", _MANY, _MISS, "cached", "one", turnover(text)),
    Operation("cached-method", _FEW, "`obj.f(k)`, hit", "method", "call", same(text), "value"),
    Operation("cached-method", _MANY, "`obj.f(k)`, hit", "method", "call", same(text), "value"),
    Operation("cached-coroutine", _FEW, "`await f(k)`, hit", "coroutine", "await", same(text), "value"),
    Operation("cached-coroutine", _MANY, "`await f(k)`, hit", "coroutine", "await", same(text), "value"),
)

_BARE = "`WeakCache(0)`"
_TIGHT = "`WeakCache(n / 8)`, values that others hold"
_WEAK = (
    Operation("weak-hit", _FEW, "`WeakCache(n)`: `c[k]`, hit", "weak", "getitem", same(text), "value"),
    Operation("weak-hit", _MANY, "`WeakCache(n)`: `c[k]`, hit", "weak", "getitem", same(text), "value"),
    Operation("weak-bare-hit", _FEW, f"{_BARE}: `c[k]`, hit", "weak bare", "getitem", same(text), "value"),
    Operation("weak-tight-hit", _FEW, f"{_TIGHT}: `c[k]`, hit", "weak tight", "getitem", same(text), "value"),
    Operation("weak-get-miss", _FEW, "`WeakCache(n)`: `c.get(k)`, miss", "weak", "get", absent(text), "none"),
    Operation("weak-set", _FEW, "`WeakCache(n)`: `c[k] = v`, key is there", "weak", "set", same(text)),
    Operation("weak-bare-set", _FEW, f"{_BARE}: `c[k] = v`, key is there", "weak bare", "set", same(text)),
    Operation("weak-pop", _FEW, "`WeakCache(n)`: `c.pop(k)`, then `c[k] = v`", "weak", "pop", same(text)),
    Operation("weak-bare-die", _FEW, f"{_BARE}: `c[k] = Value()`, which dies when the next one comes", "weak bare", "die", same(text)),
    Operation("weak-owners-hit", _FEW, "`WeakIdentityDict()`: `c[o]`, hit", "weak owners", "getitem", same(thing), "value"),
    Operation("weak-owners-set", _FEW, "`WeakIdentityDict()`: `c[o] = v`, owner is there", "weak owners", "set", same(thing)),
)

_EMIT = "`s.emit(x)`"
_JOIN = "`s.connect(r)`, then `s.disconnect(r)`"
_SIGNALS = (
    Operation("signals-emit", 0, _EMIT, "signal functions", "emit", unstored(number)),
    *(Operation("signals-emit-function", n, f"{_EMIT}, to functions", "signal functions", "emit", unstored(number)) for n in (1, 10)),
    *(Operation("signals-emit-method", n, f"{_EMIT}, to bound methods", "signal methods", "emit", unstored(number)) for n in (1, 10)),
    *(Operation("signals-connect-function", n, f"{_JOIN}, a function", "signal functions", "connect", unstored(function)) for n in (0, 10)),
    *(
        Operation("signals-connect-method", n, f"{_JOIN}, a bound method", "signal methods", "connect method", unstored(listener))
        for n in (0, 10)
    ),
)

_ASSIGN = "`o.x = k`, another value"
_FIELDS = tuple(
    Operation("fields-assign", n, _ASSIGN, kind, "assign", unstored(number)) for n, kind in enumerate(("field", "field observed"))
)

_BUSH = "a tree with ten children a node is built and dropped, for each node"
_CHAIN = "a chain of nodes is built and dropped, for each node"
_TREE = (
    Operation("tree-bush", _FEW, _BUSH, "tree bush", "build", once(number), entrywise=True),
    Operation("tree-bush", _MANY, _BUSH, "tree bush", "build", once(number), entrywise=True),
    Operation("tree-chain", _FEW, _CHAIN, "tree chain", "build", once(number), entrywise=True),
)

_SHM = "shared memory"
_CLOCK = "by the clock, as other processes take part"
_PAGE, _MUCH, _HUGE = 4096, 1 << 20, 64 << 20
_MADE = f"making and closing {_SHM} that has no memory yet"
_FILLED = f"making, filling and closing {_SHM}, {_CLOCK}"
_RESERVED = f"making and closing {_SHM} as it comes, which is with its memory only from safemem, {_CLOCK}"
_RESOURCES = (
    *(Operation("resources-shm-create", n, f"{_MADE}, {_CLOCK}", "lent create", "do", nothing, waits=True) for n in (_PAGE, _MUCH, _HUGE)),
    *(
        Operation("resources-shm-named", n, f"{_MADE}, by a chosen name, {_CLOCK}", "lent create named", "do", nothing, waits=True)
        for n in (_PAGE, _MUCH, _HUGE)
    ),
    *(Operation("resources-shm-fill", n, _FILLED, "lent fill", "do", nothing, waits=True) for n in (_PAGE, SIZE, _MUCH)),
    *(Operation("resources-shm-allocate", n, _RESERVED, "lent allocate", "do", nothing, waits=True) for n in (_PAGE, SIZE)),
    Operation(
        "resources-shm-attach", 1, f"attaching and closing 64 KiB of {_SHM}, {_CLOCK}", "lent attach", "do", once(number), waits=True
    ),
    Operation("resources-file-replace", 0, "a small file is replaced, or written in place", "lent replace", "do", once(number)),
    Operation("resources-tempfile", 0, "a temporary file is made, written and removed", "lent temporary_file", "do", once(number)),
    Operation("resources-tempdir", 0, "a temporary directory is made and removed", "lent temporary_directory", "do", once(number)),
    Operation("resources-mmap", 0, "a small file is mapped, read and unmapped", "lent map_file", "do", once(number)),
    Operation("resources-scope", 0, "three objects are put into a scope and closed with it", "lent scope", "do", once(number)),
    Operation("resources-one", 0, "one object is closed at the end of a block", "lent one", "do", once(number)),
    Operation("resources-isolated", 0, f"a call in a fresh process, {_CLOCK}", "lent isolated", "do", once(number), waits=True),
)

_SIZES = (
    Operation("sizes-text", _FEW, "a `str`", "size text", "do", nothing),
    Operation("sizes-row", 1, "a row of JSON: five fields, one of them a list", "size row", "do", nothing),
    Operation("sizes-numbers", 10 * _FEW, "a list of `int`", "size numbers", "do", nothing),
    Operation("sizes-rows", _FEW, "a list of such rows", "size rows", "do", nothing),
    Operation("sizes-objects", _FEW, "a list of instances with three attributes", "size objects", "do", nothing),
)

OPERATIONS = (*_LRU, *_TTL, *_WEAK, *_LRU_CACHE, *_CACHED, *_SIGNALS, *_FIELDS, *_TREE, *_RESOURCES, *_SIZES)
