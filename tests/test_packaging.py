"""The installed distribution is what pyproject.toml says: version, typing marker, command, dependencies."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata, resources
from pathlib import Path

import pytest

import safemem

ROOT = Path(__file__).resolve().parent.parent


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
