"""What mends a leak: one sentence for each way to leak, with the names to use."""

from __future__ import annotations

from typing import Final

__all__ = ["KIND_OF", "fix_for"]

# For each pattern: the kind of the leak, and what mends it.
_PATTERNS: Final[dict[str, tuple[str, str]]] = {
    "lru method": (
        "cache",
        (
            "the cache has no bound and keeps every instance that the method was called on: use safemem.cached, which keeps a cache for each instance"
            " and holds it weakly, or safemem.cached_property"
        ),
    ),
    "lru": (
        "cache",
        "the cache has no bound: use safemem.cached(maxsize=...), safemem.lru_cache(maxsize=...), or a lifetime with cached(ttl=...)",
    ),
    "cached instances": (
        "cache",
        "a bounded cache that is never full: bound it by what it holds (getsizeof=), or use safemem.cached for what belongs to one instance",
    ),
    "dict": (
        "growth",
        (
            "give it a bound or a lifetime: safemem.LRUCache(maxsize=...) or safemem.TTLCache(maxsize=..., ttl=...) in place of the dict; if its values"
            " live elsewhere, safemem.WeakRegistry or safemem.WeakCache; if its keys are objects, safemem.WeakIdentityDict; or delete entries when they"
            " are done with"
        ),
    ),
    "list": (
        "growth",
        (
            "take out what is done with, or give it a bound: collections.deque(maxlen=...) in place of the list; if it only looks objects up that live"
            " elsewhere, safemem.WeakRegistry or safemem.WeakIdentitySet"
        ),
    ),
    "set": (
        "growth",
        (
            "discard what is done with; if its members live elsewhere, safemem.WeakIdentitySet in place of the set; to remember the latest only,"
            " safemem.LRUCache(maxsize=...) or safemem.TTLCache(maxsize=..., ttl=...)"
        ),
    ),
    "deque": ("growth", "give it a bound, collections.deque(maxlen=...), or see to it that somebody takes out what is put in"),
    "queue": ("growth", "nobody takes out what is put in: start the consumer, or give the queue a bound (queue.Queue(maxsize=...))"),
    "namespace": (
        "growth",
        "attributes with ever new names are a dict without a bound: keep them in a safemem.LRUCache(maxsize=...) or safemem.TTLCache(...)",
    ),
    "text": (
        "growth",
        "it is added to and never emptied: write it to a file (safemem.managed_file), or keep the latest parts in a collections.deque(maxlen=...)",
    ),
    "replaced": (
        "growth",
        (
            "each call replaces it by a larger copy: leave out what is done with, keep the latest in a collections.deque(maxlen=...), or all in a"
            " safemem.LRUCache(maxsize=...) or safemem.TTLCache(...)"
        ),
    ),
    "chain": (
        "growth",
        (
            "each object made refers to the one before, so the latest keeps all: cut the reference to the former one when it is no longer needed,"
            " hold it weakly with safemem.WeakAttr, or keep the latest ones in a collections.deque(maxlen=...)"
        ),
    ),
    "wrapped": (
        "closure",
        "it is wrapped once more in every call: wrap it once, or keep the original and restore it (safemem.ResourceScope.callback)",
    ),
    "dead references": (
        "growth",
        (
            "the objects are gone, the weak references to them are not: use safemem.WeakRegistry, safemem.WeakIdentitySet or safemem.Signal, which forget"
            " what is dead"
        ),
    ),
    "weak keys": (
        "growth",
        (
            "the values of a WeakKeyDictionary refer to their keys, so no key ever dies: keep the data on the object itself, in safemem.WeakIdentityDict"
            " with values that do not refer back (safemem.WeakAttr)"
        ),
    ),
    "class": (
        "growth",
        (
            "classes made in every call stay registered: make and register each class once, outside of the function; or register it in a"
            " safemem.WeakRegistry, or bound the table (safemem.LRUCache(maxsize=...))"
        ),
    ),
    "callbacks of a future": (
        "listener",
        (
            "a future that lasts keeps every callback until it is done: take it out when it is not needed any more (future.remove_done_callback), cancel"
            " the task that waits for it, or hold its object weakly (safemem.weak_callback)"
        ),
    ),
    "mock": (
        "growth",
        "a mock notes every call: mock.reset_mock() when they have been looked at, a new mock for each test, or a plain function that notes nothing",
    ),
    "cleanups": (
        "listener",
        (
            "what is to be cleaned up is added and never done: open a stack for each piece of work and close it (with contextlib.ExitStack() as stack,"
            " safemem.ResourceScope); in a TestCase, doCleanups()"
        ),
    ),
    "timers": (
        "growth",
        "the loop keeps a timer, and what it is to call, until it is due: cancel the handle when it is not needed any more (handle.cancel())",
    ),
    "table of the library": (
        "growth",
        (
            "it is the interpreter's or the standard library's, and lives as long as the program: add to it once, where the program starts, or take out"
            " again what was added (safemem.ResourceScope().callback(...))"
        ),
    ),
    "hooks of the library": (
        "listener",
        (
            "the interpreter or the standard library calls it as long as it is in there: add it once, where the program starts, or take it out again"
            " when it is done with (safemem.ResourceScope().callback(hooks.remove, hook))"
        ),
    ),
    "source lines": (
        "growth",
        (
            "each piece of generated source stays in linecache: give the same source the same file name, and delete what is done with"
            " (linecache.cache.pop(filename))"
        ),
    ),
    "generated modules": (
        "growth",
        (
            "a module lives as long as it is in sys.modules: run generated code in a dict of its own (exec(code, namespace)), keep what is used again"
            " in a safemem.LRUCache(maxsize=...), or take it out (del sys.modules[name])"
        ),
    ),
    "path entries": (
        "growth",
        "it is added to in every call and searched ever longer: add an entry once, if it is not there yet, or remove it afterwards",
    ),
    "warnings shown": (
        "growth",
        "each text of a warning is remembered for ever: warn with a text that does not change, and say what differs elsewhere (logging)",
    ),
    "context variables": (
        "growth",
        (
            "a ContextVar that is made again and again stays in the context with its value: make it once, at the top of a module, and reset it"
            " (variable.reset(token)); what belongs to an object goes into a safemem.WeakAttr or safemem.WeakIdentityDict"
        ),
    ),
    "container": (
        "growth",
        "take out what is done with (remove, pop, clear), or give it a bound and drop the oldest",
    ),
    "views": (
        "growth",
        "a view keeps the whole memory it was taken from: store a copy of the part (array.copy(), bytes(view)), or release the view",
    ),
    "closure": (
        "closure",
        (
            "the function keeps the variables it uses: bound what it collects (collections.deque(maxlen=...), safemem.LRUCache(maxsize=...),"
            " safemem.cached for results), pass what it needs as arguments, hold what it uses weakly (safemem.weak_callback), or drop the function when"
            " it is done with"
        ),
    ),
    "closures": (
        "closure",
        (
            "the functions keep the variables they use: connect them to a safemem.Signal and end the connection (with signal.connect(...)), register"
            " a safemem.weak_callback or weak_partial in their place, or remove them when they are done with"
        ),
    ),
    "default": (
        "growth",
        (
            "a default argument is one object for all calls: write None as the default and make the object in the function, or bound it"
            " (safemem.LRUCache(maxsize=...))"
        ),
    ),
    "function attribute": (
        "growth",
        "an attribute of a function lives as long as its module: use safemem.cached(maxsize=...) or a safemem.LRUCache",
    ),
    "listener": (
        "listener",
        (
            "who subscribes is never unsubscribed: use a safemem.Signal, which holds bound methods weakly, or register a safemem.weak_callback; or keep"
            " the safemem.Connection and disconnect"
        ),
    ),
    "atexit": (
        "listener",
        (
            "an exit handler keeps what it refers to until the program ends: use safemem.finalize(obj, func, ...), which goes with the object, or"
            " atexit.unregister"
        ),
    ),
    "finalize": (
        "listener",
        (
            "the finaliser's function or arguments keep the object alive that it waits for: use safemem.finalize, which refuses that, and pass what is"
            " to be closed, not the object; or detach it"
        ),
    ),
    "interpreter callbacks": (
        "listener",
        (
            "what is registered with the interpreter stays for ever: register once, a function that looks the rest up in a safemem.WeakIdentitySet;"
            " and take back what can be taken back (codecs.unregister)"
        ),
    ),
    "handler": (
        "listener",
        (
            "each call adds a handler and none is removed: configure logging once, or remove and close it: ResourceScope().callback(logger.removeHandler,"
            " handler)"
        ),
    ),
    "logger": (
        "growth",
        "a logger lives for ever under its name: use one logger for the module, and logging.LoggerAdapter or extra= for what differs",
    ),
    "exception": (
        "frame",
        "a stored exception keeps its traceback, the frames and all their variables: store safemem.strip_traceback(error), or its text",
    ),
    "chained exception": (
        "frame",
        "an exception that is raised again grows by its context and traceback: raise a new one from None, or safemem.strip_traceback(error)",
    ),
    "suspended": (
        "frame",
        (
            "a suspended generator or coroutine keeps its frame and all its variables: close it (generator.close(), contextlib.closing), or run it to"
            " its end"
        ),
    ),
    "suspended local": (
        "frame",
        (
            "the variable of a generator or coroutine that does not end grows: bound what it collects (collections.deque(maxlen=...),"
            " safemem.LRUCache), or close the generator (contextlib.closing)"
        ),
    ),
    "frame": (
        "frame",
        "a stored frame keeps all its variables: store what is needed of it (safemem.strip_traceback for exceptions), or clear it",
    ),
    "running": (
        "frame",
        (
            "the variable of a function that never returns grows: move the body of the loop to a function of its own, or bound what it collects"
            " (collections.deque(maxlen=...), safemem.LRUCache)"
        ),
    ),
    "trace": (
        "frame",
        "a tracing or profiling function keeps what it saw: take it out in a finally block (sys.settrace(None)), and store names rather than frames",
    ),
    "thread local": (
        "thread",
        (
            "a thread of a pool never ends, and its thread-local data does not either: delete it at the end of each task, keep it in a bounded"
            " safemem.LRUCache, or use a contextvars.ContextVar and reset it"
        ),
    ),
    "context": (
        "growth",
        "what is set in a context stays there: reset the variable (variable.reset(token)), and do not collect in an object that all contexts share",
    ),
    "task": (
        "event_loop",
        (
            "the tasks are never finished or never taken out: use asyncio.TaskGroup, or remove each when it is done (task.add_done_callback(tasks.discard));"
            " safemem.WeakIdentitySet forgets them by itself"
        ),
    ),
    "thread": (
        "thread",
        "threads that were ended stay in the list, those that run never end: join them, or use an executor in a with block",
    ),
    "future": (
        "growth",
        (
            "futures are kept with their results and errors: take each out when it is done or given up, in a finally block"
            " (pending.pop(key)) or future.add_done_callback(...); concurrent.futures.as_completed drops each when its result was taken"
        ),
    ),
    "open files": (
        "file",
        "the files stay open as long as somebody holds them: with safemem.managed_file(...), or a safemem.ResourceScope",
    ),
    "open sockets": (
        "socket",
        "the sockets stay open as long as somebody holds them: with safemem.managed(...), or a safemem.ResourceScope",
    ),
    "maps": ("mmap", "the maps stay as long as somebody holds them: with safemem.managed_mmap(...), or a safemem.ResourceScope"),
    "processes": ("process", "the processes stay as long as nobody waits for them: with subprocess.Popen(...), or a safemem.ResourceScope"),
    "loops": ("event_loop", "each loop keeps its selector and its sockets: asyncio.run(...), or loop.close() in a finally block"),
    "native": (
        "native",
        (
            "code in C took a reference and never gave it back: close what wraps it (safemem.managed), run the call in a process of its own"
            " (safemem.run_isolated), and tell those who wrote it"
        ),
    ),
    "cycle": (
        "cycle",
        (
            "let the way back be weak: safemem.WeakAttr or weak_fields for the attribute, safemem.TreeNode for parents and children,"
            " safemem.Disposable to cut it when the object is closed"
        ),
    ),
    "cycle of exception": (
        "cycle",
        "the exception is in a variable of a frame in its own traceback: store safemem.strip_traceback(error), or delete the variable (del error)",
    ),
    "cycle of method": (
        "cycle",
        (
            "the object holds a method or function that refers to the object: store safemem.weak_callback(method) or safemem.weak_partial, connect it to"
            " a safemem.Signal, or safemem.WeakAttr for the way back"
        ),
    ),
    "cycle of closure": (
        "cycle",
        (
            "the function refers to itself or its owner through its closure: safemem.weak_callback, a method in place of the nested function, or pass it"
            " what it needs; safemem.WeakAttr for a way back"
        ),
    ),
    "watched": (
        "growth",
        (
            "it should be gone and is not: drop the reference that is named, or make it weak (safemem.WeakAttr, safemem.weak_callback,"
            " safemem.WeakIdentityDict)"
        ),
    ),
}

KIND_OF: Final[dict[str, str]] = {pattern: kind for pattern, (kind, _) in _PATTERNS.items()}


def fix_for(pattern: str) -> str:
    """Return what mends a leak of this pattern."""
    return _PATTERNS[pattern][1]
