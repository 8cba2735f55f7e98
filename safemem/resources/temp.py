"""managed_tempfile and managed_tempdir: temporary things that are gone afterwards, and that nobody takes away before."""

from __future__ import annotations

import importlib
import io
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, AnyStr, Literal, TypeAlias, overload

from safemem._compat import override
from safemem.resources._checks import check_choice
from safemem.resources.base import Ending, Resource
from safemem.resources.files import BinaryMode, ManagedFile, TextMode, check_options, wrapped
from safemem.resources.lease import Made, check_system, made_here, make_directory, make_file, undo
from safemem.resources.sweep import sweep_once

if sys.platform != "win32":
    from safemem.resources.guardian import watch

if TYPE_CHECKING:
    Directory = str | bytes | os.PathLike[str] | os.PathLike[bytes] | None

__all__ = ["ManagedTempDir", "ManagedTempFile", "managed_tempdir", "managed_tempfile"]

Guardian: TypeAlias = Literal["auto", "off"]


class ManagedTempFile(ManagedFile[AnyStr]):
    """An open temporary file with a name; what managed_tempfile() returns. It has what other files have."""

    __slots__ = ()
    _kind = "managed_tempfile"

    @property
    def path(self) -> Path:
        """Where it is, to be opened by others as well."""
        return Path(os.fsdecode(self._path))

    def __fspath__(self) -> str:
        return os.fsdecode(self._path)

    @override
    def close(self) -> None:
        """Close and remove the file. Closing it again does nothing."""
        super().close()


class ManagedTempDir(Resource):
    """A temporary directory; what managed_tempdir() returns."""

    __slots__ = {"path": "Where it is."}

    path: Path

    def __init__(self, leased: _Leased) -> None:
        self.path = Path(leased.path)
        super().__init__(repr(self), leased.release)

    @property
    def name(self) -> str:
        """The path as a string, as TemporaryDirectory has it."""
        return os.fspath(self.path)

    @override
    def close(self) -> None:
        """Remove the directory and all that is in it. Closing it again does nothing.

        Raises:
            OSError: Something in it cannot be removed; what is left is for a sweep.

        """
        super().close()

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __repr__(self) -> str:
        return f"<managed_tempdir {os.fspath(self.path)!r}>"


class _Leased(Made):
    """A file or directory of ours, or one with a name of the user's choice in a directory of ours, whose lease is held."""

    __slots__ = ("directory", "file", "path")

    def __init__(self) -> None:
        super().__init__()
        self.directory = ""
        self.path = ""
        self.file: IO[Any] | None = None

    def release(self, _ending: Ending = Ending.CLOSED, /) -> None:
        """Remove it. A forked child that is alive has the lease, too, but it is not the owner."""
        try:
            if self.file is not None:
                self.file.close()
        finally:
            fd, self.fd = self.fd, -1  # which holds the lease, whoever else closes what
            if fd >= 0:
                try:
                    self._remove(fd)
                finally:
                    os.close(fd)

    def give_up(self) -> None:
        """Undo what was done so far; the exception that led here is the one to report."""
        if self.fd < 0:  # there is at most the name
            undo(self, self.directory)
            undo(self, self.directory, os.rmdir)
        with suppress(OSError):
            self.release()

    def _remove(self, fd: int) -> None:
        if not made_here(self.leased):
            return
        path = os.path.join(self.directory, self.leased)
        try:
            # As long as the lease is held nobody else removes it, and no other file can have got its name.
            found = os.fstat(fd)
            if not os.path.samestat(found, os.lstat(path)):
                return
            if stat.S_ISDIR(found.st_mode):
                _remove_tree(path)
            else:
                os.unlink(path)
        except FileNotFoundError:  # by the user
            pass


def _remove_tree(path: str) -> None:
    import shutil

    try:
        shutil.rmtree(path)
    except PermissionError:
        for inside, names, _ in os.walk(path):
            for each in (inside, *(os.path.join(inside, name) for name in names)):
                if not os.path.islink(each):
                    os.chmod(each, 0o700)
        shutil.rmtree(path)


@overload
def managed_tempfile(
    mode: BinaryMode = "w+b",
    *,
    suffix: str | None = None,
    prefix: str | None = None,
    dir: Directory = None,
    guardian: Guardian = "auto",
    buffering: int = -1,
) -> ManagedTempFile[bytes]: ...
@overload
def managed_tempfile(
    mode: TextMode,
    *,
    suffix: str | None = None,
    prefix: str | None = None,
    dir: Directory = None,
    guardian: Guardian = "auto",
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    buffering: int = -1,
) -> ManagedTempFile[str]: ...
@overload
def managed_tempfile(
    mode: str,
    *,
    suffix: str | None = None,
    prefix: str | None = None,
    dir: Directory = None,
    guardian: Guardian = "auto",
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    buffering: int = -1,
) -> ManagedTempFile[Any]: ...
def managed_tempfile(
    mode: str = "w+b",
    *,
    suffix: str | None = None,
    prefix: str | None = None,
    dir: Directory = None,  # noqa: A002 - as in tempfile
    guardian: Guardian = "auto",
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    buffering: int = -1,
) -> ManagedTempFile[Any]:
    """Make and open a temporary file with a name, which is removed in whatever way the program ends.

    As `tempfile.NamedTemporaryFile()`, it is removed at the end of the block, at `close()`, when dropped open, and at exit. What a program leaves
    that is killed is removed at once by its guardian, a process of its own, and without that by the next program that makes something there, or by
    `sweep()`: they all know by a lock whether anybody still uses it.

    >>> with managed_tempfile("w", suffix=".txt", encoding="ascii") as file:
    ...     _ = file.write("words")
    ...     file.flush()
    ...     file.path.read_text()
    'words'
    >>> file.path.exists()
    False

    * Being dropped open is a `ResourceWarning` with the place of creation.
    * A forked child never removes it. One that lives on when its parent was killed keeps it until it ends, too.
    * The permissions are those of mkstemp(): only this user may read and write.

    Args:
        mode: As for `open()`, "w" or "x" with what goes with it.
        suffix: What the name ends with.
        prefix: What the name begins with: then the file is alone in a directory of its own. Without one it begins with what a sweep looks for.
        dir: The directory; None for what TMPDIR says, or else `tempfile.gettempdir()`.
        guardian: "auto", or "off" for no guardian process because of this file; `SAFEMEM_GUARDIAN=off` switches it off for all.
        encoding: As for `open()`; this and the next two are for text.
        errors: As for `open()`.
        newline: As for `open()`.
        buffering: As for `open()`.

    Raises:
        OSError: As `open()`.
        NotImplementedError: The system has no `flock()` (Windows).

    """
    check_options(mode, None, {"encoding": encoding, "errors": errors, "newline": newline}, buffering)
    if "r" in mode or "a" in mode:
        msg = f'mode must be "w" or "x" with what goes with it, got {mode!r}: there is nothing in a new file'
        raise ValueError(msg)
    text = None if "b" in mode else (io.text_encoding(encoding), errors, newline)
    leased = _Leased()
    try:
        _make(leased, suffix, prefix, dir, guardian, directory=False)
        flags = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
        leased.file = raw = io.FileIO(leased.path, "r+" if "+" in mode else "w", opener=lambda path, _: os.open(path, flags))  # pyright: ignore[reportAttributeAccessIssue]
        leased.file = file = wrapped(raw, mode, buffering, text)
        return ManagedTempFile(leased.path, file, mode, leased, atomic=False)
    except BaseException:  # also one that a signal raised, at any of the steps
        leased.give_up()
        raise


def managed_tempdir(
    *,
    suffix: str | None = None,
    prefix: str | None = None,
    dir: Directory = None,  # noqa: A002 - as in tempfile
    guardian: Guardian = "auto",
) -> ManagedTempDir:
    """Make a temporary directory, which is removed with all that is in it; when and how is said at `managed_tempfile()`.

    >>> with managed_tempdir() as directory:
    ...     _ = (directory.path / "file").write_text("words")
    ...     os.listdir(directory)
    ['file']
    >>> directory.path.exists()
    False

    Args:
        suffix: What the name ends with.
        prefix: What the name begins with: then it is in a directory of its own.
        dir: Where; None for what TMPDIR says, or else `tempfile.gettempdir()`.
        guardian: As for `managed_tempfile()`.

    Raises:
        OSError: As `os.mkdir()`.
        NotImplementedError: The system has no `flock()` (Windows).

    """
    leased = _Leased()
    try:
        _make(leased, suffix, prefix, dir, guardian, directory=True)
        return ManagedTempDir(leased)
    except BaseException:  # as above
        leased.give_up()
        raise


managed_tempfile.__module__ = "safemem"
managed_tempdir.__module__ = "safemem"


def _make(leased: _Leased, suffix: Any, prefix: Any, where: Any, guardian: Any, *, directory: bool) -> None:
    """Make a file or directory; what dead programs left in the same place is removed, once a process."""
    tail, head = _part("suffix", suffix), _part("prefix", prefix)
    check_choice("guardian", guardian, ("auto", "off"))
    check_system("managed_tempdir()" if directory else "managed_tempfile()")
    if directory or head:
        importlib.import_module("shutil")  # what removes it may be called by the collector, in the middle of somebody's import of just that
    place = _place(where)
    sweep_once(place)
    if sys.platform != "win32" and guardian == "auto":
        watch(place)
    leased.directory = place
    if head:
        make_directory(leased, place)
        leased.path = _named(os.path.join(place, leased.leased), head, tail, directory=directory)
        return
    if tail[:1].isalnum():  # where the name that a sweep knows must end
        tail = f"-{tail}"
    if directory:
        make_directory(leased, place, tail=tail)
    else:
        make_file(leased, place, tail=tail)
    leased.path = os.path.join(place, leased.leased)


def _named(place: str, head: str, tail: str, *, directory: bool) -> str:
    """Make it in a directory of its own, where any name will do."""
    path = os.path.join(place, f"{head}{os.urandom(4).hex()}{tail}")
    if directory:
        os.mkdir(path, 0o700)
    else:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600))
    return path


def _part(name: str, given: Any) -> str:
    if given is None:
        return ""
    if not isinstance(given, str):
        msg = f"{name} must be a str or None, got {given!r}"
        raise TypeError(msg)
    if "/" in given or os.sep in given or "\0" in given:
        msg = f"{name} must not contain a directory separator or NUL, got {given!r}"
        raise ValueError(msg)
    return given


def _place(where: Any) -> str:
    if where is None:
        where = os.environ.get("TMPDIR")  # tempfile looks only once
        if not where or not os.access(where, os.W_OK | os.X_OK) or not os.path.isdir(where):
            import tempfile

            where = tempfile.gettempdir()
    if not isinstance(where, (str, bytes, os.PathLike)):
        msg = f"dir must be a path or None, got {where!r}"
        raise TypeError(msg)
    return os.path.realpath(os.fsdecode(where))  # pyright: ignore[reportUnknownArgumentType]
