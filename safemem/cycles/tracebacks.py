"""strip_traceback: an exception that can be kept, as its text and without the frames it went through."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeVar

__all__ = ["safe_text", "strip_traceback"]

E = TypeVar("E", bound=BaseException)

_TEXT: Final = "formatted_traceback"

# What a class of the user's overrides is not asked: these are the interpreter's own.
_read_cause: Final[Any] = vars(BaseException)["__cause__"].__get__
_write_cause: Final[Any] = vars(BaseException)["__cause__"].__set__
_read_context: Final[Any] = vars(BaseException)["__context__"].__get__
_write_context: Final[Any] = vars(BaseException)["__context__"].__set__
_read_suppress: Final[Any] = vars(BaseException)["__suppress_context__"].__get__
_write_suppress: Final[Any] = vars(BaseException)["__suppress_context__"].__set__
_read_traceback: Final[Any] = vars(BaseException)["__traceback__"].__get__
_read_members: Final[Any] = vars(BaseExceptionGroup)["exceptions"].__get__
_forget_object: Final[Any] = vars(AttributeError)["obj"].__delete__


def strip_traceback(exc: E) -> E:
    """Let go of the frames of an exception, keep its text in `exc.formatted_traceback`, and return it.

    A stored exception keeps its traceback, that keeps the frames, and those keep every local variable: `self.error = error` is a cycle
    through the frame that did it. This lets go of the tracebacks of the exception and of all it leads to by `__cause__`, `__context__`
    and the members of groups. Type, arguments, notes, causes, contexts and members stay.

    * `formatted_traceback` is a str, what `traceback.format_exception()` says at that moment, causes, notes and groups included. Only the
      exception that was passed gets one. It is there in a copy or pickle too.
    * A second call keeps the text, unless the exception was raised again in between: then it is that of the last time.
    * A circle of causes, contexts and members (`raise group.exceptions[0]` makes one) is cut at one cause or context, so that nothing is
      left for the collector; the text is taken before that. An `AttributeError` also lets go of its `obj`.
    * What the arguments or attributes of the exception refer to is kept: an exception that was given `self` still has it.
    * If `traceback` cannot format it (an attribute that raises, thousands of nested groups), the text is that of each exception by itself.
      A class that has a `formatted_traceback` of its own which cannot be assigned keeps that.

    TypeError for anything but an exception. Takes about as long as printing the traceback. Do it as the last thing in the `except` block:
    an exception that is raised again collects frames again.

    >>> class Job:
    ...     error = None
    ...
    ...     def run(self):
    ...         try:
    ...             1 / 0
    ...         except ZeroDivisionError as error:
    ...             self.error = strip_traceback(error)
    >>> job = Job()
    >>> job.run()
    >>> job.error, job.error.__traceback__
    (ZeroDivisionError('division by zero'), None)
    >>> print(job.error.formatted_traceback)
    Traceback (most recent call last):
      ...
    ZeroDivisionError: division by zero
    <BLANKLINE>
    """
    _check(exc)
    graph = _explore(exc)
    try:
        if _read_traceback(exc) is not None or not isinstance(_values(exc).get(_TEXT), str):
            _keep_text(exc, _format(exc, graph.members))
    finally:
        for edge in graph.circular:
            _cut(edge)
        for member in graph.members:
            BaseException.with_traceback(member, None)
            if issubclass(type(member), AttributeError):
                _forget_object(member)
    return exc


strip_traceback.__module__ = "safemem"


def _check(exc: object) -> None:
    if not isinstance(exc, BaseException):
        msg = f"exc must be an exception, got {exc!r}"
        raise TypeError(msg)


class _Edge(NamedTuple):
    """What leads from one exception to another: its cause, its context, or that it is a group."""

    start: BaseException
    kind: str
    end: BaseException


class _Graph(NamedTuple):
    """All exceptions that one leads to, and edges without which there is no circle among them."""

    members: list[BaseException]
    circular: list[_Edge]


def _edges(exc: BaseException) -> list[_Edge]:
    edges = [_Edge(exc, kind, end) for kind, end in (("cause", _read_cause(exc)), ("context", _read_context(exc))) if end is not None]
    if issubclass(type(exc), BaseExceptionGroup):  # the other way asks the object for its `__class__`, which may be code of its own
        edges += [_Edge(exc, "member", end) for end in _read_members(exc)]
    return edges


def _explore(exc: BaseException) -> _Graph:
    """Walk the graph depth first, with a stack of its own: chains may be longer than any recursion."""
    members, circular = [exc], list[_Edge]()
    seen, open_ = {id(exc)}, {id(exc)}
    path: list[_Edge] = []  # from `exc` to where the walk is
    stack = [_edges(exc)]
    while stack:
        if not stack[-1]:
            stack.pop()
            open_.discard(id(path.pop().end) if path else id(exc))
            continue
        edge = stack[-1].pop()
        if id(edge.end) in open_:
            circular.append(_weakest(edge, path))
        elif id(edge.end) not in seen:
            seen.add(id(edge.end))
            open_.add(id(edge.end))
            members.append(edge.end)
            path.append(edge)
            stack.append(_edges(edge.end))
    return _Graph(members, circular)


def _weakest(last: _Edge, path: list[_Edge]) -> _Edge:
    """Return an edge of the circle that `last` closes which can be cut; a group has its members for ever, and is younger than they are."""
    if last.kind != "member":
        return last
    return next(edge for edge in reversed(path) if edge.kind != "member")


def _cut(edge: _Edge) -> None:
    if edge.kind == "cause":
        suppress = _read_suppress(edge.start)
        _write_cause(edge.start, None)
        _write_suppress(edge.start, suppress)
    else:
        _write_context(edge.start, None)


def _values(exc: BaseException) -> dict[str, Any]:
    return object.__getattribute__(exc, "__dict__")  # type: ignore[no-any-return]


def _keep_text(exc: BaseException, text: str) -> None:
    try:
        object.__setattr__(exc, _TEXT, text)  # a frozen class refuses what goes by its own __setattr__
    except Exception:  # noqa: BLE001, S110 - a descriptor of the user's under that name, which may raise anything
        pass


def _format(exc: BaseException, members: list[BaseException]) -> str:
    try:
        import traceback

        return "".join(traceback.format_exception(exc))
    except Exception:  # noqa: BLE001 - code of the user's ran, and no error of it may keep the frames
        try:
            return "\n".join(_format_alone(member) for member in members)
        except Exception:  # noqa: BLE001 - at the end of the stack, or of the memory
            return f"{type(exc).__qualname__}\n"


def _format_alone(exc: BaseException) -> str:
    """Say what one exception is, by means that no code of the user's can make fail."""
    import traceback

    cls = type(exc)
    name = cls.__qualname__ if cls.__module__ in {"builtins", "__main__"} else f"{cls.__module__}.{cls.__qualname__}"
    stack = traceback.extract_tb(_read_traceback(exc))
    head = ["Traceback (most recent call last):\n", *stack.format()] if stack else []
    notes = _values(exc).get("__notes__")
    lines = list(map(safe_text, list[object](notes))) if type(notes) is list else []  # pyright: ignore[reportUnknownArgumentType]
    return "".join([*head, f"{name}: {safe_text(exc)}\n", *(f"{line}\n" for line in lines)])


def safe_text(obj: object) -> str:
    """Return what `str()` does, whatever that does."""
    try:
        return str(obj)
    except Exception:  # noqa: BLE001 - as above
        return f"<{type(obj).__name__} whose str() failed>"
