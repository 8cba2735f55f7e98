"""Arrays, tables and images: their buffers, once; the libraries themselves where they are installed, and stand-ins of the same names for the others."""

from __future__ import annotations

import ctypes
import sys

import pytest
from helpers.isolate import assert_clean, run_code

from safemem.memory.sizeof import sizeof

BOTH = pytest.mark.parametrize("exact", [False, True])


def test_nothing_is_imported():
    """Knowing of a library does not import it."""
    done = run_code("""
import sys
from safemem.memory.sizeof import sizeof
sizeof([{"a": [1000]}, object()])
print([name for name in ("numpy", "pandas", "polars", "pyarrow", "torch", "PIL", "logging", "asyncio", "enum") if name in sys.modules and name != "enum"])
""")
    assert_clean(done)
    assert done.stdout.strip() == "[]"


@BOTH
def test_ctypes(exact):
    """The memory of a buffer, in the object that owns it only."""
    buffer = ctypes.create_string_buffer(100_000)
    assert 100_000 < sizeof(buffer, exact=exact) < 100_500
    assert 100_000 < sizeof([buffer, (ctypes.c_char * 50).from_buffer(buffer, 10)], exact=exact) < 102_000
    assert sizeof(ctypes.c_int(5), exact=exact) < 500
    assert sizeof((ctypes.c_char * 50_000).from_buffer(bytearray(60_000)), exact=exact) < 63_000


@BOTH
def test_numpy(exact):
    """An array with its memory, a view with all that it keeps, two views with what they share once, objects with what they are."""
    numpy = pytest.importorskip("numpy")
    large = numpy.zeros(1_000_000)
    assert 8_000_000 < sizeof(large, exact=exact) < 8_000_300
    assert 8_000_000 < sizeof(large[:10], exact=exact) < 8_000_500
    assert 8_000_000 < sizeof([large[:10], large[5:20][1:], large], exact=exact) < 8_001_000
    assert 1_000_000 < sizeof(numpy.frombuffer(bytes(1_000_000), dtype="u1"), exact=exact) < 1_000_500
    objects = numpy.array([f"text {number}" for number in range(20_000)], dtype=object)
    assert sizeof(objects, exact=exact) == pytest.approx(sizeof(objects.tolist(), exact=True), rel=0.05)
    assert sizeof(objects.reshape(100, 200).T, exact=exact) == pytest.approx(sizeof(objects.tolist(), exact=True), rel=0.05)
    masked = numpy.ma.masked_array(numpy.zeros(10_000), mask=numpy.zeros(10_000, dtype=bool))
    assert 90_000 < sizeof(masked, exact=exact) < 93_000
    assert sizeof(numpy.zeros(1000, dtype=[("a", "i4"), ("b", "f8"), ("c", object)]), exact=exact) < 21_000
    assert sizeof(numpy.float64(1.5), exact=exact) < 100


def test_numpy_runs_no_code_of_a_subclass():
    """What a subclass has put in the place of the methods is not called."""
    numpy = pytest.importorskip("numpy")

    class Hostile(numpy.ndarray):
        def __array_finalize__(self, obj):
            if armed:
                raise SystemError

        def ravel(self, *args):
            raise SystemError

        view = reshape = tolist = __len__ = __getitem__ = ravel
        base = dtype = size = property(ravel)

    armed: list[int] = []
    found = numpy.array([str(number) for number in range(1000)], dtype=object).view(Hostile)
    armed.append(1)
    assert sizeof(found) > 8000
    assert sizeof([found], exact=True) > 50_000


@BOTH
def test_pandas(exact):
    """Columns of numbers and of text; a slice keeps what it is a slice of."""
    pandas = pytest.importorskip("pandas")
    numpy = pytest.importorskip("numpy")
    numbers = pandas.DataFrame({"a": numpy.arange(100_000), "b": numpy.ones(100_000)})
    assert sizeof(numbers, exact=exact) == pytest.approx(1_600_000, rel=0.02)
    assert sizeof(numbers[:10], exact=exact) == pytest.approx(1_600_000, rel=0.02)
    texts = [f"text {number}" for number in range(30_000)]
    frame = pandas.DataFrame({"a": pandas.Series(texts, dtype=object)})
    assert sizeof(frame, exact=exact) == pytest.approx(sizeof(texts, exact=True), rel=0.1)
    assert sizeof(pandas.Series(numpy.arange(10_000.0)), exact=exact) == pytest.approx(80_000, rel=0.1)


@BOTH
def test_pyarrow(exact):
    """A slice keeps whole buffers, which two slices share."""
    pyarrow = pytest.importorskip("pyarrow")
    array = pyarrow.array(range(100_000))
    assert 800_000 < sizeof(array.slice(5, 10), exact=exact) < 801_000
    assert 800_000 < sizeof([array.slice(5, 10), array.slice(50), array], exact=exact) < 802_000
    table = pyarrow.table({"a": array, "b": [f"x{number}" for number in range(100_000)]})
    assert sizeof(table, exact=exact) == pytest.approx(table.get_total_buffer_size(), rel=0.01)
    wide = pyarrow.table({f"c{number}": pyarrow.array(range(1000)) for number in range(200)})
    assert sizeof(wide, exact=exact) == pytest.approx(wide.get_total_buffer_size(), rel=0.01)
    assert 50_000 < sizeof(pyarrow.py_buffer(bytes(50_000)).slice(10, 10), exact=exact) < 50_500


@BOTH
def test_polars(exact):
    """What the library estimates."""
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"a": list(range(10_000)), "b": ["x"] * 10_000})
    assert frame.estimated_size() <= sizeof(frame, exact=exact) < frame.estimated_size() + 1000
    assert 80_000 <= sizeof(frame["a"], exact=exact) < 81_000


@BOTH
def test_pillow(exact):
    """The pixels, in the form in which the library keeps them; an image that was not read has none."""
    image = pytest.importorskip("PIL.Image")
    assert 4_000_000 < sizeof(image.new("RGB", (1000, 1000)), exact=exact) < 4_020_000
    assert 1_000_000 < sizeof(image.new("L", (1000, 1000)), exact=exact) < 1_020_000


TORCH = """
import types
class Storage:
    def __init__(self, place, size): self.place, self.size = place, size
    def data_ptr(self): return self.place
    def nbytes(self): return self.size
class Tensor:
    def __init__(self, storage, device="cpu"):
        self.storage, self.device = storage, types.SimpleNamespace(type=device)
    def untyped_storage(self): return self.storage
Tensor.__module__ = "torch"
class Parameter(Tensor):
    pass
class Sparse(Tensor):
    def __init__(self, layout):
        super().__init__(None)
        self.layout = layout
    def untyped_storage(self): raise NotImplementedError("Cannot access storage of SparseTensorImpl")
    def _indices(self): return Tensor(Storage(1 << 41, 3_000_000))
    def _values(self): return Tensor(Storage(1 << 42, 6_000_000))
    def numel(self): return 50
    def element_size(self): return 8
from safemem.memory.sizeof import sizeof
storage = Storage(1 << 40, 5_000_000)
for exact in (False, True):
    assert 5_000_000 < sizeof(Tensor(storage), exact=exact) < 5_002_000
    assert 5_000_000 < sizeof([Tensor(storage), Parameter(storage)], exact=exact) < 5_004_000
    assert sizeof(Tensor(storage, "cuda"), exact=exact) < 2_000
    assert 9_000_000 < sizeof(Sparse("torch.sparse_coo"), exact=exact) < 9_002_000
    assert 400 < sizeof(Sparse("torch.something_else"), exact=exact) < 2_000
"""


def test_stand_in_for_torch():
    """Storages count once, those of another device not at all, those of the parts of a sparse one too; PyTorch itself is gigabytes."""
    assert_clean(run_code(TORCH))


@pytest.mark.skipif(sys.platform != "linux", reason="reads its own memory")
def test_views_of_memory():
    """A memoryview keeps all of what it is a view of."""
    data = bytearray(500_000)
    assert 500_000 < sizeof(memoryview(data)[10:20]) < 501_000
    assert 500_000 < sizeof([memoryview(data), memoryview(data)[5:], data]) < 502_000
