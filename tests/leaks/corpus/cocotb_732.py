"""cocotb/cocotb, issue 732: a function in C takes a reference to what it is given and never gives it back."""

from __future__ import annotations

import ctypes

KINDS = ["native"]
HOLDER = ["a reference that no Python object has"]
FIX = ["those who wrote it"]


class Trigger:
    def __init__(self) -> None:
        self.arguments = [0] * 10


def leak() -> None:
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(Trigger()))


def mended() -> None:
    trigger = ctypes.py_object(Trigger())
    ctypes.pythonapi.Py_IncRef(trigger)
    ctypes.pythonapi.Py_DecRef(trigger)
