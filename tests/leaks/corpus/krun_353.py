"""softdevteam/krun, pull request 353: a log file is opened for every run and stays open."""

from __future__ import annotations

import os
from typing import IO

KINDS = ["file"]
HOLDER = ["logs"]
FIX = ["managed_file", "ResourceScope", "with"]


logs: list[IO[str]] = []


def leak() -> None:
    logs.append(open(os.devnull, "a", encoding="utf-8"))


def mended() -> None:
    with open(os.devnull, "a", encoding="utf-8") as log:
        log.write("run")


def tidy() -> None:
    while logs:
        logs.pop().close()
