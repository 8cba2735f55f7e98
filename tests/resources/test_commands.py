"""The commands `ls` and `sweep`: what they print, and how they end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import safemem
from safemem.resources import lease

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock()")


@pytest.fixture
def command(tmp_path):
    """Run a command with a directory for temporary files of its own; `--dir` leads to another."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        tree = str(Path(safemem.__file__).parent.parent)
        return subprocess.run(
            [sys.executable, "-m", "safemem", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "PYTHONPATH": tree, "TMPDIR": str(tmp_path)},
        )

    return run


def lines_about(text: str, place: Path) -> list[str]:
    """The lines that are about our directory: in that of shared memory there may be anything."""
    return [line for line in text.splitlines() if str(place) in line]


def test_ls_and_sweep(command, tmp_path):
    """What is alive and what is orphaned is told, and only the orphan is removed, and not by a dry run."""
    held, alive = lease.create_file(str(tmp_path))
    os.write(held, b"x" * 5000)
    fd, orphan = lease.create_file(str(tmp_path))
    os.close(fd)
    shown = lines_about(command("ls").stdout, tmp_path)
    assert re.fullmatch(rf"alive +file +8.0 KiB +({os.getpid()}|-) +{tmp_path}/{alive}", shown[0])
    assert re.fullmatch(rf"orphaned +file +0 B +- +{tmp_path}/{orphan}", shown[1])
    would = command("sweep", "--dry-run")
    assert "would be removed: " in would.stdout
    assert len(lines_about(would.stdout, tmp_path)) == 1
    assert sorted(os.listdir(tmp_path)) == sorted([alive, orphan])
    done = command("sweep")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[-1] for line in lines_about(done.stdout, tmp_path)] == [f"{tmp_path}/{orphan}"]
    assert os.listdir(tmp_path) == [alive]
    os.close(held)


def test_json_and_directories(command, tmp_path):
    """`--json` prints what the functions return; `--dir` adds a directory."""
    other = Path(tempfile.mkdtemp(dir=tmp_path))
    fd, name = lease.create_directory(str(other))
    os.close(fd)
    listed = json.loads(command("ls", "--json", "--dir", str(other)).stdout)
    (found,) = [each for each in listed if each["path"] == f"{other}/{name}"]
    assert (found["state"], found["kind"], found["holders"]) == ("orphaned", "directory", [])
    swept = json.loads(command("sweep", "--json", "--dir", str(other)).stdout)
    assert [each["name"] for each in swept if each["path"].startswith(str(other))] == [name]
    assert os.listdir(other) == []


@pytest.mark.parametrize("name", ["ls", "sweep"])
def test_no_directory(command, name):
    """Something that is no directory is wrong usage: one line, status 2."""
    done = command(name, "--dir", "/absent")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "safemem: error: --dir must be a directory, got '/absent'\n"
