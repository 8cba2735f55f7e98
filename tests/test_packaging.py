"""The installed distribution is what pyproject.toml says: version, typing marker, command, dependencies; and it builds with and without a compiler."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from importlib import metadata, resources
from pathlib import Path

import pytest

import safemem

ROOT = Path(__file__).resolve().parent.parent

SOURCES = ["LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "safemem", "setup.py"]

HAS_COMPILER = shutil.which((sysconfig.get_config_var("CC") or "cc").split()[0]) is not None


def build(folder: Path, what: str, **environment: str) -> Path:
    """Build a wheel or an sdist of a copy of the tree, as `pip` would have setuptools do it."""
    folder.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.so", "*.pyd"))
        else:
            shutil.copy(ROOT / name, folder / name)
    code = f"from setuptools import build_meta; build_meta.build_{what}('out')"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SAFEMEM_")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env={**kept, **environment}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = (folder / "out").iterdir()
    return built


def extensions(names: list[str]) -> list[str]:
    """The compiled files among these."""
    return [name for name in names if name.endswith((".so", ".pyd", ".dylib"))]


@pytest.fixture(scope="module")
def project() -> dict:
    """The [project] table of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def distribution() -> metadata.Distribution:
    """The installed distribution; the tests need `pip install -e .`."""
    return metadata.distribution("safemem")


def test_version_is_that_of_the_source_tree(project, distribution):
    """The installed metadata has the version of pyproject.toml."""
    assert distribution.version == project["version"]


def test_python_versions_agree(project, distribution):
    """The lowest classifier is the lowest version that installs."""
    minors = [
        int(match[1]) for line in project["classifiers"] if (match := re.fullmatch(r"Programming Language :: Python :: 3\.(\d+)", line))
    ]
    assert distribution.metadata["Requires-Python"] == f">=3.{min(minors)}"
    assert sorted(minors) == list(range(min(minors), max(minors) + 1))


def test_only_two_runtime_dependencies(distribution):
    """Without extras nothing but cachetools and typing-extensions is pulled in."""
    required = distribution.requires or []
    assert sorted(line for line in required if "extra ==" not in line) == ["cachetools>=8", "typing-extensions"]


def test_dev_extra_holds_all_others(project):
    """`pip install -e '.[dev]'` is everything a contributor needs."""
    extras = project["optional-dependencies"]
    assert extras["dev"] == [f"safemem[{','.join(sorted(set(extras) - {'dev'}))}]"]


def test_py_typed_is_in_the_package():
    """Type checkers read the inline types."""
    assert resources.files(safemem).joinpath("py.typed").is_file()


def test_command_is_installed(distribution):
    """The `safemem` command is the one entry point and leads to a callable."""
    (command,) = distribution.entry_points.select(group="console_scripts")
    assert (command.name, command.value) == ("safemem", "safemem.cli:main")
    assert callable(command.load())


def test_license_is_declared(distribution):
    """The metadata names the license and carries its text."""
    assert distribution.metadata["License-Expression"] == "MIT"
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")


def test_readme_is_short():
    """The README fits on two screens."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_changelog_knows_the_version(project):
    """The version being built has its section in the changelog."""
    assert f"## {project['version']}" in (ROOT / "docs" / "changelog.md").read_text(encoding="utf-8")


def test_wheel_holds_the_compiled_core_and_no_sources(tmp_path):
    """Where there is a compiler, a wheel has exactly one compiled file; never a C source, never a test."""
    names = zipfile.ZipFile(build(tmp_path / "tree", "wheel")).namelist()
    assert extensions(names) == [f"safemem/core/_native{sysconfig.get_config_var('EXT_SUFFIX')}"] * HAS_COMPILER
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"safemem"}
    assert {Path(name).suffix for name in names if ".dist-info" not in name} <= {".py", ".typed", ".so", ".pyd"}


def test_without_a_compiler(tmp_path):
    """A compiler that fails leaves a whole package with the pure core, and `safemem info` says so."""
    wheel = zipfile.ZipFile(build(tmp_path / "tree", "wheel", CC="/bin/false"))
    assert not extensions(wheel.namelist())
    wheel.extractall(tmp_path / "installed")
    kept = {name: value for name, value in os.environ.items() if name != "SAFEMEM_PURE"}
    done = subprocess.run(
        [sys.executable, "-m", "safemem", "info", "--json"],
        cwd=tmp_path,
        env={**kept, "PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    facts = json.loads(done.stdout)["core"]
    assert (facts["core"], facts["native"]) == ("pure", False)
    assert facts["why"].startswith("the compiled core is not installed: it is built where there is a C compiler")


def test_sdist_holds_the_sources(tmp_path):
    """What is built from an sdist can be compiled, whatever was wished for when the sdist was made."""
    with tarfile.open(build(tmp_path / "tree", "sdist", SAFEMEM_BUILD="pure")) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "safemem" / "core").glob("*.[ch]")}
    assert len(sources) > 10
    assert sources <= names
    assert not extensions(sorted(names))


def test_a_wish_that_does_not_exist(tmp_path):
    """SAFEMEM_BUILD is not guessed at."""
    with pytest.raises(AssertionError, match="SAFEMEM_BUILD must be native, werror, sanitize or pure, got 'fast'"):
        build(tmp_path / "tree", "wheel", SAFEMEM_BUILD="fast")
