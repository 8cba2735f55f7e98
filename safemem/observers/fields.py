"""Which attributes of a class are observed: its public annotated ones, found without evaluating any annotation."""

from __future__ import annotations

import re
import sys
from types import FunctionType, MemberDescriptorType, ModuleType
from typing import Annotated, Any, ClassVar, Final, get_origin

from safemem._compat import MISSING
from safemem.core._emission import About
from safemem.weak.identity import WeakIdentityDict

__all__ = ["fields_of"]

# What an annotation that is text begins with: the name of what it is, as far as that is one, with the modules it is reached by.
_HEAD: Final = re.compile(r"""[\s"']*([\w.]+)\s*(?:\[(.*))?""", re.DOTALL)
_APART: Final = {"ClassVar", "Final", "InitVar"}  # what is no field of an instance, or cannot change

# Made when first needed, as its like have a lock, and importing makes none.
_known: Final[dict[str, WeakIdentityDict[type, dict[str, About]]]] = {}


def fields_of(cls: type) -> dict[str, About]:
    """Return the fields of a class in the order of their declaration, those of its bases first, and what each is called in messages.

    A class is looked at once. No annotation is evaluated, whether it is text or not, and no descriptor asked.
    """
    known = _known.get("classes")
    if known is None:
        known = _known.setdefault("classes", WeakIdentityDict())
    fields: dict[str, About] | None = known.get(cls)
    return known.setdefault(cls, _find(cls)) if fields is None else fields


def _find(cls: type) -> dict[str, About]:
    found: dict[str, About | None] = {}
    for base in reversed(cls.__mro__):
        for name, annotation in _annotations(base).items():
            if not name.startswith("_"):
                found[name] = None if _is_apart(annotation, base) else _about(base, name)
    return {name: about for name, about in found.items() if about is not None and not _is_computed(cls, name)}


def _about(cls: type, name: str) -> About:
    about = About(None, None, replay=False)
    about.owner, about.attribute = cls.__qualname__, name
    return about


def _annotations(cls: type) -> dict[str, Any]:
    """Return the annotations that a class itself has, as they stand."""
    if sys.version_info >= (3, 14):
        import annotationlib

        # As text, for which the interpreter runs them with stand-ins for all names.
        return annotationlib.get_annotations(cls, format=annotationlib.Format.STRING)
    found: Any = vars(cls).get("__annotations__")
    return found if isinstance(found, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def _is_apart(annotation: Any, cls: type) -> bool:
    """Whether an annotation says ClassVar, Final or InitVar."""
    while not isinstance(annotation, str):
        if get_origin(annotation) is not Annotated:
            return _is_mark(get_origin(annotation) or annotation)
        annotation = annotation.__origin__
    match = _HEAD.match(annotation)
    if match is None:
        return False
    head, rest = match.groups()
    meant = _look_up(head, cls)
    if meant is Annotated or (meant is MISSING and head.rpartition(".")[2] == "Annotated"):
        return _is_apart(rest or "", cls)
    return head.rpartition(".")[2] in _APART if meant is MISSING else _is_mark(meant)


def _is_mark(meant: Any) -> bool:
    if meant is ClassVar or meant is Final:
        return True
    kind: Any = meant if isinstance(meant, type) else type(meant)
    return (kind.__module__, kind.__qualname__) == ("dataclasses", "InitVar")


def _look_up(path: str, cls: type) -> Any:
    """Return what a dotted name means in the module of a class, as far as that takes looking into modules only; else MISSING."""
    place: Any = sys.modules.get(cls.__module__)
    for name in path.split("."):
        if not isinstance(place, ModuleType):
            return MISSING
        place = vars(place).get(name, MISSING)
    return place


def _is_computed(cls: type, name: str) -> bool:
    """Whether a class has a property or another descriptor of that name, whose business the value is."""
    for base in cls.__mro__:
        if name in vars(base):
            default = vars(base)[name]
            break
    else:
        return False
    kind: Any = type(default)  # pyright: ignore[reportUnknownVariableType]
    if kind in {MemberDescriptorType, FunctionType}:
        return False
    if hasattr(kind, "__set__") or hasattr(kind, "__delete__"):
        return True
    return hasattr(kind, "__get__") and not callable(default)
