"""ratt-ru/Stimela-classic, issue 662: a logger for every job, under a name of its own."""

from __future__ import annotations

import logging
from itertools import count

KINDS = ["growth"]
HOLDER = ["loggerDict"]
FIX = ["LoggerAdapter", "one logger"]


_jobs = count()


def leak() -> None:
    logging.getLogger(f"stimela.job-{next(_jobs)}").debug("begins")


def mended() -> None:
    logging.getLogger("stimela.job").debug("%d begins", next(_jobs))
