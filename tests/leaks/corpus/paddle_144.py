"""PaddleHQ/paddle-python-sdk, issue 144: every client adds a NullHandler to the same logger."""

from __future__ import annotations

import logging

KINDS = ["listener"]
HOLDER = ["null_logger", "handlers"]
FIX = ["removeHandler", "once", "ResourceScope"]


def leak() -> None:
    logging.getLogger("null_logger").addHandler(logging.NullHandler())


def mended() -> None:
    logger = logging.getLogger("mended_null_logger")
    if not logger.hasHandlers():
        logger.addHandler(logging.NullHandler())
