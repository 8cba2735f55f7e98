"""Shared memory whose name goes away however its users end, and that nobody loses who still uses it."""

from __future__ import annotations

import os
import sys
import warnings
import weakref
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from safemem._finalize import attach as attach_finalizer
from safemem._finalize import finalize, forget, is_dropped, watch_exit
from safemem.resources import segment as segments
from safemem.resources._checks import check_choice, check_init, check_mode, check_name, check_size
from safemem.resources._place import place_of_caller
from safemem.resources.lease import check_system
from safemem.resources.sweep import sweep_once
from safemem.resources.views import Mapped

if sys.platform != "win32":
    from safemem.resources.guardian import watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from mmap import mmap

    from safemem._compat import Buffer

    Init: TypeAlias = Buffer | Callable[[memoryview], object]

__all__ = ["ManagedSharedMemory", "managed_shm"]

Policy: TypeAlias = Literal["owner", "last", "keep"]
OnViews: TypeAlias = Literal["defer", "raise"]
Guardian: TypeAlias = Literal["auto", "off"]

POLICIES: Final = ("owner", "last", "keep")
ON_VIEWS: Final = ("defer", "raise")
GUARDIAN: Final = ("auto", "off")
_USUAL: Final = ("owner", "defer", "auto")  # policy, on_views, guardian
_PRIVATE: Final = 0o600

_own: Final = globals()
_watching_forks = False


class ManagedSharedMemory(Mapped):
    """A block of shared memory, as `managed_shm()` makes it; made directly, it takes the arguments of `SharedMemory`.

    It can stand where `multiprocessing.shared_memory.SharedMemory` does. What is different: `close()` by the creator removes the name (see the
    policies of `managed_shm()`), so `unlink()` after it is not needed and does nothing; `close()` never fails because of views that are alive;
    a closed block raises ValueError instead of having None for a buffer; there is no resource tracker, and `track` means nothing.

    A pickle carries the name: who loads it attaches.

    >>> block = ManagedSharedMemory(create=True, size=10)
    >>> block.buf[:5] = b"hello"
    >>> other = ManagedSharedMemory(block.name)
    >>> bytes(other.buf[:5])
    b'hello'
    >>> other.close()
    >>> block.close()
    """

    __module__ = "safemem.resources.shm"
    __slots__ = ("_finalizer", "_name", "_on_views", "_readonly", "_segment")

    _finalizer: finalize[Any]
    _segment: segments.Segment

    def __init__(self, name: str | None = None, create: bool = False, size: int = 0, *, track: bool = True) -> None:
        del track
        if not create:
            self._attach(name, readonly=False, on_views="defer")
        elif name is not None:
            self._create(check_size(size), check_name(name, new=True))
        else:
            self._create_nameless(check_size(size))

    def _create_nameless(self, size: int) -> None:
        """Where `SharedMemory` is in use as well, take a name such as it makes."""
        theirs = sys.modules.get("multiprocessing.shared_memory")
        while True:
            name = None if theirs is None else check_name(theirs._make_filename(), new=True)
            try:
                self._create(size, name)
            except FileExistsError:
                continue
            return

    def _create(
        self,
        size: int,
        name: str | None,
        *,
        policy: str = "owner",
        init: Any = None,
        readonly: bool = False,
        mode: int = _PRIVATE,
        prealloc: bool = True,
        on_views: str = "defer",
        guardian: str = "auto",
    ) -> None:
        check_system("managed_shm()")
        _watch_forks()
        where = segments.directory()
        sweep_once(where)
        if sys.platform != "win32" and guardian == "auto" and policy != "keep":
            watch(where)
        segment = segments.Segment(where)
        try:
            mapping = segments.create(segment, size, name, policy, init, readonly=readonly, mode=mode, prealloc=prealloc)
            self._set_up(segment, mapping, size, readonly, on_views)
        except BaseException:  # also one that a signal raised, at any of the steps
            segments.abandon(segment)
            raise

    def _attach(self, name: str | None, *, readonly: bool, on_views: str) -> None:
        check_system("managed_shm()")
        if name is None:
            msg = "name must be given to attach to shared memory"
            raise ValueError(msg)
        _watch_forks()
        plain = check_name(name, new=False)
        segment = segments.Segment(segments.directory())
        try:
            mapping = segments.attach(segment, plain, readonly=readonly)
            self._set_up(segment, mapping, len(mapping), readonly, on_views)
        except BaseException:  # also one that a signal raised, at any of the steps
            segments.abandon(segment)
            raise

    def _set_up(self, segment: segments.Segment, mapping: mmap, size: int, readonly: bool, on_views: str) -> None:
        self._segment = segment
        self._name = f"/{segment.name}"  # what code that looks into a SharedMemory expects
        self._readonly = readonly
        self._on_views = on_views
        self._hold_mapping(mapping, size)
        segment.ref = weakref.ref(self)
        segment.place = place_of_caller(_own, 3)
        self._finalizer = attach_finalizer(self, _let_go, segment)

    @property
    def name(self) -> str:
        """The name to attach by; it stays readable after `close()`."""
        return self._name[1:]

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._mapping is None

    @property
    def readonly(self) -> bool:
        """Whether the memory can only be read."""
        return self._readonly

    def close(self) -> None:
        """Let go of the memory and, as the policy says, of the name; any number of times, by any thread, in any process.

        Views that are alive stay valid, and the memory is unmapped with the last of them. In a forked child this ends the child's use and
        never takes anything from the parent.

        Raises:
            BufferError: with `on_views="raise"`, that views are alive; everything is cleaned up nevertheless.
            OSError: a name could not be removed.
        """
        if not forget(self._finalizer):
            return
        viewed = False
        try:
            viewed = self._drop_mapping(self._on_views)
        finally:
            segments.end(self._segment)
        if viewed:
            msg = f"views of shared memory {self.name!r} are alive: its name is gone, its memory stays until they are"
            raise BufferError(msg)

    def unlink(self) -> None:
        """Remove the name now, whoever made it and whatever the policy; who uses the memory keeps it.

        Only needed for policy "keep" and for what others made. After a `close()` that removed the name it does nothing.

        Raises:
            FileNotFoundError: the name is gone, and it was not `close()` that removed it.
        """
        check_name(self._name, new=False)
        if not (self.closed and self._segment.removed):
            segments.remove(self._segment)

    def __reduce__(self) -> Any:
        return _attached, (type(self), self.name, self._readonly, self._on_views)

    def __repr__(self) -> str:
        state = ", closed" if self.closed else ""
        return f"{type(self).__name__}({self.name!r}, size={self.size}{state})"


def managed_shm(
    size: int | None = None,
    *,
    name: str | None = None,
    attach: bool = False,
    policy: Policy = "owner",
    init: Init | None = None,
    readonly: bool = False,
    mode: int = _PRIVATE,
    prealloc: bool = True,
    on_views: OnViews = "defer",
    guardian: Guardian = "auto",
) -> ManagedSharedMemory:
    """Make a block of shared memory, or attach to one, that is gone when it should be, in whatever way its users end.

    For `with`, `async with`, or `close()`. A block dropped open is closed, with a ResourceWarning that says where it was made; what is open at
    exit is closed. A creator that is killed leaves a name, which the guardian removes at once, and without it the next start or `sweep()`; never
    while somebody still uses it.

    Args:
        size: in bytes; may be left out if `init` is bytes. With `attach`, what the block must have at least.
        name: at most 255 bytes without `/`; without it, one is made. An orphan's name is taken over.
        attach: attach to the block of that name, made by safemem or by `SharedMemory`. Attaching never owns, never creates, never removes what
            somebody else uses; `policy`, `mode`, `prealloc` and `guardian` are the creator's affair.
        policy: when the name goes. "owner": when its creator closes it or ends; others keep what they have mapped. If the creator was killed, when
            the last user is gone. "last": when the last user closes it or ends. "keep": never, but for `unlink()`.
        init: contents that the block has before anybody can attach: bytes or another buffer, or a function that is called with a view to fill.
        readonly: only map for reading; the system then needs no more than permission to read.
        mode: the permissions, less the umask.
        prealloc: reserve the memory now, so that a full file system is an OSError here and not a SIGBUS at the first write. From 1 MiB on, so is
            a size that the memory limit of the control group (a container's) does not leave; what others take at the same time may still
            exceed that, and its enforcement kills. False for sparse use.
        on_views: at `close()` with views alive: "defer", or "raise" a BufferError after all is cleaned up.
        guardian: "auto", or "off" for no guardian process because of this block; `SAFEMEM_GUARDIAN=off` switches it off for all.

    Raises:
        FileExistsError: the name is in use.
        FileNotFoundError: there is nothing to attach to.
        OSError: no room (ENOSPC, with what is needed and free), no permission, no memory, no descriptor.
        NotImplementedError: the system has no `flock()` (Windows).

    Costs what `SharedMemory` does, and the memory at once that comes there page by page with the first writes (`prealloc`); once a process a sweep. Two descriptors a block, one from Python 3.13 on, and one more for each that is open
    at a fork, if there is one to be had. Blocks go through `fork`: the child uses its copy and owns nothing.

    >>> with managed_shm(8) as shm:
    ...     shm.buf[:3] = b"abc"
    ...     with managed_shm(name=shm.name, attach=True, readonly=True) as same:
    ...         print(bytes(same.buf[:3]), same.size)
    b'abc' 8
    >>> managed_shm(name=shm.name, attach=True)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'sm1_1000_5f0ce2b1aa_0c1d2e3f'
    """
    if (policy, on_views, guardian) != _USUAL:
        check_choice("policy", policy, POLICIES)
        check_choice("on_views", on_views, ON_VIEWS)
        check_choice("guardian", guardian, GUARDIAN)
    if mode is not _PRIVATE:
        check_mode(mode)
    block = ManagedSharedMemory.__new__(ManagedSharedMemory)
    if attach:
        _attach_checked(block, size, name, init, readonly=readonly, on_views=on_views)
        return block
    if init is not None:
        size = check_init(init, size)
    elif size is None:
        msg = "size must be given to make shared memory"
        raise TypeError(msg)
    elif readonly:
        msg = "readonly must be False to make shared memory without init, got True"
        raise ValueError(msg)
    checked = None if name is None else check_name(name, new=True)
    block._create(
        check_size(size),
        checked,
        policy=policy,
        init=init,
        readonly=readonly,
        mode=mode,
        prealloc=prealloc,
        on_views=on_views,
        guardian=guardian,
    )
    return block


def _attach_checked(block: ManagedSharedMemory, size: int | None, name: str | None, init: object, *, readonly: bool, on_views: str) -> None:
    if init is not None:
        msg = "init must not be given to attach: what is there stays"
        raise ValueError(msg)
    least = 0 if size is None else check_size(size)
    block._attach(name, readonly=readonly, on_views=on_views)
    if block.size < least:
        block.close()
        msg = f"size must be at most that of shared memory {block.name!r}, which is {block.size}, got {least}"
        raise ValueError(msg)


def _attached(cls: type[ManagedSharedMemory], name: str, readonly: bool, on_views: str) -> ManagedSharedMemory:
    """Make what a pickle stands for."""
    block = cls.__new__(cls)
    block._attach(name, readonly=readonly, on_views=on_views)
    return block


def _let_go(segment: segments.Segment) -> None:
    """Clean up after a block that died open, or at exit."""
    if segment.fd < 0:  # it was never made
        return
    dropped = segment.ref is not None and is_dropped(segment.ref)
    inherited = segment.owner not in {0, os.getpid()}
    segments.end(segment)
    if dropped and not inherited:
        file, line = segment.place
        message = f"shared memory {segment.name!r} was dropped open: close it, or use it in a with statement"
        warnings.warn_explicit(message, ResourceWarning, file, line)


def _watch_forks() -> None:
    global _watching_forks  # noqa: PLW0603 - from the first block on: importing changes nothing
    if sys.platform != "win32" and not _watching_forks:
        _watching_forks = True
        os.register_at_fork(before=segments.prepare_fork, after_in_child=_use_what_was_inherited)


def _use_what_was_inherited() -> None:
    """In a forked child: its copies are uses of its own, which end with it, and which own nothing."""
    for segment in list(segments.live.values()):
        block = None if segment.ref is None else segment.ref()
        if isinstance(block, ManagedSharedMemory):
            block._finalizer = attach_finalizer(block, _let_go, segment)
    children = sys.modules.get("multiprocessing.util")
    if children is not None:  # which is about to forget, in a child of its own, what is to be done at exit
        children.register_after_fork(finalize, _watch_exit_again)


def _watch_exit_again(_: object) -> None:
    watch_exit()


managed_shm.__module__ = "safemem"
