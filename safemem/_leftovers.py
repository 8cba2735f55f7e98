"""What `safemem ls` and `safemem sweep` print."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from safemem._console import CommandError, say, say_json

__all__ = ["remove", "show"]


def show(directories: Sequence[str], *, as_json: bool) -> None:
    """Print what there is, one thing a line, the biggest first."""
    from safemem.resources.sweep import list_resources

    _check(directories)
    try:
        found = sorted(list_resources(directories=directories), key=lambda each: (-each.size, each.path))
    except (OSError, NotImplementedError) as error:
        raise CommandError(str(error)) from None
    if as_json:
        say_json([each._asdict() for each in found])
        return
    lines = [(each.state, each.kind, _size(each.size), _holders(each.holders), _plain(each.path)) for each in found]
    _say_table(("STATE", "KIND", "SIZE", "HELD BY", "PATH"), lines)
    orphans = [each for each in found if each.state == "orphaned"]
    if orphans:
        say(f"{_count(len(orphans), 'orphan')} of {_size(sum(each.size for each in orphans))}: safemem sweep removes them")
    elif not found:
        say("nothing")


def remove(directories: Sequence[str], *, dry_run: bool, as_json: bool) -> None:
    """Remove orphans, and print what was removed."""
    from safemem.resources.sweep import sweep

    _check(directories)
    try:
        found = sorted(sweep(dry_run=dry_run, directories=directories), key=lambda each: (-each.size, each.path))
    except (OSError, NotImplementedError) as error:
        raise CommandError(str(error)) from None
    if as_json:
        say_json([each._asdict() for each in found])
        return
    for each in found:
        say(f"{_size(each.size):>10}  {_plain(each.path)}")
    word = "would be removed" if dry_run else "removed"
    say(f"{word}: {_count(len(found), 'orphan')} of {_size(sum(each.size for each in found))}" if found else "no orphans")


def _check(directories: Iterable[str]) -> None:
    for each in directories:
        if not os.path.isdir(each):  # noqa: PTH112 - may be anything that was typed
            raise CommandError(f"--dir must be a directory, got {each!r}")


def _say_table(head: tuple[str, ...], lines: Sequence[tuple[str, ...]]) -> None:
    if lines:
        widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
        for line in (head, *lines):
            say("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def _holders(holders: Sequence[int]) -> str:
    shown = ",".join(map(str, holders[:5]))
    return f"{shown},..." if len(holders) > 5 else shown or "-"


def _plain(path: str) -> str:
    """Return a path that stays on its line, whatever is in it."""
    return path if path.isprintable() else ascii(path)


def _size(size: int) -> str:
    amount, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
