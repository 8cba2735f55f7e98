"""The exceptions and warnings of the package, each also a subclass of the nearest builtin."""

from __future__ import annotations

__all__ = ["ClosedError", "CycleWarning", "DeadReferenceError", "SafememError", "ValueTooLargeError"]


class SafememError(Exception):
    """Base of the package's own exceptions.

    Every subclass also derives from the nearest builtin exception, so that code which does not know safemem still catches it.

    >>> issubclass(SafememError, Exception)
    True
    """

    __module__ = "safemem"


class ValueTooLargeError(SafememError, ValueError):
    """A value whose size is larger than the whole cache; decorators and `get_or_create()` return such a value and do not keep it."""


class DeadReferenceError(SafememError, ReferenceError):
    """A weak attribute with `on_dead="raise"` was read, and the object that was assigned to it is gone."""


class ClosedError(SafememError, ValueError):
    """Something was done to an object after it was closed; a ValueError, as files raise it."""


class CycleWarning(UserWarning):
    """Something would be kept alive by what it refers to: the message names both ends.

    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as seen:
    ...     warnings.simplefilter("always")
    ...     warnings.warn("value refers to its own owner", CycleWarning, stacklevel=1)
    >>> seen[0].category.__name__
    'CycleWarning'
    """

    __module__ = "safemem"
