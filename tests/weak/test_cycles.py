"""Keys that keep their own values alive are named under `-X dev`, with the place of the store."""

from __future__ import annotations

import pytest
from helpers.isolate import run_code

PROGRAM = """
from safemem import WeakCache
class Thing:
    pass
cache = WeakCache({options})
thing = Thing()
key = {key}
{store}
print("done")
"""

STORES = {
    "[]": "cache[key] = thing",
    "set": "cache.set(key, thing, ttl=5)",
    "setdefault": "cache.setdefault(key, thing)",
    "update": "cache.update([(key, thing)])",
    "get_or_create": "cache.get_or_create(key, lambda: thing)",
}


@pytest.mark.parametrize("store", STORES)
def test_a_key_that_leads_to_its_value(store: str) -> None:
    """Each way to store it warns once, at the line that stores, and names both ends."""
    done = run_code(PROGRAM.format(options="0", key="(1, (thing,))", store=STORES[store]), "-X", "dev")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("CycleWarning") == 1, done.stderr
    assert ":8: CycleWarning" in done.stderr, done.stderr
    assert "key of type 'tuple' refers to its value of type 'Thing'" in done.stderr
    assert "leave the WeakCache by itself" in done.stderr


@pytest.mark.parametrize(
    "key",
    [
        "'text'",
        "5",
        "('user', 5)",
        "thing.__class__",
        "(Thing, 'text')",
        "[setattr(thing, 'key', ('user', 5)), thing.key][1]",
        "lambda: thing",
    ],
)
def test_innocent_keys(key: str) -> None:
    """Other keys, one that its value refers to among them, warn of nothing: the entry goes with the value."""
    done = run_code(PROGRAM.format(options="0", key=key, store="cache[key] = thing"), "-X", "dev")
    assert done.stderr == ""
    assert done.stdout == "done\n"


def test_only_in_dev_mode() -> None:
    """Else nothing is searched."""
    done = run_code(PROGRAM.format(options="0", key="(thing,)", store="cache[key] = thing"))
    assert done.stderr == ""


OWNED = """
from safemem import WeakIdentityDict
class Thing:
    pass
notes = WeakIdentityDict()
thing = Thing()
value = {value}
{store}
print("done")
"""


@pytest.mark.parametrize("store", ["notes[thing] = value", "notes.setdefault(thing, value)", "notes.update([(thing, value)])"])
@pytest.mark.parametrize("value", ["thing", "[(thing,)]"])
def test_a_value_that_leads_to_its_owner(store: str, value: str) -> None:
    """An identity mapping warns of it at the line that stores, and names both ends."""
    done = run_code(OWNED.format(value=value, store=store), "-X", "dev")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("CycleWarning") == 1, done.stderr
    assert ":8: CycleWarning" in done.stderr, done.stderr
    assert "refers to its owner of type 'Thing'" in done.stderr
    assert "leave the WeakIdentityDict by itself" in done.stderr


@pytest.mark.parametrize("value", ["'text'", "Thing", "Thing()", "[1, 2]"])
def test_innocent_values(value: str) -> None:
    """Other values warn of nothing."""
    done = run_code(OWNED.format(value=value, store="notes[thing] = value"), "-X", "dev")
    assert (done.stdout, done.stderr) == ("done\n", "")


@pytest.mark.parametrize("store", ["names[name] = thing", "names.register(thing, name)", "names.setdefault(name, thing)"])
def test_a_name_that_leads_to_its_object(store: str) -> None:
    """A registry warns of it at the line that stores."""
    program = (
        f"from safemem import WeakRegistry\nclass Thing: pass\nnames = WeakRegistry()\nthing = Thing()\nname = (1, (thing,))\n{store}\n"
    )
    done = run_code(program, "-X", "dev")
    assert done.stderr.count("CycleWarning") == 1, done.stderr
    assert ":6: CycleWarning" in done.stderr, done.stderr
    assert "leave the WeakRegistry by itself" in done.stderr
