"""managed_file in every end of its program, killed ones too; what those leave, and who removes it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers.files import alone
from helpers.forks import forks, in_child
from helpers.isolate import assert_clean, run_code, run_script

from safemem.resources.files import managed_file
from safemem.resources.replacing import reclaim, sweep_directory

posix = pytest.mark.skipif(os.name != "posix", reason="about what POSIX systems keep of a file")

SCRIPTS = Path(__file__).parent / "scripts"
KILLS = os.environ.get("SAFEMEM_KILLS", "80")


@pytest.mark.parametrize("end", ["pass", "raise KeyError", "os._exit(0)", "os.kill(os.getpid(), 9)"])
@pytest.mark.parametrize("nameless", [True, False])
def test_exit_discards(target, end, nameless):
    """However the program ends with the file open, the target is as it was, and a sweep leaves nothing else."""
    run_code(
        f"import os, sys\nif not {nameless}: vars(os).pop('O_TMPFILE', None)\n"
        "from safemem.resources.files import managed_file\n"
        f"f = managed_file({str(target)!r}, 'w'); f.write('x' * 100_000)\n{end}"
    )
    assert target.read_text() == "old"
    assert alone(target) or not nameless or not hasattr(os, "O_TMPFILE")
    sweep_directory(target.parent)
    assert alone(target)


def test_exit_says_nothing(target):
    """An orderly program end with a file open is silent, like that of any file."""
    done = run_code(f"from safemem.resources.files import managed_file\nf = managed_file({str(target)!r}, 'w')", "-W", "error")
    assert_clean(done)


def test_plain_file_is_kept_at_exit(target):
    """What is appended and still open at exit is written."""
    assert_clean(run_code(f"from safemem.resources.files import managed_file\nf = managed_file({str(target)!r}, 'a')\nf.write('er')"))
    assert target.read_text() == "older"


@forks
def test_random_kills(target, how):
    """However often the writer is killed the target is whole, and at most one left-over lies there, which the next writer or a sweep removes."""
    done = run_script(SCRIPTS / "kills.py", how, str(target), KILLS, limit=300.0)
    assert_clean(done)
    assert int(done.stdout) <= 1
    sweep_directory(target.parent)
    assert alone(target)


def test_sweep_leaves_what_is_in_use(target, monkeypatch):
    """A temporary that somebody writes is no left-over; one that nobody writes is."""
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    (target.parent / ".other.3.safemem~").write_text("left")
    (target.parent / ".notes.safemem~").write_text("somebody else's")
    with managed_file(target, "w") as file:
        file.write("new")
        assert sweep_directory(target.parent, dry_run=True) == [target.parent / ".other.3.safemem~"]
        assert sweep_directory(target.parent) == [target.parent / ".other.3.safemem~"]
        assert sweep_directory(target.parent) == []
    assert target.read_text() == "new"
    assert sorted(os.listdir(target.parent)) == [".notes.safemem~", "target"]


@posix
def test_sweep_follows_no_link(target):
    """What only looks like a left-over is not touched."""
    link, directory = target.parent / ".target.0.safemem~", target.parent / ".target.1.safemem~"
    link.symlink_to(target)
    directory.mkdir()
    assert sweep_directory(target.parent) == []
    assert link.is_symlink()
    assert directory.is_dir()
    with managed_file(target, "w") as file:
        file.write("new")
    assert target.read_text() == "new"


def test_next_writer_removes_what_a_killed_one_left(target, how):
    """No sweep is needed for a file that is written again."""
    left = target.parent / ".target.0.safemem~"
    left.write_text("left")
    with managed_file(target, "w") as file:
        file.write("new")
    assert alone(target)


def test_reclaim_of_nothing(tmp_path):
    """What is gone counts as removed."""
    assert reclaim(str(tmp_path / "gone"))


@forks
def test_forked_child_writes_nothing(target, how):
    """A child that ends in an orderly way leaves the parent's buffers and target alone; it finds the file closed."""
    with managed_file(target, "w") as file:
        file.write("new")

        def child():
            assert file.closed
            file.close()
            with pytest.raises(ValueError, match="closed file"):
                file.write("twice")
            with managed_file(target.parent / "child's", "w") as own:
                own.write("own")

        assert in_child(child) == 0
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert (target.parent / "child's").read_text() == "own"


@forks
def test_forked_child_that_exits(target):
    """The end of a forked child's interpreter flushes nothing that is the parent's."""
    code = (
        "import os, sys\nfrom safemem.resources.files import managed_file\n"
        f"with managed_file({str(target)!r}, 'w') as f:\n f.write('new')\n pid = os.fork()\n if not pid: sys.exit()\n os.waitpid(pid, 0)"
    )
    assert_clean(run_code(code))
    assert target.read_text() == "new"
