"""TreeNode: trees whose nodes own their children and know their parent, without a reference cycle."""

from __future__ import annotations

from operator import index as to_index
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from safemem.core._kinwords import describe, no_node
from safemem.core.trees import NATIVE, TreeCore, adopt, adopt_all, children_of, leave, lineage, make_room, parent_of, set_parent
from safemem.cycles import copies, traversal
from safemem.cycles.anchor import Anchor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self, SupportsIndex

__all__ = ["TreeNode"]


class TreeNode(TreeCore):
    """A node of a tree that owns its children and has its parent by a weak reference.

    Dropping the root frees the whole tree at once, by reference count alone.

    A base class or mixin; there is no `__init__` to call. It goes with `__slots__`, dataclasses, attrs, ABCs and `Generic`, and with any
    `__eq__` and `__hash__`: nodes are told apart by identity. Nothing is recursive, so a chain of 100,000 nodes is as good as any tree.

    A child does not keep its parent: when the last one who holds the root lets go of it, `parent` of a child that is still held reads None,
    and that child is a root. Hold `node.anchored()` where a part must keep the whole tree.

    A node has one parent at most; giving it another moves it, in a single step that other threads see whole: it is never in two places nor
    in none. A change that would close a circle raises ValueError and changes nothing. It takes the time to find a child among its siblings,
    and a node with children among its ancestors; no code of a node runs meanwhile, and other changes wait for so long. A forked child may go
    on with the trees it inherits.

    `copy.copy` gives a node of its own, without parent and children; `copy.deepcopy` and pickling give the node and all below it, without
    what is above, and link the copies to each other.

    A class with `__slots__` can be weakly referenced without saying so, and needs no `__dict__`. If its nodes have attributes that refer to
    nodes above them, declare one slot more, `_safemem_tree`, which lets the garbage collector find such circles on the pure core, and on the
    compiled one where TreeNode is not the first base.

    >>> class Folder(TreeNode):
    ...     def __init__(self, name):
    ...         self.name = name
    >>> home, docs = Folder("home"), Folder("docs")
    >>> home.append(docs)
    >>> docs.append(Folder("letters"))
    >>> [folder.name for folder in home.walk()]
    ['home', 'docs', 'letters']
    >>> docs.parent is home, docs.depth, home.height
    (True, 1, 2)
    >>> docs.append(home)
    Traceback (most recent call last):
    ...
    ValueError: a child of <Folder object at 0x...> must not be an ancestor of it, got <Folder object at 0x...>
    >>> del home
    >>> docs.parent is None
    True
    """

    __module__ = "safemem"
    if TYPE_CHECKING:
        __slots__ = ()  # what else is in them takes no room: a class may have another base with slots besides
    else:
        __slots__ = ("__weakref__",)

    _safemem_tree: ClassVar[Any] = False  # the record; None where there is a place for it, False where there is none

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if cls._safemem_tree is None or cls._safemem_tree is False:  # else a slot of that name
            cls._safemem_tree = None if cls.__dictoffset__ else False
        make_room(cls)  # before anybody can make a node
        super().__init_subclass__(**kwargs)

    # -- above ------------------------------------------------------------------------------------------------------------------------------

    @property
    def parent(self) -> Self | None:
        """The node above, or None for a root; assigning attaches as the last child there, assigning None detaches.

        >>> top, node = TreeNode(), TreeNode()
        >>> node.parent = top
        >>> top.children == (node,)
        True
        """
        return parent_of(self)  # type: ignore[no-any-return]

    @parent.setter
    def parent(self, parent: Self | None) -> None:
        set_parent(self, parent)

    @property
    def root(self) -> Self:
        """The uppermost node, which is the node itself if it has no parent."""
        return lineage(self)[-1]  # type: ignore[no-any-return]

    @property
    def path(self) -> tuple[Self, ...]:
        """The nodes from the root to this one, both included.

        >>> top, node = TreeNode(), TreeNode()
        >>> top.append(node)
        >>> node.path == (top, node)
        True
        """
        return tuple(lineage(self)[::-1])

    def ancestors(self) -> Iterator[Self]:
        """Return an iterator over the nodes above, the parent first and the root last, as they are now."""
        return iter(lineage(self)[1:])

    @property
    def depth(self) -> int:
        """How many nodes are above: 0 for a root."""
        return len(lineage(self)) - 1

    # -- below ------------------------------------------------------------------------------------------------------------------------------

    @property
    def children(self) -> tuple[Self, ...]:
        """The children as they are now, in their order."""
        return children_of(self)

    @property
    def siblings(self) -> tuple[Self, ...]:
        """The other children of the parent; none for a root."""
        parent = parent_of(self)
        return () if parent is None else tuple(child for child in children_of(parent) if child is not self)

    @property
    def height(self) -> int:
        """How many levels are below: 0 for a node without children. Takes time in proportion to the number of nodes below."""
        return traversal.height(self)

    def walk(self, order: Literal["pre", "post", "level"] = "pre") -> Iterator[Self]:
        """Return an iterator over the node and all below it, which survives any change of the tree.

        Args:
            order: "pre": each node before its children; "post": after them; "level": one level after the other.

        The children of a node are looked at once, when the walk gets there: after the node itself was handed out, but for "post". A child
        that has left by the time its turn comes is skipped, with all below it; one that has come since is not met there.

        >>> class Item(TreeNode):
        ...     def __init__(self, name, *children):
        ...         self.name = name
        ...         self.extend(children)
        >>> tree = Item("a", Item("b", Item("c")), Item("d"))
        >>> for order in "pre", "post", "level":
        ...     print("".join(item.name for item in tree.walk(order)))
        abcd
        cbda
        abdc
        """
        return traversal.walk(self, order)

    def leaves(self) -> Iterator[Self]:
        """Return an iterator over the nodes without children, from the left to the right; the node itself if it has none."""
        return (node for node in self.walk() if not node.children)

    # -- changes ----------------------------------------------------------------------------------------------------------------------------

    if TYPE_CHECKING:

        def append(self, child: TreeNode) -> None:
            """Make a node the last child, wherever it was before.

            ValueError if it is this node or one of its ancestors, TypeError if it is no node.
            """

    def extend(self, children: Iterable[TreeNode]) -> None:
        """Make nodes the last children, in this order; what must not be a child is found before any of them moves.

        Takes time in proportion to the number of nodes and of their siblings; the pure core is slower where many leave another parent.
        Children of this node move too, so `node.extend(sorted(node.children, key=...))` sorts them.

        >>> top, first, second = TreeNode(), TreeNode(), TreeNode()
        >>> top.extend([first, second])
        >>> top.extend(reversed(top.children))
        >>> top.children == (second, first)
        True
        """
        adopt_all(self, children)

    def insert(self, index: SupportsIndex, child: TreeNode) -> None:
        """Make a node a child at a place, wherever it was before; the index counts the other children, and means what it means to a list."""
        try:
            place = to_index(index)
        except TypeError:
            msg = f"index must be an int, got {index!r}"
            raise TypeError(msg) from None
        _check_node("child", child)
        adopt(self, child, place)

    def remove(self, child: TreeNode) -> None:
        """Take a child out; ValueError if it is none of this node's."""
        _check_node("child", child)
        if not leave(child, self):
            raise _not_a_child(self, child)

    def detach(self) -> Self:
        """Leave the parent, with everything below; return the node. Nothing happens to a root."""
        leave(self)
        return self

    def clear(self) -> None:
        """Take out all children."""
        for child in reversed(children_of(self)):
            leave(child, self)

    def index(self, child: TreeNode) -> int:
        """Return the place of a child, found by identity; ValueError if it is none of this node's."""
        _check_node("child", child)
        for place, other in enumerate(children_of(self)):
            if other is child:
                return place
        raise _not_a_child(self, child)

    # -- the whole --------------------------------------------------------------------------------------------------------------------------

    def anchored(self) -> Anchor[Self]:
        """Return a handle that keeps the whole tree alive for as long as it is held, or for a `with` block.

        >>> def find():
        ...     top, node = TreeNode(), TreeNode()
        ...     top.append(node)
        ...     return node.anchored()
        >>> anchor = find()
        >>> anchor.node.parent is anchor.root
        True
        """
        return Anchor(self, self.root)

    def __copy__(self) -> Self:
        return copies.shallow(self)  # type: ignore[no-any-return]

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return copies.deep(self, memo)  # type: ignore[no-any-return]

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> Any:
        return copies.with_all_below(self) if children_of(self) else copies.bare(self, protocol)

    if NATIVE and not TYPE_CHECKING:  # straight into the core
        parent = property(parent_of, set_parent, doc=parent.__doc__)
        children = property(children_of, doc=children.__doc__)


make_room(TreeNode)
copies.base = TreeNode


def _check_node(name: str, node: object) -> None:
    if not isinstance(node, TreeNode):
        no_node(name, node)


def _not_a_child(node: object, child: object) -> ValueError:
    return ValueError(f"child must be one of {describe(node)}, got {describe(child)}")
