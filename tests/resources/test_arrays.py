"""NumPy arrays over every kind of memory: they stay valid after the end, and the memory goes with the last of them."""

from __future__ import annotations

import gc
import os
import sys

import pytest

from safemem.resources.memfd import managed_memfd
from safemem.resources.mmaps import managed_mmap
from safemem.resources.shm import managed_shm

np = pytest.importorskip("numpy")

SIZE = 1 << 20
VALUES = SIZE // 8

# The first holds an export of the memory, the second only refers to the mapping.
WAYS = {
    "frombuffer": lambda memory: np.frombuffer(memory.buf),
    "buffer": lambda memory: np.ndarray((VALUES,), "f8", buffer=memory.buf),
    "slice": lambda memory: np.frombuffer(memory.buf[8:16]),
    "ndarray": lambda memory: memory.ndarray((VALUES,), "f8") if hasattr(memory, "ndarray") else np.asarray(memory.buf).view("f8"),
}


@pytest.fixture(params=["shm", "memfd", "mmap"])
def make(request, tmp_path):
    """What makes the memory of one kind."""
    if request.param == "memfd" and sys.platform != "linux":
        pytest.skip("managed_memfd needs Linux, and says so")
    path = tmp_path / "file"
    path.write_bytes(bytes(SIZE))
    return {"shm": lambda: managed_shm(SIZE), "memfd": lambda: managed_memfd(SIZE), "mmap": lambda: managed_mmap(path, access="write")}[
        request.param
    ]


def mapped() -> int:
    """How many pieces of memory of this size are mapped with a file behind them."""
    found = 0
    with open("/proc/self/maps") as maps:
        for line in maps:
            start, end = (int(number, 16) for number in line.split(maxsplit=1)[0].split("-"))
            found += end - start == SIZE and line.split()[4] != "0"
    return found


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("end", ["close", "block", "exception", "drop"])
def test_arrays_outlive_the_memory(make, way, end):
    """An array made in any way is readable and writable after any end, and the mapping goes with it."""
    gc.collect()
    before = mapped() if os.path.exists("/proc/self/maps") else 0
    memory = make()
    array = WAYS[way](memory)
    array[:] = 7
    if end == "close":
        memory.close()
    elif end == "drop":
        with pytest.warns(ResourceWarning):
            del memory
            gc.collect()
    else:
        try:
            with memory:
                if end == "exception":
                    raise KeyError
        except KeyError:
            pass
    assert array.sum() == 7 * len(array)
    array[0] = 8
    assert array[0] == 8
    derived = array[:1]
    del array
    assert derived.sum() == 8
    if os.path.exists("/proc/self/maps"):
        assert mapped() == before + 1
        del derived
        assert mapped() == before


@pytest.mark.parametrize("way", ["frombuffer", "buffer"])
def test_an_error_of_the_users_stays(make, way):
    """Arrays that are alive when the block ends by an exception do not take its place."""
    arrays = []
    with pytest.raises(KeyError, match="mine") as seen, make() as memory:
        arrays.append(WAYS[way](memory))
        raise KeyError("mine")
    assert not hasattr(seen.value, "__notes__")
    assert arrays[0].sum() == 0
