"""What becomes of the exceptions of receivers: each gets a note that names the receiver, and all are raised as one group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from safemem.core._emission import LinkCore

__all__ = ["annotate", "blame", "failure", "remember"]

E = Any
_write_context: Final[Any] = vars(BaseException)["__context__"].__set__  # a frozen class refuses what goes by its own


def blame(error: BaseException, link: LinkCore, name: str, called: Any) -> None:
    """Note on an exception whose it is; an exception that comes again has the note already.

    `called` is what the link had called, which may have ended its connection since.
    """
    annotate(error, f"raised by {link.describe(called)}, a receiver of {name}")


def annotate(error: BaseException, note: str) -> None:
    """Add a note to an exception, unless it has that note already; to one of a frozen class too."""
    try:
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)
    except Exception:  # noqa: BLE001 - whatever the class says to an assignment: it is not to come in place of what was raised
        try:
            notes: list[str] = object.__getattribute__(error, "__dict__").setdefault("__notes__", [])
            if note not in notes:
                notes.append(note)
        except Exception:  # noqa: BLE001, S110 - it goes on its way without
            pass


def failure(name: str, errors: list[Exception], results: list[Any] | None) -> ExceptionGroup[Exception]:
    """Return the group to be raised after an emission, with what the other receivers returned as `results` if that was asked for."""
    group = ExceptionGroup(f"{len(errors)} receiver{'s' if len(errors) > 1 else ''} of {name} failed", errors)
    if results is not None:
        group.results = results  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
    return group


def remember(error: BaseException, errors: list[Exception], name: str) -> None:
    """Chain what had failed before to what is raised at once and ends the emission."""
    # What was handled when it was emitted is the context of them all. It stays that of the failures; else there were a circle.
    shared = {id(item) for failed in errors for item in _chain(failed)}
    own = [item for item in _chain(error) if id(item) not in shared]
    if own and own[0] is error:
        _write_context(own[-1], failure(name, errors, None))


def _chain(error: BaseException) -> list[BaseException]:
    """Return an exception and all its contexts."""
    chain = {id(error): error}
    context = error.__context__
    while context is not None and id(context) not in chain:
        chain[id(context)] = context
        context = context.__context__
    return list(chain.values())
