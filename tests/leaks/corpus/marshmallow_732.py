"""marshmallow-code/marshmallow, issue 732: a registry keeps every class that is made, those that a request makes among them."""

from __future__ import annotations

import gc
from typing import Any

KINDS = ["growth"]
HOLDER = ["_registry['MsgSchema']"]
FIX = ["WeakRegistry", "once"]

_registry: dict[str, list[type]] = {}


class SchemaMeta(type):
    def __init__(cls, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> None:
        super().__init__(name, bases, space)
        if name:
            _registry.setdefault(name, []).append(cls)


def leak() -> None:
    SchemaMeta("MsgSchema", (), {})


def mended() -> None:
    SchemaMeta("", (), {})
    gc.collect()
