"""cherrypy/cherrypy, issue 1274: every start of the bus registers the same exit handler once more."""

from __future__ import annotations

import atexit

KINDS = ["listener"]
HOLDER = ["atexit"]
FIX = ["finalize", "unregister"]


def _clean_exit() -> None: ...


def leak() -> None:
    atexit.register(_clean_exit)


def mended() -> None:
    atexit.unregister(_clean_exit)
    atexit.register(_clean_exit)
