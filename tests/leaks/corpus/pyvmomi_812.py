"""vmware/pyvmomi, pull request 812: a local variable refers to the exception whose traceback has the frame of that variable."""

from __future__ import annotations

KINDS = ["cycle"]
HOLDER = ["__traceback__"]
FIX = ["strip_traceback", "del"]


class Response:
    def __del__(self) -> None: ...


def _invoke() -> None:
    response = Response()
    error = RuntimeError("the answer is a fault", response is None)
    raise error


def _invoke_and_forget() -> None:
    response = Response()
    raise RuntimeError("the answer is a fault", response is None)


def leak() -> None:
    try:
        _invoke()
    except RuntimeError:
        pass


def mended() -> None:
    try:
        _invoke_and_forget()
    except RuntimeError:
        pass
