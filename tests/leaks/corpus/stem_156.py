"""torproject/stem, pull request 156: a cached exception that is raised again and again gets a longer traceback each time."""

from __future__ import annotations

KINDS = ["frame"]
HOLDER = ["_failure"]
FIX = ["strip_traceback"]


class Controller:
    def __init__(self) -> None:
        self._failure = ValueError("address unknown")
        self._text = "address unknown"

    def get_info(self) -> None:
        raise self._failure

    def get_info_anew(self) -> None:
        raise ValueError(self._text)


controller = Controller()


def leak() -> None:
    try:
        controller.get_info()
    except ValueError:
        pass


def mended() -> None:
    try:
        controller.get_info_anew()
    except ValueError:
        pass
