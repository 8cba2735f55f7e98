"""managed_file: a file that is replaced whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import stat
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, AnyStr, Final, Literal, Protocol, cast, overload

from safemem._compat import override
from safemem.resources.base import Ending, Resource
from safemem.resources.replacing import Replacement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType
    from typing import Self

__all__ = ["BinaryMode", "ManagedFile", "TextMode", "check_options", "managed_file", "wrapped"]

Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]
TextMode = Literal[
    "r", "w", "x", "a", "rt", "wt", "xt", "at", "r+", "w+", "x+", "a+", "r+t", "w+t", "x+t", "a+t", "rt+", "wt+", "xt+", "at+"
]
BinaryMode = Literal["rb", "wb", "xb", "ab", "r+b", "w+b", "x+b", "a+b", "rb+", "wb+", "xb+", "ab+"]


class Releasing(Protocol):
    """What is to be done when a file is closed."""

    def release(self, ending: Ending, /) -> None:
        """Do it."""


class ManagedFile(Resource, IO[AnyStr]):
    """An open file; what managed_file() returns.

    It has what other files have. Text ones also have `encoding`, `errors`, `newlines`, `buffer`, ...
    """

    __slots__ = ("_file", "_mode", "_path", "atomic")
    _file: IO[AnyStr]
    _kind = "managed_file"

    def __init__(self, path: str | bytes, file: IO[AnyStr], mode: str, held: Releasing, *, atomic: bool) -> None:
        self._path = path
        self._file = file
        self._mode = mode
        self.atomic = atomic
        super().__init__(f"{self!r}" + (", whose new content is discarded," if atomic else ""), held.release)

    def discard(self) -> None:
        """Close it and leave the target as it is; a plain file is closed."""
        self._end(Ending.FAILED)

    def __repr__(self) -> str:
        return f"<{self._kind} {self._path!r} mode={self._mode!r}>"

    # Each method is here, not handed out from the file within: a bound method must keep this object, without which the file is closed.

    @property
    @override
    def name(self) -> str:
        """The path that was given."""
        return cast("str", self._path)

    @property
    @override
    def mode(self) -> str:
        """The mode that was given."""
        return self._mode

    @property
    @override
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._file.closed

    @override
    def close(self) -> None:
        """Close the file; one that is to be replaced has its new content now. Closing it again does nothing.

        An OSError says that the target is as it was before; with `durable`, it may also say that the disk has not confirmed the new one.
        """
        super().close()

    @override
    def read(self, n: int = -1, /) -> AnyStr:
        """Read as `io` files do; so do all that follow."""
        return self._file.read(n)

    @override
    def readline(self, limit: int = -1, /) -> AnyStr:
        """Read one line."""
        return self._file.readline(limit)

    @override
    def readlines(self, hint: int = -1, /) -> list[AnyStr]:
        """Read all lines."""
        return self._file.readlines(hint)

    def readinto(self, buffer: Any, /) -> int:
        """Read bytes into a buffer."""
        return cast("int", cast("Any", self._file).readinto(buffer))

    @override
    def write(self, s: Any, /) -> int:
        """Write; return how much."""
        return self._file.write(s)

    @override
    def writelines(self, lines: Iterable[Any], /) -> None:
        """Write many."""
        self._file.writelines(lines)

    @override
    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place in the file."""
        return self._file.seek(offset, whence)

    @override
    def tell(self) -> int:
        """Return the place in the file."""
        return self._file.tell()

    @override
    def truncate(self, size: int | None = None, /) -> int:
        """Cut the file, at the place where it is if no size is given."""
        return self._file.truncate(size)

    @override
    def flush(self) -> None:
        """Write the buffers; others still see the old file."""
        self._file.flush()

    @override
    def fileno(self) -> int:
        """Return the descriptor."""
        return self._file.fileno()

    @override
    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._file.isatty()

    @override
    def readable(self) -> bool:
        """Whether it can be read."""
        return self._file.readable()

    @override
    def seekable(self) -> bool:
        """Whether it has places."""
        return self._file.seekable()

    @override
    def writable(self) -> bool:
        """Whether it can be written."""
        return self._file.writable()

    @override
    def __iter__(self) -> Iterator[AnyStr]:
        yield from self._file  # a generator: it keeps this object while it runs

    @override
    def __next__(self) -> AnyStr:
        return next(self._file)

    @override
    def __enter__(self) -> Self:
        return super().__enter__()

    @override
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        super().__exit__(kind, error, trace)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            msg = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(msg)
        return getattr(self._file, name)


class _Plain:
    """What to do with a file that is written in place, or read."""

    __slots__ = ("durable", "file")

    def __init__(self, file: IO[Any], durable: bool) -> None:
        self.file = file
        self.durable = durable

    def release(self, _ending: Ending, /) -> None:
        try:
            if self.durable and not self.file.closed:
                self.file.flush()
                os.fsync(self.file.fileno())
        finally:
            self.file.close()


# The files that are being replaced, for a forked child: it must not write what it finds in their buffers a second time.
_being_replaced: Final[dict[int, _Replacing]] = {}
_watching = False


class _Replacing:
    """What to do with a file that is to be replaced."""

    __slots__ = ("durable", "file", "raw", "replacement")

    def __init__(self, file: IO[Any], replacement: Replacement, durable: bool) -> None:
        global _watching  # noqa: PLW0603 - nothing is watched before there is something to watch for
        self.file = file
        self.raw = _raw(file)
        replacement.close = self.raw.close
        self.replacement = replacement
        self.durable = durable
        if not _watching and hasattr(os, "register_at_fork"):
            _watching = True
            os.register_at_fork(after_in_child=_forget_in_child)
        _being_replaced[id(self)] = self

    def release(self, ending: Ending, /) -> None:
        """Publish the new content if all went well; in any case leave no descriptor and no name behind."""
        try:
            if ending is not Ending.CLOSED:
                self.replacement.remove()
                return
            try:
                self._publish()
            finally:
                with suppress(OSError):  # a name that stays is for the next writer, or a sweep, to remove
                    self.replacement.remove()
        finally:
            _being_replaced.pop(id(self), None)
            self.raw.close()  # not the file: that would write its buffers, and could fail

    def _publish(self) -> None:
        if self.file.closed:
            msg = f"what is written cannot replace {self.replacement.target!r}: the file within was closed on its own"
            raise ValueError(msg)
        self.file.flush()
        self.replacement.publish(durable=self.durable)


def _forget_in_child() -> None:
    for each in list(_being_replaced.values()):
        each.raw.close()
    _being_replaced.clear()


def _raw(file: Any) -> Any:
    """Return the innermost of the files in a file; when that is closed, all are."""
    file = getattr(file, "buffer", file)
    return getattr(file, "raw", file)


@overload
def managed_file(
    path: Path,
    mode: TextMode = "r",
    *,
    atomic: bool | None = None,
    durable: bool = False,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    buffering: int = -1,
) -> ManagedFile[str]: ...
@overload
def managed_file(
    path: Path, mode: BinaryMode, *, atomic: bool | None = None, durable: bool = False, buffering: int = -1
) -> ManagedFile[bytes]: ...
@overload
def managed_file(
    path: Path,
    mode: str,
    *,
    atomic: bool | None = None,
    durable: bool = False,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    buffering: int = -1,
) -> ManagedFile[Any]: ...
def managed_file(
    path: Path,
    mode: str = "r",
    *,
    atomic: bool | None = None,
    durable: bool = False,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    buffering: int = -1,
) -> ManagedFile[Any]:
    """Open a file as `open()` does, but replace it whole or not at all if it is written anew.

    With the modes "w" and "x" others see the old file until the new one is complete: it takes the target's place in one step at the clean end of
    the block, or at `close()`. An exception in the block, `discard()`, the program's exit, its death by any signal and being dropped open
    (a `ResourceWarning` with the place of creation) leave the target as it was. Modes "r", "a" and those with "+" are plain files that get closed.

    >>> import os, tempfile
    >>> directory = tempfile.mkdtemp()
    >>> path = os.path.join(directory, "settings")
    >>> with managed_file(path, "w") as file:
    ...     _ = file.write("complete")
    >>> with managed_file(path, "w") as file:
    ...     _ = file.write("half of i")
    ...     raise OSError("cable pulled")
    Traceback (most recent call last):
    OSError: cable pulled
    >>> with managed_file(path) as file:
    ...     file.read()
    'complete'
    >>> os.remove(path)
    >>> os.rmdir(directory)  # nothing else was left there

    * The new file has the old one's permissions, owner and group (as far as the user may give files away; if not, set-user-id bits go, and another
      group may do what all may), access control list and other extended attributes. Symbolic links are followed and stay. Other hard links keep the old content. A file that may not be written is not replaced either.
    * It is written in the target's directory, which must be writable, and takes its room until then. Linux keeps it without a name: only a program
      that is killed in the very moment of replacing leaves something, `.<name>.<number>.safemem~`; elsewhere the whole time is such a moment.
      The next replacement of the same file removes it. A file in use is told from a left-over by a lock, not by its age.
    * In place of what is no regular file, such as /dev/null, nothing can be put: `atomic=None` opens it plainly, `atomic=True` is an OSError.
    * A forked child finds the file closed: what it replaces is the parent's business.
    * Threads may share it as they may any file; one of many that close it does so, the others return at once.

    Args:
        path: The file.
        mode: As for `open()`.
        atomic: Whether to replace the file whole; None: if mode is "w" or "x" without "+". True with "r" or "a" is a ValueError.
        durable: Whether to wait until the disk has it, file and directory entry: then a crash of the system leaves the old or the new one, too.
        encoding: As for `open()`; this and the next two are for text.
        errors: As for `open()`.
        newline: As for `open()`.
        buffering: As for `open()`.

    Raises:
        OSError: As `open()` does. At the end: the target could not be replaced, and is as it was. Or, with `durable` alone, it was, but the disk has
            not confirmed that: a crash may bring the old one back.
        FileExistsError: With mode "x": there is such a file, now or at the end.
        ValueError: A mode that is none, or an option that does not go with it.

    """
    name = _checked_path(path)
    check_options(mode, atomic, {"encoding": encoding, "errors": errors, "newline": newline}, buffering)
    replacement = None
    if atomic or (atomic is None and mode[0] in "wx" and "+" not in mode):
        replacement = _start(os.fsdecode(name), exclusive="x" in mode, required=bool(atomic))
    text = None if "b" in mode else io.text_encoding(encoding)
    if replacement is None:
        file: IO[Any] = open(name, mode, buffering, text, errors, newline)  # noqa: SIM115 - it is closed by its owner
        held: Releasing = _Plain(file, durable and mode[0] != "r")
    else:
        raw = io.FileIO(replacement.fd, "r+" if "+" in mode else "w")
        try:
            file = wrapped(raw, mode, buffering, None if text is None else (text, errors, newline))
        except BaseException:
            with suppress(OSError):
                replacement.remove()
            raw.close()
            raise
        held = _Replacing(file, replacement, durable)
    return ManagedFile(name, file, mode, held, atomic=replacement is not None)


managed_file.__module__ = "safemem"


def _checked_path(path: Any) -> str | bytes:
    if not isinstance(path, (str, bytes, os.PathLike)):
        msg = f"path must be str, bytes or os.PathLike, got {path!r}"
        raise TypeError(msg)
    return os.fspath(path)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def check_options(mode: Any, atomic: Any, options: dict[str, str | None], buffering: int) -> None:
    """Refuse at once what open() would refuse only after a file was made."""
    if not isinstance(mode, str):
        msg = f"mode must be a str, got {mode!r}"
        raise TypeError(msg)
    kinds = [letter for letter in mode if letter in "rwxa"]
    if len(set(mode)) != len(mode) or set(mode) - set("rwxabt+") or len(kinds) != 1 or {"b", "t"} <= set(mode):
        msg = f'mode must be one of "r", "w", "x" and "a", with "b" or "t" and "+" if need be, got {mode!r}'
        raise ValueError(msg)
    if atomic and kinds[0] in "ra":
        msg = f'atomic must not be true with mode {mode!r}: only "w" and "x" write a file anew'
        raise ValueError(msg)
    if "b" in mode:
        for option, value in options.items():
            if value is not None:
                msg = f"{option} must be None with the binary mode {mode!r}, got {value!r}"
                raise ValueError(msg)
    if buffering == 0 and "b" not in mode:
        msg = f"buffering must not be 0 with the text mode {mode!r}"
        raise ValueError(msg)


def wrapped(raw: io.FileIO, mode: str, buffering: int, text: tuple[str, str | None, str | None] | None) -> IO[Any]:
    """Put the layers on a descriptor that open() would; if it fails, open() would close the descriptor now and then."""
    if buffering == 0:
        return cast("IO[Any]", raw)
    size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
    buffered: io.BufferedRandom | io.BufferedWriter = io.BufferedRandom(raw, size) if "+" in mode else io.BufferedWriter(raw, size)
    return buffered if text is None else io.TextIOWrapper(buffered, *text, line_buffering=buffering == 1)


def _start(name: str, *, exclusive: bool, required: bool) -> Replacement | None:
    """Begin to replace a file; return None if it is of a kind that cannot be replaced and need not be."""
    if not os.path.basename(name) and not os.path.lexists(name):  # as open() has it
        number = errno.EISDIR if name else errno.ENOENT
        raise OSError(number, os.strerror(number), name)
    if exclusive:
        if os.path.lexists(name):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        return Replacement(os.path.join(os.path.realpath(os.path.dirname(name) or "."), os.path.basename(name)), exclusive=True)
    try:
        old = os.stat(name)
    except FileNotFoundError:
        old = None
    if old is not None and not stat.S_ISREG(old.st_mode):
        if stat.S_ISDIR(old.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
        if required:
            raise OSError(errno.EINVAL, "atomic must not be true for what is no regular file", name)
        return None
    if old is not None and not os.access(name, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        os.close(os.open(name, os.O_WRONLY))  # says why not
    return Replacement(os.path.realpath(name, strict=old is not None), exclusive=False)
