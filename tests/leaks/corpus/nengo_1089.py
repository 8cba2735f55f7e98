"""nengo/nengo, issue 1089: a parameter keeps the value of every object it was ever set on, by the object"s id."""

from __future__ import annotations

KINDS = ["growth"]
HOLDER = ["Ensemble", "size", "_keyvalues"]
FIX = ["WeakIdentityDict", "LRUCache"]


class Parameter:
    def __init__(self) -> None:
        self._keyvalues: dict[int, list[int]] = {}
        self._number = 0

    def __set__(self, instance: object, value: list[int]) -> None:
        self._number += 1
        self._keyvalues[self._number] = value


class Ensemble:
    size = Parameter()


class MendedEnsemble:
    def __init__(self) -> None:
        self.size = [1]


def leak() -> None:
    Ensemble().size = [1, 2, 3]


def mended() -> None:
    MendedEnsemble().size = [1, 2, 3]
