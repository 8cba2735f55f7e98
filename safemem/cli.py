"""The command `safemem`: its sub-commands, their options, and how they end.

A sub-command is one function that takes the sub-parsers, adds its own, and says with `set_defaults(run=...)` what to call; `COMMANDS` lists
them. What is called takes the parsed arguments, prints with `say()`, raises `CommandError` where it cannot go on, and returns the exit status.
It imports what it needs only then, so that each command starts as fast as it can.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from safemem._console import CommandError, OutputError, abandon_stdout, complain, flush_stderr, flush_stdout, say, say_json

if TYPE_CHECKING:
    from typing import TypeAlias

    SubParsers: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - it has no public name

__all__ = ["main"]

OK, LEFT_BEHIND, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

_STATUSES = """\
exit status:
  0    fine
  1    the demo found something that safemem left behind
  2    wrong usage, input that cannot be used, output that cannot be written
  130  interrupted"""


def _add_demo(commands: SubParsers) -> None:
    parser = _add(commands, "demo", "do real work twice, as people write it and with safemem, and show what stays behind", _demo)
    parser.add_argument("directory", metavar="DIR", nargs="?", help="a directory of Python source (default: the standard library)")
    parser.add_argument("--all", action="store_true", help="take every file, whatever time and memory that needs")
    parser.add_argument("--row", action="append", metavar="NAME", help="show only this row; may be repeated")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _demo(args: argparse.Namespace) -> int:
    from safemem.demo.command import run

    return OK if run(args.directory, args.row, everything=args.all, as_json=args.json) else LEFT_BEHIND


def _add_info(commands: SubParsers) -> None:
    parser = _add(
        commands,
        "info",
        "show versions, which core is in use, limits, the memory of a process, and the signals that tell when it is short",
        _info,
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _info(args: argparse.Namespace) -> int:
    from safemem._info import as_text, collect

    facts = collect()
    if args.json:
        say_json(facts)
    else:
        say(as_text(facts))
    return OK


def _add_ls(commands: SubParsers) -> None:
    parser = _add(commands, "ls", "list shared memory and temporary files: who holds what, alive or orphaned", _ls)
    parser.add_argument("--dir", metavar="DIR", action="append", default=[], help="look into this directory, too; may be repeated")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _ls(args: argparse.Namespace) -> int:
    from safemem._leftovers import show

    show(args.dir, as_json=args.json)
    return OK


def _add_sweep(commands: SubParsers) -> None:
    parser = _add(commands, "sweep", "remove what dead programs left; what anybody still uses stays", _sweep)
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    parser.add_argument("--dir", metavar="DIR", action="append", default=[], help="look into this directory, too; may be repeated")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _sweep(args: argparse.Namespace) -> int:
    from safemem._leftovers import remove

    remove(args.dir, dry_run=args.dry_run, as_json=args.json)
    return OK


_OF_AUDIT = """\
exit status:
  the program's own if that is not 0, else 3 (--error-exitcode) if anything leaked, else 0;
  2 if there is no such program"""


def _add_audit(commands: SubParsers) -> None:
    parser = _add(commands, "audit", "run a program as if alone and report what it leaked, who holds it and what mends it", _audit)
    parser.usage = "safemem audit [options] (SCRIPT | -m MODULE) [ARGS...]"
    parser.epilog = _OF_AUDIT
    parser.add_argument("--json", action="store_true", help="report as JSON; like the text it goes to standard error")
    parser.add_argument("--html", metavar="FILE", help="write the report as a page, too, with the paths to the leaks drawn")
    parser.add_argument("--ignore", metavar="SIGNATURE", action="append", default=[], help="a leak that is known; may be repeated")
    parser.add_argument("--trace", action="store_true", help="show where things were made; the program takes about six times as long")
    parser.add_argument("--error-exitcode", metavar="N", type=_exit_status, default=3, help="exit status if anything leaked (default: 3)")
    parser.add_argument("-m", dest="module", metavar="MODULE", nargs=argparse.REMAINDER, help="run a module, as `python -m` does")
    parser.add_argument(
        "program", metavar="SCRIPT", nargs=argparse.REMAINDER, help="a script, a directory or an archive, and its arguments"
    )


def _exit_status(text: str) -> int:
    number = int(text) if text.isdecimal() else -1
    if not 0 <= number <= 255:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 255, got {text!r}")
    return number


def _audit(args: argparse.Namespace) -> int:
    is_module = args.module is not None
    program = args.module if is_module else args.program
    if not program:
        raise CommandError("give a script to run, or -m and a module")
    from safemem._audit import Wishes, audit

    return audit(Wishes(program, is_module, args.trace, args.json, args.html, args.ignore, args.error_exitcode))


COMMANDS: tuple[Callable[[SubParsers], None], ...] = (_add_demo, _add_audit, _add_ls, _add_sweep, _add_info)


def _add(commands: SubParsers, name: str, text: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    """Add a sub-command that looks like the others."""
    description = f"{text[0].upper()}{text[1:]}."
    parser = commands.add_parser(
        name, help=text, description=description, epilog=_STATUSES, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.set_defaults(run=run)
    return parser


class _Version(argparse.Action):
    """Finds the version out only when it is asked for."""

    def __call__(self, *_args: object, **_kwargs: object) -> None:
        """Print the version and leave."""
        from safemem._info import version

        say(f"safemem {version()}")
        raise SystemExit(OK)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="safemem",
        description="Shows what a Python program holds on to, and how to let go of it.",
        epilog=_STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in COMMANDS:
        add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status; wrong usage raises SystemExit, as argparse does."""
    try:
        try:
            args = _parser().parse_args(argv)
        except SystemExit:
            flush_stderr()
            flush_stdout()
            raise
        status: int = args.run(args)
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED
    except OutputError as error:
        abandon_stdout()
        complain(f"error: {error}")
        return BAD_INPUT
    except CommandError as error:
        complain(f"error: {error}")
        return BAD_INPUT
    except MemoryError:
        complain("error: out of memory")
        return BAD_INPUT
    return status
