"""Tribler/tribler, pull request 8530: a MemoryHandler without a target never empties its buffer, whatever its capacity."""

from __future__ import annotations

import logging
import logging.handlers

KINDS = ["growth", "listener"]
HOLDER = ["endpoint.handler.buffer"]
FIX = ["deque", "take out"]


class Endpoint:
    def __init__(self, target: logging.Handler | None) -> None:
        self.handler = logging.handlers.MemoryHandler(10, target=target)
        self.logger = logging.getLogger(f"tribler{target is None}")
        self.logger.propagate = False
        self.logger.addHandler(self.handler)


endpoint = Endpoint(None)
mended_endpoint = Endpoint(logging.NullHandler())


def leak() -> None:
    endpoint.logger.warning("peer %s is gone", "a")


def mended() -> None:
    mended_endpoint.logger.warning("peer %s is gone", "a")
