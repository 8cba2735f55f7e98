"""What `sizeof` knows of types that it does not import: arrays, tables and images keep their bytes where the collector sees no objects.

Types are known by name, so that nothing is imported for them. What two of them share, such as the buffer under two views, is counted once.
"""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any, Final

from safemem._graph import class_of, mro_of, namespace_of
from safemem.memory.looks import draw

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from safemem.memory.looks import Found, Look

    Blocks: TypeAlias = list[tuple[int, int]]

__all__ = ["FOREIGN", "PROGRAM"]

# What an object may refer to, and what is nevertheless no part of it: it belongs to the program, and would be there without the object.
PROGRAM: Final[dict[str, bool]] = dict.fromkeys(
    (
        "asyncio.AbstractEventLoop",
        "concurrent.futures.Executor",
        "enum.Enum",
        "logging.Handler",
        "logging.Logger",
        "threading.Thread",
        "zoneinfo.ZoneInfo",
    ),
    True,
)

_FRAME: Final = 2000  # about what a data frame takes without its columns and labels
_FEW: Final = 32  # so many parts of a table are looked at one by one


def _look_into_ndarray(obj: Any, room: int) -> Found:
    """Look at the array that owns the memory, and at the objects in it, if it is one of objects."""
    kind = sys.modules["numpy"].ndarray
    size: int = kind.__sizeof__(obj)
    found = gc.get_referents(obj)  # attributes of a subclass
    base = kind.base.__get__(obj)
    if base is not None:
        return size, [*found, base], ()
    if not kind.dtype.__get__(obj).hasobject or kind.dtype.__get__(obj).names:
        return size, found, ()
    flat = kind.ravel(kind.view(obj, kind), "K")
    entries = len(flat)
    if entries <= room:
        return size, [*found, *flat.tolist()], ()
    return size, found, [(entries / room, draw(lambda piece: flat[piece].tolist(), entries, room))]


def _look_into_frame(obj: Any, room: int) -> Found:
    """Look at the columns and the labels, past the many small objects between, unless there is room for everything."""
    manager: Any = getattr(obj, "_mgr", None)
    blocks = getattr(manager, "blocks", None)
    if room == sys.maxsize or blocks is None:
        return object.__sizeof__(obj), gc.get_referents(obj), ()
    return _FRAME, [*(block.values for block in blocks), *manager.axes], ()


def _blocks_of_arrow(obj: Any, room: int) -> Blocks:
    """Return the buffers below an array or table, in full: a slice keeps all of what it is a slice of."""
    parts = [obj]
    while parts and not hasattr(parts[0], "buffers"):
        wider = [part for each in parts for part in (each.chunks if hasattr(each, "chunks") else each.columns)]
        if len(wider) > max(_FEW, room >> 3):
            return [(-id(obj), obj.get_total_buffer_size())]
        parts = wider
    return [block for part in parts for buffer in part.buffers() if buffer is not None for block in _block_of_buffer(buffer, room)]


def _block_of_buffer(obj: Any, _room: int) -> Blocks:
    while obj.parent is not None:
        obj = obj.parent
    return [(obj.address, obj.size)]


def _blocks_of_polars(obj: Any, _room: int) -> Blocks:
    return [(-id(obj), int(obj.estimated_size()))]


def _blocks_of_tensor(obj: Any, room: int) -> Blocks:
    """Return the storage; that of another device than the processor is not in this memory. A sparse tensor has parts with one each."""
    if obj.device.type != "cpu":
        return []
    try:
        storage = obj.untyped_storage()
    except NotImplementedError:
        parts = _SPARSE.get(str(obj.layout))
        if parts is None:  # in a form of somebody else's
            return [(-id(obj), obj.numel() * obj.element_size())]
        return [block for part in parts for block in _blocks_of_tensor(getattr(obj, part)(), room)]
    return [(storage.data_ptr(), storage.nbytes())]


_SPARSE: Final = {
    "torch.sparse_coo": ("_indices", "_values"),
    **dict.fromkeys(("torch.sparse_csr", "torch.sparse_bsr"), ("crow_indices", "col_indices", "values")),
    **dict.fromkeys(("torch.sparse_csc", "torch.sparse_bsc"), ("ccol_indices", "row_indices", "values")),
}
_PIXEL: Final = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}


def _blocks_of_image(obj: Any, _room: int) -> Blocks:
    """Return the pixels, if they have been read: most modes take four bytes each, whatever the number of bands."""
    core = getattr(obj, "_im", None)
    if core is None:
        return []
    width, height = core.size
    return [(-id(core), height * (width * _PIXEL.get(obj.mode, 4) + 8))]


def _blocks_of_ctypes(obj: Any, _room: int) -> Blocks:
    """Return the memory, unless it is part of another object's or somebody else's; a few bytes are in the object itself."""
    import ctypes

    size = ctypes.sizeof(obj)
    owns = size > 16 and namespace_of(mro_of(class_of(obj))[-2])["_b_needsfree_"].__get__(obj)
    return [(ctypes.addressof(obj), size)] if owns else []


FOREIGN: Final[dict[str, tuple[Look | None, Callable[[Any, int], Blocks] | None]]] = {
    "PIL.Image.Image": (None, _blocks_of_image),
    "_ctypes._CData": (None, _blocks_of_ctypes),
    "numpy.ndarray": (_look_into_ndarray, None),
    "pandas.DataFrame": (_look_into_frame, None),
    "pandas.Series": (_look_into_frame, None),
    "polars.DataFrame": (None, _blocks_of_polars),
    "polars.Series": (None, _blocks_of_polars),
    "pyarrow.Array": (None, _blocks_of_arrow),
    "pyarrow.Buffer": (None, _block_of_buffer),
    "pyarrow.ChunkedArray": (None, _blocks_of_arrow),
    "pyarrow.RecordBatch": (None, _blocks_of_arrow),
    "pyarrow.Table": (None, _blocks_of_arrow),
    "torch.Tensor": (None, _blocks_of_tensor),
}
