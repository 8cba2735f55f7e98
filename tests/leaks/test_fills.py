"""`safemem audit`: what a program fills once, while its modules are executed, is no leak; what its functions add to is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROWS = """
class Row:
    def __init__(self, number):
        self.number, self.tags = number, [number]

rows = []
for number in range(20_000):
    rows.append(Row(number))
print(len(rows))
"""
COMPREHENSION = """
rows = [{"id": number, "tags": [number]} for number in range(20_000)]
print(sum(len(row) for row in rows))
"""
INDEX = """
index = {}
for number in range(30_000):
    index.setdefault(number % 3000, []).append((number, [number]))
print(len(index))
"""
IMPORTS = """
import asyncio, concurrent.futures.process, csv, ctypes.util, difflib, doctest, email.mime.text, ftplib, http.server, imaplib
import importlib.metadata, importlib.resources, logging.config, multiprocessing.pool, pdb, pydoc, smtplib, sqlite3, statistics
import tarfile, timeit, unittest.mock, venv, wsgiref.simple_server, xml.dom.minidom, xmlrpc.server, zipfile, pstats, cProfile
import encodings.idna, json.tool, html.parser, urllib.robotparser, tomllib, zoneinfo, plistlib, mailbox, shelve, fractions
"""
HANDLER = """
SEEN = {}

def handle(number):
    SEEN[number] = {"id": number, "tags": [number]}

for number in range(20_000):
    handle(number)
"""


def audit(tmp_path, code):
    """Run a program under `safemem audit`."""
    path = tmp_path / "program.py"
    path.write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)}
    command = [sys.executable, "-m", "safemem", "audit", str(path)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("code", [ROWS, COMPREHENSION, INDEX, IMPORTS], ids=["rows", "comprehension", "index", "imports"])
def test_what_is_filled_once_is_clean(tmp_path, code):
    """The module's body runs once: what only it mentions does not grow for ever, and neither do imports."""
    done = audit(tmp_path, code)
    assert (done.returncode, "no leaks" in done.stderr) == (0, True), done.stderr


def test_what_a_function_adds_to_leaks(tmp_path):
    """A function may be called again and again; the report names what it adds to."""
    done = audit(tmp_path, HANDLER)
    assert done.returncode == 3
    assert "module __main__.SEEN" in done.stderr
