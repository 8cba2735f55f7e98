"""The half-written file: reports that a program was writing when it was killed, with open() and with managed_file."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from hashlib import sha256

from safemem import managed_file
from safemem.demo.crossref import Names, parse
from safemem.demo.measure import Counted
from safemem.demo.mortal import kill_when_told, tell
from safemem.demo.row import Answer, Job, Left, Row, Way, more_than

__all__ = ["ROW"]

REPORTS = 8
_TORN = "torn reports"
_OTHERS = "other files"


class Report(Counted):
    """What is known of some of the files: where each function and class is defined."""

    __slots__ = ("text",)

    def __init__(self, found: dict[str, int]) -> None:
        self.text = json.dumps(found, indent=1)


def program(way: str, folder: str) -> None:
    """Write all reports anew, and get as far as the middle of each."""
    files: list[object] = []
    for name, text in json.load(sys.stdin).items():
        path = os.path.join(folder, name)
        file = managed_file(path, "w") if way == "safemem" else open(path, "w", encoding="utf-8")  # noqa: SIM115 - killed before it could end
        file.write(text[: len(text) // 2])
        file.flush()
        files.append(file)
    tell(len(files))


def report(job: Job, way: str) -> Answer:
    """Index the files in a few reports, and look at them after a program was killed that was to write them anew."""
    corpus = job.corpus
    paths = corpus.sample(1_000_000)
    found: list[dict[str, int]] = [{} for _ in range(REPORTS)]
    for number, path in enumerate(job.each(paths)):
        found[number % REPORTS].update({f"{path}:{name}": line for name, line in Names(parse(corpus, path).tree).defined.items()})
    reports = {f"report-{number}.json": Report(part) for number, part in enumerate(found)}
    with tempfile.TemporaryDirectory() as folder:
        for name, each in reports.items():
            with managed_file(os.path.join(folder, name), "w") as file:
                file.write(each.text)
        given = json.dumps({name: each.text for name, each in reports.items()}).encode()
        kill_when_told("safemem.demo.half_written", way, folder, given=given)
        job.facts[_TORN] = sum(_read(os.path.join(folder, name)) != each.text for name, each in reports.items())
        job.facts[_OTHERS] = len(set(os.listdir(folder)) - set(reports))
    digest = sha256("".join(each.text for each in reports.values()).encode("utf-8", "backslashreplace")).hexdigest()
    return {"definitions": sum(map(len, found)), "digest": digest}


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def excess(left: Left) -> str:
    """Complain about reports that are not whole, and what lies beside them."""
    return more_than(0, left.facts.get(_TORN, 0), _TORN) or more_than(0, left.facts.get(_OTHERS, 0), _OTHERS)


ROW = Row(
    name="half_written",
    title="The file that was being written when the program was killed",
    counts=Report,
    unit="reports",
    usual=Way('open(path, "w")', lambda job: report(job, "usual")),
    safemem=Way('managed_file(path, "w")', lambda job: report(job, "safemem")),
    promise="the old report, whole, and nothing beside it",
    trouble="nothing stays behind: what was there is lost",
    excess=excess,
    headline=lambda left: f"{left.facts.get(_TORN, 0):,} of {left.built:,} torn",
)

if __name__ == "__main__":
    program(sys.argv[1], sys.argv[2])
