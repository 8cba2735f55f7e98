"""What becomes of the exceptions of receivers: each gets a note that names the receiver, and all are raised as one group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from safemem.core._emission import LinkCore

__all__ = ["blame", "failure", "remember"]

E = Any


def blame(error: BaseException, link: LinkCore, name: str, called: Any) -> None:
    """Note on an exception whose it is; an exception that comes again has the note already.

    `called` is what the link had called, which may have ended its connection since.
    """
    note = f"raised by {link.describe(called)}, a receiver of {name}"
    try:
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)
    except Exception:  # noqa: BLE001, S110 - it takes no notes, and is raised all the same, with those of the others
        pass


def failure(name: str, errors: list[Exception], results: list[Any] | None) -> ExceptionGroup[Exception]:
    """Return the group to be raised after an emission, with what the other receivers returned as `results` if that was asked for."""
    group = ExceptionGroup(f"{len(errors)} receiver{'s' if len(errors) > 1 else ''} of {name} failed", errors)
    if results is not None:
        group.results = results  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
    return group


def remember(error: BaseException, errors: list[Exception], name: str) -> None:
    """Chain what had failed before to what is raised at once and ends the emission."""
    last = error
    seen = {id(error)}
    while last.__context__ is not None and id(last.__context__) not in seen:
        last = last.__context__
        seen.add(id(last))
    if seen.isdisjoint(map(id, errors)):  # else the chain would lead back to itself
        last.__context__ = failure(name, errors, None)
