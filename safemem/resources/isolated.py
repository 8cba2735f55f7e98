"""The child of run_isolated(): it makes the call in a fresh interpreter, and says what became of it."""

from __future__ import annotations

import os
import pickle
import sys
from typing import IO, Any

from safemem.resources.shipping import unpack

if sys.platform != "win32":
    import resource

__all__ = ["ARENA", "HEADER", "START", "main"]

# Without a GIL, Python takes address space by the gigabyte, which is then there at the start and not missed by any limit: "0" forbids that.
ARENA = "MIMALLOC_ARENA_RESERVE"
HEADER = 8  # bytes before an answer that say how many follow
# What the interpreter runs: it needs the path of modules before it can find this one.
START = (
    "import sys, pickle; f = open(int(sys.argv[1]), 'rb'); sys.path[:] = pickle.load(f); "
    "from safemem.resources.isolated import main; main(f, *map(int, sys.argv[2:]))"
)


def main(request: IO[bytes], answers: int, lifeline: int) -> None:
    """Make the call that the parent asks for, and answer."""
    for fd in (answers, lifeline):
        os.set_inheritable(fd, False)  # what is started here must not hold them
    _watch(lifeline)
    with request:
        order = pickle.load(request)  # noqa: S301 - from the process that started this one
    sys.argv[:] = order["argv"]
    if order["arena"] is None:
        os.environ.pop(ARENA, None)
    answer = _answer(order)
    data = len(answer).to_bytes(HEADER, "little") + answer
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(answers, view) :]
    except BrokenPipeError:  # nobody waits for it any more
        pass
    os.close(answers)


def _watch(lifeline: int) -> None:
    """End with the parent: nobody would ever read the answer."""
    import threading

    def wait() -> None:
        os.read(lifeline, 1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True, name="safemem lifeline").start()


def _answer(order: dict[str, Any]) -> bytes:
    limits: tuple[int, int] | None = None
    try:
        if order["main"]:
            from multiprocessing import spawn

            sys.__dict__["_safemem_isolating"] = True  # a main module without a guard would start children for ever
            try:
                spawn.prepare(order["main"])
            finally:
                del sys.__dict__["_safemem_isolating"]
        func, args, kwargs = unpack(order["call"], order["files"])
        limits = _limit(order["memory_limit"])
        result = func(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001 - the parent is to hear of it, whatever it is
        _unlimit(limits)
        return _failure(error, limited=limits is not None)
    _unlimit(limits)
    try:
        return pickle.dumps(("result", result), pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # noqa: BLE001 - pickling runs code of the user's
        return pickle.dumps(("unpicklable", f"{type(result).__qualname__}: {_told(error)}"))


def _failure(error: BaseException, *, limited: bool) -> bytes:
    from traceback import format_exception

    trace = error.__traceback__
    text = "".join(format_exception(type(error), error, trace and trace.tb_next))
    if isinstance(error, MemoryError) and limited:
        return pickle.dumps(("memory", text))
    if not isinstance(error, Exception):
        return pickle.dumps(("ended", _told(error), text))
    try:
        answer = pickle.dumps(("error", error, text), pickle.HIGHEST_PROTOCOL)
        pickle.loads(answer)  # noqa: S301 - exceptions with odd constructors fail only here
    except Exception:  # noqa: BLE001 - as above
        return pickle.dumps(("lost", _told(error), text))
    return answer


def _told(error: BaseException) -> str:
    try:
        return f"{type(error).__qualname__}: {error}"
    except Exception:  # noqa: BLE001 - as above
        return type(error).__qualname__


def _limit(beyond: int | None) -> tuple[int, int] | None:
    """Allow that many bytes of address space beyond what is in use; return the limits before."""
    if sys.platform != "win32" and beyond is not None:
        with open("/proc/self/statm", "rb") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        wanted = used + beyond
        for known in (soft, hard):
            if known != resource.RLIM_INFINITY:
                wanted = min(wanted, known)
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
        return soft, hard
    return None


def _unlimit(limits: tuple[int, int] | None) -> None:
    if limits is not None and sys.platform != "win32":
        resource.setrlimit(resource.RLIMIT_AS, limits)
