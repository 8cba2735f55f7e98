"""DataDog/datadogpy, pull request 226: every client opens a socket and none is closed."""

from __future__ import annotations

import socket

KINDS = ["socket"]
HOLDER = ["clients"]
FIX = ["managed", "with", "ResourceScope"]


class RequestClient:
    def __init__(self) -> None:
        self.session = socket.socket()


clients: list[RequestClient] = []


def leak() -> None:
    clients.append(RequestClient())


def mended() -> None:
    RequestClient().session.close()


def tidy() -> None:
    while clients:
        clients.pop().session.close()
