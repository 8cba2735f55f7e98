"""The command line as its users meet it: help, info, bad input, pipes that break, terminals, Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest

import safemem
from safemem import _info, core
from safemem._console import OutputError, say
from safemem.cli import COMMANDS, main

LIMIT = 60
COMMAND = [sys.executable, "-m", "safemem"]
PACKAGE = Path(safemem.__file__).parent.parent


def environment(**more: str) -> dict[str, str]:
    """An environment in which this very package is found, and in which nothing of this terminal shows."""
    ours = {"COLUMNS", "LINES", "TERM", "PYTHONIOENCODING", "PYTHONUNBUFFERED"}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {**kept, "PYTHONPATH": str(PACKAGE), **more}


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    defaults: dict[str, object] = {"capture_output": True, "text": True, "timeout": LIMIT, "env": environment()}
    return subprocess.run([*COMMAND, *arguments], check=False, **{**defaults, **options})


def run_in_shell(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in which $SAFEMEM is the command."""
    return subprocess.run(
        ["sh", "-c", line],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
        env=environment(SAFEMEM=" ".join(COMMAND)),
    )


def one_line(text: str) -> str:
    """The only line of a text."""
    (line,) = text.splitlines()
    return line


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A directory with one Python file."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "a.py").write_text("def f():\n    return g\n", encoding="utf-8")
    return folder


class TestUsage:
    """Help, version, and what argparse refuses."""

    def test_help(self):
        """It names the sub-commands and explains every exit status."""
        done = run("--help")
        assert done.returncode == 0
        assert done.stderr == ""
        for word in ("demo", "info", "exit status:", "0  ", "1  ", "2  ", "130  interrupted"):
            assert word in done.stdout

    @pytest.mark.parametrize("command", ["demo", "info"])
    def test_help_of_a_command(self, command, capsys):
        """Each explains itself and its exit status."""
        with pytest.raises(SystemExit) as caught:
            main([command, "--help"])
        assert caught.value.code == 0
        assert "exit status:" in capsys.readouterr().out

    def test_version(self):
        """One line."""
        assert one_line(run("--version").stdout) == f"safemem {_info.version()}"

    def test_version_in_process(self, capsys):
        """It ends the program, as argparse does."""
        with pytest.raises(SystemExit) as caught:
            main(["--version"])
        assert caught.value.code == 0
        assert capsys.readouterr().out == f"safemem {_info.version()}\n"

    @pytest.mark.parametrize("arguments", [[], ["nothing"], ["demo", "--nothing"], ["info", "extra"], ["demo", "--js"]])
    def test_wrong_usage_is_status_2(self, arguments, capsys):
        """Argparse says what is wrong; abbreviations are wrong too, for they break when an option is added."""
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
        assert "usage: safemem" in capsys.readouterr().err

    def test_every_command_is_registered_once(self):
        """A command is one function of the table."""
        assert len(set(COMMANDS)) == len(COMMANDS) >= 2


class TestInfo:
    """Versions, core, limits."""

    def test_text(self):
        """Every section and the core in use."""
        done = run("info")
        assert done.returncode == 0
        assert done.stderr == ""
        for word in ("versions", "core", "limits", "memory", "signals", core.CORE, core.WHY, "machine memory", sys.version.split()[0]):
            assert word in done.stdout

    def test_json(self, capsys):
        """The same facts, as data."""
        assert main(["info", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found.keys() == {"versions", "core", "limits", "memory", "signals"}
        assert found["core"] == {"core": core.CORE, "native": core.NATIVE, "why": core.WHY}
        assert found["versions"]["cachetools"] == metadata.version("cachetools")
        assert found["versions"]["gil"] is getattr(sys, "_is_gil_enabled", lambda: True)()
        assert found["limits"].keys() == {"address_space", "data", "open_files", "cgroup_memory", "machine_memory"}
        assert found["limits"]["machine_memory"] > 1_000_000
        assert found["memory"].keys() == set(safemem.MemoryInfo._fields)
        assert found["memory"]["peak"] > 1_000_000
        assert found["signals"]["can_trim"] in {True, False}
        assert found["signals"].keys() >= {"tightest_bound", "used_of_it", "level", "stalls_from", "stalled", "system_warning"}

    def test_limit_of_this_process(self):
        """A limit set for the process is told, without a limit there is none."""
        done = run_in_shell("ulimit -v 4000000; $SAFEMEM info --json")
        assert json.loads(done.stdout)["limits"]["address_space"] == 4_000_000 * 1024
        assert _info._rlimit("RLIMIT_NOTHING") is None

    def test_text_in_process(self, capsys):
        """What is unlimited says so, and sizes have units."""
        assert main(["info"]) == 0
        shown = capsys.readouterr().out
        assert re.search(r"machine memory +[\d,.]+ [MG]B", shown)
        assert re.search(r"address space +(no limit found|[\d,.]+ [MG]B)", shown)
        assert re.search(r"open files +(no limit found|[\d,]+)\n", shown)
        assert re.search(r"blocks +[\d,]+\n", shown)
        assert re.search(r"level +(this system does not tell|[\d.]+%)\n", shown)

    def test_a_system_that_tells_nothing(self, monkeypatch, tmp_path):
        """Neither resource limits nor files of the kernel: each line says so."""
        monkeypatch.setitem(sys.modules, "resource", None)
        facts = _info.collect(str(tmp_path))
        assert set(facts["limits"].values()) == {None}
        assert {value for name, value in facts["signals"].items() if name != "can_trim"} == {None}
        shown = _info.as_text(facts)
        assert shown.count("no limit found") == 5
        assert (
            len(re.findall(r"(tightest bound|used of it|level|stalls from|stalled|system warning) +this system does not tell", shown)) == 6
        )

    def test_a_distribution_that_is_not_installed(self):
        """The source tree alone has no version."""
        assert _info.version("safemem-nothing-of-that-name") == "unknown (not installed)"

    def test_starts_quickly(self):
        """Neither the demo nor what it needs is imported."""
        script = "import sys; from safemem.cli import main; main(['info']); print([n for n in sys.modules if 'demo' in n or n in ('ast', 'tracemalloc')])"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=LIMIT, check=True, env=environment())
        loaded = done.stdout.splitlines()[-1]
        assert "demo" not in loaded
        assert "tracemalloc" not in loaded


class TestBadInput:
    """One line, status 2, no traceback."""

    @pytest.mark.parametrize("name", ["missing", "file.py", "loop", "empty", "unparsable", "dangling", "a\nb\x1b[1m", "caf\xe9", ""])
    def test_directory(self, name, tmp_path):
        """What is wrong with which directory."""
        (tmp_path / "file.py").touch()
        (tmp_path / "loop").symlink_to("loop")
        for folder in ("empty", "unparsable", "dangling"):
            (tmp_path / folder).mkdir()
        (tmp_path / "unparsable" / "a.py").write_text("def f(:\n")
        (tmp_path / "dangling" / "a.py").symlink_to("nowhere")
        done = run("demo", str(tmp_path / name) if name else "")
        assert done.returncode == 2
        assert done.stdout == ""
        assert re.fullmatch(
            r"safemem: error: (cannot read directory|no Python files|none of the Python files).*'.*'.*", one_line(done.stderr)
        )

    @pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
    def test_a_name_that_cannot_be_printed(self, encoding, tmp_path):
        """It is escaped, wherever it is printed."""
        folder = tmp_path / "日本\udcff"
        folder.mkdir()
        assert run("demo", str(folder), env=environment(PYTHONIOENCODING=encoding)).returncode == 2
        (folder / "a.py").write_text("x = 1\n")
        done = run("demo", str(folder), env=environment(PYTHONIOENCODING=encoding), encoding=encoding, text=None)
        assert (done.returncode, done.stderr) == (0, "")


class TestBadOutput:
    """A reader that goes away, a full disk, closed streams."""

    @pytest.mark.parametrize("command", ["demo", "demo --json", "info", "info --json"])
    def test_broken_pipe(self, command, source):
        """One line on standard error, and a status that is not 0."""
        where = source if "demo" in command else ""
        reader, writer = os.pipe()
        os.close(reader)
        done = run(*command.split(), *([str(where)] if where else []), capture_output=False, stdout=writer, stderr=subprocess.PIPE)
        os.close(writer)
        assert done.returncode == 2
        assert one_line(done.stderr) == "safemem: error: nobody reads the output any more (broken pipe)"

    def test_head(self, source):
        """The line that was read is there, and the rest is not worth a traceback."""
        done = run_in_shell(f"$SAFEMEM demo '{source}' | head -1")
        assert one_line(done.stdout) == str(source)
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr

    @pytest.mark.parametrize("command", ["demo '{}'", "demo '{}' --json", "info", "--version"])
    def test_full_disk(self, command, source):
        """The reason the system gives."""
        done = run_in_shell(f"$SAFEMEM {command.format(source)} > /dev/full")
        assert done.returncode == 2
        assert one_line(done.stderr) == "safemem: error: cannot write to standard output: No space left on device"

    @pytest.mark.parametrize("command", ["demo '{}'", "info", "--version"])
    def test_closed(self, command, source):
        """Nothing is done for nobody."""
        done = run_in_shell(f"$SAFEMEM {command.format(source)} >&-")
        assert done.returncode == 2
        assert one_line(done.stderr) == "safemem: error: standard output is closed"

    def test_help_into_a_broken_pipe(self):
        """Argparse prints it; it ends without a traceback all the same."""
        reader, writer = os.pipe()
        os.close(reader)
        done = run("--help", capture_output=False, stdout=writer, stderr=subprocess.PIPE)
        os.close(writer)
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr

    def test_no_stderr_either(self, source):
        """The status is all there is, and it is right."""
        assert run_in_shell(f"$SAFEMEM demo '{source}' >&- 2>&-").returncode == 2
        assert run_in_shell("$SAFEMEM demo /does/not/exist 2> /dev/full").returncode == 2
        assert run_in_shell("$SAFEMEM --no-such-option 2> /dev/full").returncode == 2
        assert run_in_shell(f"$SAFEMEM demo '{source}' 2>&-").returncode == 0

    def test_a_stream_closed_within_the_program(self, monkeypatch):
        """An embedding program closed it."""
        with Path(os.devnull).open("w", encoding="utf-8") as stream:
            monkeypatch.setattr(sys, "stdout", stream)
        with pytest.raises(OutputError, match="closed file"):
            say("text")


def in_terminal(*arguments: str, columns: int = 80, split: bool = False, interrupt_after: bytes = b"", **more: str) -> tuple[int, str, str]:
    """Run the command in a terminal of its own; return status, what the terminal got, and standard output if that is a pipe."""
    master, slave = pty.openpty()
    subprocess.run(["stty", "cols", str(columns), "rows", "40", "-opost"], stdin=slave, check=True)
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=slave,
        stdout=subprocess.PIPE if split else slave,
        stderr=slave,
        env=environment(TERM="xterm-256color", **more),
    )
    os.close(slave)
    try:
        seen = read_terminal(master, process, interrupt_after)
        output = process.stdout.read().decode() if process.stdout else ""
        return process.wait(LIMIT), seen.decode(), output
    finally:
        process.kill()
        process.communicate()
        os.close(master)


def read_terminal(master: int, process: subprocess.Popen[bytes], interrupt_after: bytes) -> bytes:
    """Return all that is written to a terminal; send the process Ctrl-C when something has been."""
    seen = b""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.2)[0]:
            try:
                part = os.read(master, 65536)
            except OSError:  # Linux says EIO when the last writer has gone.
                break
            if not part:
                break
            seen += part
        if interrupt_after and interrupt_after in seen:
            process.send_signal(signal.SIGINT)
            interrupt_after = b""
    return seen


def lines_on_screen(text: str) -> list[str]:
    """What a terminal shows: a carriage return goes back to the start of the line."""
    shown: list[str] = []
    for line in text.split("\n"):
        cells: list[str] = []
        for part in line.split("\r"):
            cells[: len(part)] = part
        shown.append("".join(cells).rstrip())
    return shown


@pytest.fixture
def many_files(tmp_path: Path) -> Path:
    """Enough source for the bar to be drawn more than once."""
    folder = tmp_path / "many"
    folder.mkdir()
    text = "".join(f"def f{number}(a, b):\n    return a.x + b.y[{number}]\n" for number in range(200))
    for number in range(20):
        (folder / f"m{number}.py").write_text(text, encoding="utf-8")
    return folder


class TestTerminal:
    """What is seen on a terminal."""

    @pytest.mark.parametrize("columns", [40, 80])
    def test_a_bar_while_it_works_and_a_clean_table_after(self, columns, many_files):
        """The bar fits the terminal, and nothing of it is left."""
        status, seen, _ = in_terminal("demo", str(many_files), "--row", "growing_dict", columns=columns)
        assert status == 0
        assert re.search(r"\r\[#*\.+\] +\d+%  The dict", seen)
        shown = lines_on_screen(seen)
        assert not [line for line in shown if line.startswith("[")]
        # A path is not broken, so that it can be copied.
        drawn = re.split("[\r\n]", seen.replace(str(many_files), ""))
        assert max(map(len, drawn)) <= columns
        assert any(line.endswith("The dict that only grows") for line in shown)

    def test_bar_on_the_terminal_and_table_in_the_pipe(self, many_files):
        """The pipe gets plain text, the terminal nothing that stays."""
        status, seen, output = in_terminal("demo", str(many_files), "--row", "growing_dict", "--json", split=True)
        assert status == 0
        assert json.loads(output)["ok"] is True
        assert "The dict that only grows" in seen
        assert [line for line in lines_on_screen(seen) if line] == []

    def test_no_colours(self, many_files):
        """No escape sequence is used, so NO_COLOR has nothing to turn off."""
        status, seen, _ = in_terminal("demo", str(many_files), "--row", "growing_dict", NO_COLOR="1")
        assert status == 0
        assert "\x1b" not in seen

    def test_no_bar_in_a_file(self, many_files):
        """Plain text where there is no terminal."""
        done = run("demo", str(many_files), "--row", "growing_dict")
        assert (done.returncode, done.stderr) == (0, "")
        assert "\r" not in done.stdout
        assert "%" not in done.stdout


class TestInterrupted:
    """Ctrl-C at any time: one line, status 130."""

    def test_in_a_terminal(self):
        """The bar is gone, what was printed stays."""
        status, seen, _ = in_terminal("demo", interrupt_after=b"The dict that only grows")
        assert status == 130
        assert "Traceback" not in seen
        shown = [line for line in lines_on_screen(seen) if line]
        assert shown[-1] == "safemem: interrupted"
        assert "standard library" in shown[0]

    @pytest.mark.parametrize("row", ["growing_dict", "pinned_instances", "stampede"])
    def test_in_the_middle_of_a_row(self, row, tmp_path):
        """Threads included, the program ends at once."""
        text = "".join(f"def f{number}(a, b):\n    return a.x + b.y[{number}]\n" for number in range(40_000))
        (tmp_path / "long.py").write_text(text, encoding="utf-8")
        status, seen, _ = in_terminal("demo", str(tmp_path), "--row", row, interrupt_after=b"%  The ")
        assert "Traceback" not in seen
        assert "Exception ignored" not in seen
        assert status == 130
