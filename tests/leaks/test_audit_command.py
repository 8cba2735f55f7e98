"""`safemem audit`: the program runs as if alone, and what it leaked is reported when it is over."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import safemem

on_posix = pytest.mark.skipif(os.name != "posix", reason="signals end programs otherwise here")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="descriptors are listed with what they lead to on Linux only")


def run(*arguments, cwd, options=("-m", "safemem", "audit"), **more):
    """Run the interpreter; return it finished."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    root = str(Path(safemem.__file__).parent.parent)
    return subprocess.run(
        [sys.executable, *options, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**environment, "PYTHONPATH": root, "NO_COLOR": "1"},
        **more,
    )


def write(directory, name, text):
    """Write a program."""
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return name


LEAKY = """
import socket, tempfile
KEPT = []
def work():
    KEPT.append(open(__file__))
    KEPT.append(socket.socket())
    tempfile.mkdtemp(dir=".")
work()
print("done")
"""

# Everything that a program can see of how it was started.
MIRROR = """
import json, sys
main = sys.modules["__main__"]
spec = __spec__ and __spec__.name
print(json.dumps([__name__, sys.argv, sys.path[0], __file__, spec, __package__, main.__dict__ is globals(), __cached__ if "__cached__" in globals()
    else None, type(__loader__).__name__, sorted(set(globals()) - {"__annotations__"})]))
"""


@on_linux
def test_leaks_are_reported_with_their_lines(tmp_path):
    """The report is on standard error, with holder and line; standard output is the program's alone; the status is 3."""
    done = run(write(tmp_path, "leaky.py", LEAKY), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "done\n")
    assert "safemem audit leaky.py: 3 leaks" in done.stderr
    for part in (
        "module __main__.KEPT[0]",
        "leaky.py:5",
        "module __main__.KEPT[1]",
        "leaky.py:6",
        "temporary directory",
        "leaky.py:7",
        "managed_file",
    ):
        assert part in done.stderr


@on_linux
def test_json_page_and_ignored(tmp_path):
    """JSON instead of text, a page besides, other statuses; what is ignored is no leak."""
    write(tmp_path, "leaky.py", LEAKY)
    done = run("--json", "--html", "page.html", "--error-exitcode", "9", "leaky.py", "--json", cwd=tmp_path)
    report = json.loads(done.stderr)
    assert (done.returncode, report["ok"], [leak["kind"] for leak in report["leaks"]].count("file")) == (9, False, 1)
    assert "leaky.py:5" in (tmp_path / "page.html").read_text()
    ignoring = [option for leak in report["leaks"] for option in ("--ignore", leak["signature"])]
    done = run(*ignoring, "leaky.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "safemem audit leaky.py: no leaks\n")


@pytest.mark.parametrize(
    "arguments",
    [("mirror.py", "a", "--json"), ("sub/mirror.py",), ("-m", "sub.mirror", "-x"), ("-m", "package", "b"), ("package",), ("app.zip", "c")],
)
def test_program_sees_what_it_would_see_alone(tmp_path, arguments):
    """`__main__`, arguments, path, spec and globals are those of `python ...`."""
    write(tmp_path, "mirror.py", MIRROR)
    write(tmp_path, "sub/mirror.py", MIRROR)
    write(tmp_path, "package/__init__.py", "")
    write(tmp_path, "package/__main__.py", MIRROR)
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        archive.writestr("__main__.py", MIRROR)
    alone = run(*arguments, cwd=tmp_path, options=())
    audited = run(*arguments, cwd=tmp_path)
    assert alone.returncode == 0, alone.stderr
    assert audited.stdout == alone.stdout
    assert audited.returncode == 0, audited.stderr


ENDINGS = {
    "falls off the end": "print('x')",
    "status 7": "import sys; sys.exit(7)",
    "no status": "import sys; sys.exit()",
    "a message": "import sys; sys.exit('sorry')",
    "an exception": "def f():\n    raise ValueError('x')\nf()",
    "a syntax error": "def f(:",
    "its own hook": "import sys\nsys.excepthook = lambda *args: print('hook', args[0].__name__)\n1 / 0",
    "exit handlers": "import atexit\natexit.register(print, 'one')\natexit.register(print, 'two')",
    "a handler that fails": "import atexit\ndef fail():\n    raise ValueError\natexit.register(fail)",
    "a thread": "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.05), print('thread'))).start()\nprint('main')",
    "asyncio": "import asyncio\nasync def main():\n    await asyncio.sleep(0)\n    return 5\nprint(asyncio.run(main()))",
    "at once": "import os\nprint('x', flush=True)\nos._exit(5)",
    "a fork": "import os\npid = os.fork()\nif pid:\n    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\nelse:\n    import sys\n    sys.exit(4)",
}
if os.name == "posix":
    ENDINGS |= {
        "an interrupt": "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nimport time\ntime.sleep(10)",
        "a signal": "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\nimport time\ntime.sleep(10)",
        "a signal it handles": "import os, signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(6))\nos.kill(os.getpid(), signal.SIGTERM)",
    }


@pytest.mark.parametrize("code", ENDINGS.values(), ids=ENDINGS)
def test_program_ends_as_it_would_alone(tmp_path, code):
    """Status, output and complaints are those of `python program.py`; of clean programs the report says that they are."""
    if "fork" in code and not hasattr(os, "fork"):
        pytest.skip("there is no fork here")
    write(tmp_path, "program.py", code)
    alone = run("program.py", cwd=tmp_path, options=())
    audited = run("program.py", cwd=tmp_path)
    assert (audited.returncode, audited.stdout) == (alone.returncode, alone.stdout), audited.stderr
    said = re.sub("0x[0-9a-f]+", "0x", audited.stderr.replace("safemem audit program.py: no leaks\n", ""))
    assert said == re.sub("0x[0-9a-f]+", "0x", alone.stderr)


def test_status_of_the_program_comes_before_that_of_leaks(tmp_path):
    """A program that fails and leaks ends with its own status, and the report is told."""
    write(tmp_path, "both.py", "import sys\nKEPT = [open(__file__)]\nsys.exit(5)\n")
    done = run("both.py", cwd=tmp_path)
    assert done.returncode == 5
    assert "KEPT[0]" in done.stderr


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_multiprocessing(tmp_path, method):
    """Children find their functions, pools come and go, and nothing of it is a leak."""
    if method == "fork" and sys.platform != "linux":
        pytest.skip("fork is not to be used here")
    code = f"""
import multiprocessing
def double(number):
    return 2 * number
if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    with context.Pool(2) as pool:
        print(pool.map(double, [1, 2]))
    child = context.Process(target=print, args=("child",))
    child.start()
    child.join()
"""
    write(tmp_path, "program.py", code)
    done = run("program.py", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[2, 4]\nchild\n", "safemem audit program.py: no leaks\n")


CLEAN = """
import asyncio, atexit, concurrent.futures, contextvars, functools, logging, sqlite3, subprocess, sys, tempfile, threading

@functools.lru_cache(None)
def square(number):
    return number * number

TABLE = {number: str(number) for number in range(20_000)}
logging.basicConfig(filename="log.txt")
logging.getLogger("x").warning("x")
pool = concurrent.futures.ThreadPoolExecutor(4)
print(sum(pool.map(square, range(100))))
threading.Thread(target=threading.Event().wait, daemon=True).start()
with tempfile.TemporaryDirectory() as directory:
    connection = sqlite3.connect(f"{directory}/x.db")
    connection.execute("create table t (x)")
    connection.close()
subprocess.run([sys.executable, "-c", ""], check=True)

async def main():
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await reader.read()
        writer.close()
        await writer.wait_closed()
    await asyncio.to_thread(square, 3)

asyncio.run(main())
"""


def test_clean_program_is_reported_clean(tmp_path):
    """Caches, tables, logging, pools, a daemon thread, servers and children are no leaks."""
    write(tmp_path, "clean.py", CLEAN)
    done = run("clean.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "safemem audit clean.py: no leaks\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give a script to run, or -m and a module"),
        (("-m",), "give a script to run, or -m and a module"),
        (("nothing.py",), "no such file: 'nothing.py'"),
        (("--html", "no/such/page.html", "x.py"), "cannot write to 'no/such/page.html'"),
        (("--error-exitcode", "256", "x.py"), "must be a number from 0 to 255, got '256'"),
        (("--odd", "x.py"), "--odd"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(tmp_path, arguments, message):
    """What cannot be done is said at once, and nothing is run."""
    write(tmp_path, "x.py", "print('run')")
    done = run(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_module_that_is_not_there(tmp_path):
    """A missing module fails as with `python -m`."""
    done = run("-m", "no_such_module", cwd=tmp_path)
    assert (done.returncode, "No module named no_such_module" in done.stderr) == (1, True)


@on_posix
def test_closed_standard_error_is_no_trouble(tmp_path):
    """With nobody to read the report the exit status still tells."""
    write(tmp_path, "leaky.py", "KEPT = [open(__file__)]\nprint('done')")
    done = run(
        "-c",
        f"import os; os.execv({sys.executable!r}, [{sys.executable!r}, '-m', 'safemem', 'audit', 'leaky.py'])",
        cwd=tmp_path,
        options=(),
        preexec_fn=lambda: os.close(2),
    )
    assert (done.returncode, done.stdout) == (3, "done\n")
    assert signal.SIGINT == 2


POOL = """
class Pool:
    def __init__(self, size):
        self.files = [open(__file__) for _ in range(size)]

def main():
    global pool
    pool = Pool(3)

if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize(("size", "status"), [(3, 0), (40, 3)], ids=["a pool", "too many for one"])
def test_what_a_library_keeps_open_is_its_pool(tmp_path, size, status):
    """A few files that an installed library has opened are not the program's leak, wherever they are held."""
    write(tmp_path, "site-packages/pool.py", POOL)
    text = f"import sys; sys.path.insert(0, 'site-packages'); import pool; own = pool.Pool({size})"
    done = run("--json", write(tmp_path, "program.py", text), cwd=tmp_path)
    assert done.returncode == status, done.stderr


def test_installed_module_that_is_audited_is_the_program(tmp_path):
    """What it opens itself is its leak."""
    write(tmp_path, "site-packages/pool.py", POOL)
    done = run("--json", "-m", "pool", cwd=tmp_path / "site-packages")
    assert done.returncode == 3
    leaks = json.loads(done.stderr)["leaks"]
    assert [(leak["kind"], leak["count"]) for leak in leaks] == [("file", 3)]
    assert leaks[0]["where"].endswith("pool.py:4")
