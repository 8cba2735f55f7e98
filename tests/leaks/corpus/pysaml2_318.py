"""IdentityPython/pysaml2, pull request 318: programs are started and never waited for."""

from __future__ import annotations

import subprocess

KINDS = ["process"]
HOLDER = ["started"]
FIX = ["with", "wait", "ResourceScope", "managed"]


started: list[subprocess.Popen[bytes]] = []


def _xmlsec() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "100"], stdout=subprocess.DEVNULL)


def leak() -> None:
    started.append(_xmlsec())


def mended() -> None:
    with subprocess.Popen(["true"], stdout=subprocess.DEVNULL):
        pass


def tidy() -> None:
    while started:
        process = started.pop()
        process.kill()
        process.wait()
