"""xxtea/xxtea-python, issue 5: what the C function returns is memory that nobody frees."""

from __future__ import annotations

import ctypes

KINDS = ["native"]
HOLDER = ["an extension written in C"]
FIX = ["free"]

library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
library.malloc.argtypes = [ctypes.c_size_t]
library.free.argtypes = [ctypes.c_void_p]


def encrypted() -> int:
    address: int = library.malloc(100_000)
    ctypes.memset(address, 1, 100_000)
    return address


def leak() -> None:
    encrypted()


def mended() -> None:
    library.free(encrypted())
