"""`safemem audit`: what a program makes and then uses is no leak; what it adds to up to its end is, and in short programs what each call adds to."""

from __future__ import annotations

import pytest
from helpers.audited import audit

COMPREHENSION = """
rows = [{"id": number, "tags": [number]} for number in range(20_000)]
print(sum(len(row) for row in rows))
"""
MADE = """
def read():
    found = {}
    for number in range(20_000):
        found[number] = [number]
    return found

rows = read()
print(len(rows))
"""
USED = """
import time
rows = []
for number in range(20_000):
    rows.append([number])
end = time.process_time() + 2
while time.process_time() < end:
    len([[row] for row in rows])
"""
IMPORTS = """
import asyncio, concurrent.futures.process, csv, ctypes.util, difflib, doctest, email.mime.text, ftplib, http.server, imaplib
import importlib.metadata, importlib.resources, logging.config, multiprocessing.pool, pdb, pydoc, smtplib, sqlite3, statistics
import tarfile, timeit, unittest.mock, venv, wsgiref.simple_server, xml.dom.minidom, xmlrpc.server, zipfile, pstats, cProfile
import encodings.idna, json.tool, html.parser, urllib.robotparser, tomllib, zoneinfo, plistlib, mailbox, shelve, fractions
"""
LOOP = """
SEEN = []
for number in range(80_000):
    SEEN.append([number])
"""
HANDLER = """
SEEN = {}

def handle(number):
    SEEN[number] = {"id": number, "tags": [number]}

for number in range(20_000):
    handle(number)
"""


@pytest.mark.parametrize("code", [COMPREHENSION, MADE, USED, IMPORTS], ids=["comprehension", "made", "used", "imports"])
def test_what_is_filled_once_is_clean(tmp_path, code):
    """What is made first and then given a name, what is filled first and then used, and imports."""
    done = audit(tmp_path, code)
    assert (done.returncode, "no leaks" in done.stderr) == (0, True), done.stderr


@pytest.mark.parametrize("code", [LOOP, HANDLER], ids=["loop", "handler"])
def test_what_grows_up_to_the_end_leaks(tmp_path, code):
    """A variable of the program that is still being added to at its end, in a loop or by a function; the report names it."""
    done = audit(tmp_path, code)
    assert done.returncode == 3
    assert "module __main__.SEEN" in done.stderr
