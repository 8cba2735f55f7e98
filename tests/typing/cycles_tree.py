"""What a type checker sees of trees, disposables and the proof of no cycles. Checked by mypy and pyright, not executed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar, assert_type

from safemem import Disposable, TreeNode, no_cycles

T = TypeVar("T")


class Folder(TreeNode):
    """A plain class."""

    def __init__(self, name: str) -> None:
        self.name = name


class File(Folder):
    """A kind of node that goes below another kind."""


@dataclass(slots=True)
class Item(TreeNode, Generic[T]):
    """A generic dataclass."""

    value: T


class Base:
    """Something with a lay-out of its own."""

    __slots__ = ("number",)


class Mixed(Base, TreeNode, Disposable):
    """Bases of which one has slots."""

    __slots__ = ("name",)


class Both(TreeNode, Disposable):
    """Two bases."""


def trees(folder: Folder, file: File, item: Item[int]) -> None:
    assert_type(folder.parent, Folder | None)
    assert_type(folder.children, tuple[Folder, ...])
    assert_type(folder.siblings, tuple[Folder, ...])
    assert_type(folder.root, Folder)
    assert_type(folder.path, tuple[Folder, ...])
    assert_type(folder.ancestors(), Iterator[Folder])
    assert_type(folder.walk(), Iterator[Folder])
    assert_type(folder.walk("level"), Iterator[Folder])
    assert_type(folder.leaves(), Iterator[Folder])
    assert_type(folder.detach(), Folder)
    assert_type(folder.depth, int)
    assert_type(folder.height, int)
    assert_type(folder.index(file), int)
    assert_type(file.parent, File | None)
    assert_type(item.parent, Item[int] | None)
    assert_type(item.children[0].value, int)
    folder.append(file)
    folder.insert(0, file)
    folder.extend([file, folder])
    folder.parent = None
    folder.parent = file
    folder.parent = "x"  # type: ignore[assignment] # pyright: ignore[reportAttributeAccessIssue]
    folder.append("x")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    folder.children = ()  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]
    folder.walk("in")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    Folder()  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]


def anchors(folder: Folder) -> None:
    with folder.anchored() as anchor:
        assert_type(anchor.node, Folder)
        assert_type(anchor.root, Folder)


class Service(Disposable):
    """Something to be closed."""

    clear_on_close = ("peer",)

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = self.own(open(name))  # noqa: PTH123
        self.own(self.stop)
        self.own(lambda: print(name))

    def stop(self) -> None:
        self._check_open()

    def _dispose(self) -> None:
        super()._dispose()


async def disposables(service: Service, both: Both) -> None:
    with service as entered:
        assert_type(entered, Service)
    async with service as entered:
        assert_type(entered, Service)
    assert_type(service.closed, bool)
    assert_type(service.own(both), Both)
    assert_type(service.disown(both), Both)
    assert_type(await service.aclose(), None)
    assert_type(both.parent, Both | None)
    Service(5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


@no_cycles
def plain(number: int) -> str:
    return str(number)


@no_cycles(ignore=Folder, limit=3)
async def later(number: int) -> str:
    return str(number)


async def watched() -> None:
    with no_cycles():
        assert_type(plain(1), str)
    assert_type(await later(1), str)
    plain("x")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
