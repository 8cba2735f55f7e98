"""The hot protocol of a signal, in plain Python: the reference for the compiled one, and complete.

All that an emission reads is `_links`, a tuple of links in calling order that is replaced and never changed, and `_special`. An emission
takes no lock: it walks the tuple it found. A link that was switched off meanwhile has no function any more and is passed over.

A core has `_links`, `_special`, `_about` and `_owners` as attributes, `emit` and `__get__`. `_special` is None, or an object whose
`admit(signal, sender, args, kwargs)` returns the links to be called: none if the signal is muted or paused. A core calls `self._of(instance)`
when it does not find the signal of an instance, and `self._prune()` when it came across links that are not alive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from safemem.core._failures import blame, failure, remember

if TYPE_CHECKING:
    from safemem.core._links import About, Link

__all__ = ["EmissionCore"]

_read_attribute: Final = object.__getattribute__


class EmissionCore:
    """The hot protocol of a signal: `emit`, and `__get__` for signals of instances."""

    __slots__ = ("_about", "_links", "_owners", "_special")

    _about: About
    _links: tuple[Link, ...]
    _owners: Any
    _special: Any

    def __new__(cls, *_args: Any, **_options: Any) -> Self:
        self = super().__new__(cls)
        self._links = ()
        self._owners = None
        self._special = None
        return self

    # -- emitting -------------------------------------------------------------------------------------------------------------------

    def emit(self, /, *args: Any, **kwargs: Any) -> None:
        """Call every receiver of no particular sender with these arguments; what they return is not looked at.

        Every receiver is called. The Exceptions of those that fail are raised afterwards as one ExceptionGroup, each with a note that names
        the receiver and the source line that connected it. A BaseException that is no Exception is raised at once; what had failed before
        it is its `__context__`. A coroutine receiver fails with a RuntimeError: it can be called by `aemit()` and `asend()` only.
        """
        special = self._special
        errors: list[Exception] | None = None
        stale = False
        for link in self._links if special is None else special.admit(self, None, args, kwargs):
            func = link.func
            if func is None:
                stale = True
                continue
            ref = link.ref
            try:
                if ref is None:
                    func(*args, **kwargs)
                    continue
                obj = ref()
                if obj is None:
                    stale = True
                    continue
                func(obj, *args, **kwargs)
                obj = None  # a receiver lives no longer than the call because of us
            except Exception as error:  # noqa: BLE001 - raised below, with those of the others
                obj = None
                blame(error, link, self._about.title())
                if errors is None:
                    errors = [error]
                else:
                    errors.append(error)
            except BaseException as error:
                obj = None
                blame(error, link, self._about.title())
                if errors is not None:
                    remember(error, errors, self._about.title())
                    errors = None
                raise
        if stale:
            self._prune()
        if errors is not None:
            try:
                raise failure(self._about.title(), errors, None)
            finally:
                errors = None  # the tracebacks lead to this frame, which must not lead back

    # -- one for each instance ------------------------------------------------------------------------------------------------------

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        try:
            owners = self._owners
            handle = _read_attribute(instance, owners._attribute)
            if handle() is instance and handle.home is owners.home:
                return handle.owned
        except AttributeError:
            pass
        return self._of(instance)

    if TYPE_CHECKING:

        def _of(self, instance: Any) -> Any:
            """Return the signal of an instance, made now if this is its first use."""

        def _prune(self) -> None:
            """Take out the links that are not alive."""
