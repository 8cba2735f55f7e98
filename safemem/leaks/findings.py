"""From what grew to leaks: who holds it, of what kind it is, what came, and what mends it."""

from __future__ import annotations

import contextvars
import re
from collections import Counter
from types import CellType
from typing import TYPE_CHECKING, Any, Final

from safemem._graph import attributes_of, class_of, mro_of, type_name
from safemem.leaks.benign import is_bounded, is_mirror, is_of_tool, is_weak_table
from safemem.leaks.fills import is_import
from safemem.leaks.fixes import KIND_OF, fix_for
from safemem.leaks.heap import referents_of
from safemem.leaks.names import describe, edges_along
from safemem.leaks.patterns import BUFFERS, Finding, is_of_program, pattern_of
from safemem.leaks.probes.contents import arrays, owner_of, sizes_of
from safemem.leaks.report import Edge, Leak, RetentionPath
from safemem.leaks.roots import Root
from safemem.leaks.walk import ATEXIT, AUDIT, CALLBACKS, CIRCLE, NATIVE, Way, ways_to
from safemem.leaks.words import signature_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from safemem.leaks.census import Following, Suspect
    from safemem.leaks.evidence import Evidence, Sample

__all__ = ["Findings", "add_arrays", "benign_among", "findings_of_audit", "leak_of_exit_handler", "leaks_of"]

_SAMPLES: Final = 4  # objects of each type that are searched for
_TYPES: Final = 40
_FEW: Final = 20
_DIGITS: Final = re.compile(r"\[[^]]*\]")


class Findings:
    """The leaks of one check while they are put together: sure ones, and those that may only follow from others."""

    def __init__(self, calls: int, evidence: Evidence) -> None:
        self.calls = calls
        self.evidence = evidence
        self.sure: list[tuple[Leak, set[int]]] = []  # each with the addresses on its path
        self.weak: list[Leak] = []  # reported if nothing else is
        self.explained: set[int] = set()  # containers, whose content is no leak of its own

    def add(self, found: Finding, suspect: Suspect | None, sample: Sample | None) -> None:
        """Make a leak of what was found."""
        pattern = pattern_of(found)
        leak = self._leak(found, pattern, suspect, sample)
        if pattern == "mock" and any(leak.fix == fix_for("mock") for leak, _ in self.sure):  # each call is noted in several lists
            return
        second = pattern == "finalize" or (not found.slot and is_weak_table(found.grows, found.elements))
        if second:
            self.weak.append(leak)
        else:
            self.sure.append((leak, {id(node) for node in found.way.nodes}))

    def _leak(self, found: Finding, pattern: str, suspect: Suspect | None, sample: Sample | None) -> Leak:
        kind = KIND_OF[pattern]
        tail = edges_along(None, sample.tail)[:8] if sample is not None and len(sample.tail) > 1 else ()
        edges = (*found.edges, *tail)
        base = RetentionPath(found.edges) if found.edges else RetentionPath((), f"{found.way.root.source}{found.way.root.label}")
        path = RetentionPath(edges, base.holder + "".join(_joined(edge.label) for edge in tail) + _end(edges, found)) if edges else base
        size = (sample.bytes if sample is not None else 0) * (1 if found.slot else self.calls)
        signature = signature_of(kind, base.holder, _names_of(found.elements))
        what = _what(found, suspect, self.calls)
        count = max(1, _more(found, suspect) if suspect is not None else self.calls)
        where = sample.where if sample is not None else None
        return Leak(kind, what, where, path.holder, max(size, 0), signature, fix_for(pattern), path, count)


def _joined(label: str) -> str:
    return label if label[:1] in {".", "["} else f" -> {label.strip()}"


def _end(edges: tuple[Edge, ...], found: Finding) -> str:
    return f" -> {edges[-1].target}" if edges[-1].target else describe(found.grows)


def _names_of(elements: Iterable[Any]) -> str:
    return ", ".join(sorted({type_name(element) for element in elements}))


def _what(found: Finding, suspect: Suspect | None, calls: int) -> str:
    thing = describe(found.grows)
    if found.slot or type_name(found.grows) in BUFFERS:
        return f"{thing}, larger after every call"
    names = Counter(type_name(element) for element in found.elements)
    most = ", ".join(name for name, _ in names.most_common(3))
    number = _more(found, suspect) if suspect is not None else 0
    more = f"{number} more" if number > 0 else "more"
    return f"{thing}, {more} {f'after {calls} calls' if calls > 1 else 'than at the start'}{f': {most}' if most else ''}"


def _more(found: Finding, suspect: Suspect) -> int:
    """Return how many entries came: of a dict, keys may have been counted as well as values."""
    entries = _length(found.grows) if any(base is dict for base in mro_of(class_of(found.grows))) else 0
    return suspect.grew // max(1, round(suspect.size / entries)) if entries else suspect.grew


_length: Final[Any] = vars(dict)["__len__"]


def leaks_of(following: Following, evidence: Evidence, calls: int, own: object, *roots: Root) -> Findings:
    """Return what leaks according to the rounds that were followed; `calls`: how many these were; `own`: the audit itself."""
    findings = Findings(calls, evidence)
    pairs = following.found()
    samples = _samples_of(evidence, following.swelling or {})
    targets = [obj for _, obj in pairs] + samples
    ways = ways_to(targets, *roots, avoid=[pairs, *pairs, samples, evidence.new], audit=[findings, own])
    _add_containers(findings, pairs, ways[: len(pairs)])
    for name, value in following.larger_in_context():
        root = Root(value, f"context variable {name!r}")
        findings.explained.add(id(value))
        sample = evidence.of_slot(value)
        findings.add(Finding(value, Way(root, [value]), (), sample.elements, slot=True), None, sample)
    if following.more_variables:
        _add_variables(findings)
    exits = bool(following.handlers) and evidence.exits.more > 1
    _add_objects(findings, samples, ways[len(pairs) :], following.swelling or {}, exits=exits)
    if exits:
        _add_exit_handlers(findings, evidence.exits.names, following.handlers)
    return findings


def add_arrays(findings: Findings, known: set[tuple[int, int]], own: object, *roots: Root) -> None:
    """Add the NumPy arrays that took the place of smaller ones: the largest of those that are new, those whose memory was not `known` at that address with that size."""
    new = [array for array in arrays() if sizes_of([array]).isdisjoint(known)]
    new = sorted(new, key=lambda array: -owner_of(array).nbytes)[:_SAMPLES]
    for array, way in zip(new, ways_to(new, *roots, avoid=[new], audit=[findings, own]), strict=True):
        if way is None or way.root.source in {AUDIT, CIRCLE} or is_of_tool(way) or is_bounded(way, array):
            continue
        found = Finding(array, way, edges_along(way.root, way.nodes), [array], slot=True)
        findings.add(found, None, findings.evidence.of_slot(array))
        return


def benign_among(pairs: list[tuple[Suspect, Any]], own: object, *roots: Root, soon: int) -> set[int]:
    """Return the addresses of the containers that may grow: mirrors, those of tools, and those with a bound that `soon` entries more do not reach."""
    ways = ways_to([obj for _, obj in pairs], *roots, avoid=[pairs, *pairs], audit=[own])
    found: set[int] = set()
    for (suspect, obj), way in zip(pairs, ways, strict=True):
        if way is not None and (is_of_tool(way) or is_mirror(way) or (suspect.own and is_bounded(way, obj, soon=soon))):
            found.add(suspect.address)
    return found


def findings_of_audit(
    pairs: list[tuple[Suspect, Any]], evidence: Evidence, own: object, is_filled: Callable[[Way, Any], bool]
) -> list[Leak]:
    """Return what leaks of containers that were growing without rounds; `own`: the audit itself.

    `is_filled`: whether one that is held in a certain way is a table that the program fills.
    """
    findings = Findings(1, evidence)
    ways = ways_to([obj for _, obj in pairs], avoid=[pairs, *pairs, evidence.new], audit=[findings, own])
    ways = [None if way is None or is_import(obj) or is_filled(way, obj) else way for (_, obj), way in zip(pairs, ways, strict=True)]
    _add_containers(findings, pairs, ways, has_text_file=True)  # as far as is known
    return [leak for leak, _ in findings.sure] or findings.weak


def _add_exit_handlers(findings: Findings, names: Iterable[tuple[str, str | None]], count: int) -> None:
    """Add the exit handlers, unless what they keep was found already, which says more."""
    if any(leak.holder.startswith(ATEXIT) for leak, _ in findings.sure):
        return
    for name, where in names:
        findings.sure.append((leak_of_exit_handler(name, where, count, f"after {findings.calls} calls"), set()))


def leak_of_exit_handler(name: str, where: str | None, count: int, when: str) -> Leak:
    """Return the leak of an exit handler that is registered again and again."""
    path = RetentionPath((Edge(ATEXIT, " callback", name),), f"{ATEXIT} -> callback {name}")
    signature = signature_of("listener", path.holder)
    return Leak("listener", f"{count} more exit handlers {when}", where, path.holder, 0, signature, fix_for("atexit"), path, count)


def _add_variables(findings: Findings) -> None:
    """Add the context variables of which there are more after every call."""
    names = Counter(variable.name for variable in contextvars.copy_context())
    name = repr(names.most_common(1)[0][0])
    path = RetentionPath(
        (Edge("the context of this thread", f" -> context variable {name}", ""),), f"the context of this thread -> context variable {name}"
    )
    what = f"{names.total()} context variables, more after every call: {name}"
    leak = Leak(
        "growth", what, None, path.holder, 0, signature_of("growth", path.holder), fix_for("context variables"), path, findings.calls
    )
    findings.sure.append((leak, set()))


def _add_containers(findings: Findings, pairs: list[tuple[Suspect, Any]], ways: list[Way | None], *, has_text_file: bool = False) -> None:
    suspected = {suspect.address for suspect, _ in pairs if suspect.own}
    has_text_file = has_text_file or any(type_name(obj) == "StringIO" for _, obj in pairs)
    for (suspect, obj), way in zip(pairs, ways, strict=True):
        if way is None or way.root.source in {AUDIT, CIRCLE}:
            continue
        findings.explained.add(suspect.address)
        if has_text_file and way.root.source == NATIVE and class_of(obj) is list:  # the file's own (3.11), which it does not show
            continue
        steady = suspect.steady or set()
        contents = referents_of(obj) if steady and not suspect.own else []
        findings.explained.update(id(contents[place]) for place in steady if place < len(contents))
        if is_of_tool(way) or is_mirror(way) or any(id(node) in suspected for node in way.nodes[:-1]):
            continue
        if contents:
            for place in sorted(steady):
                _add_slot(findings, way, contents[place], suspect)
        elif not is_bounded(way, obj):
            _add_container(findings, way, obj, suspect)


def _add_container(findings: Findings, way: Way, obj: Any, suspect: Suspect) -> None:
    if suspect.moved:
        obj = attributes_of(obj)
        way = Way(way.root, [*way.nodes, obj])
    sample = findings.evidence.sample(obj)
    if (
        way.root.source == NATIVE and class_of(obj) is dict and any(type_name(element) == "ReferenceType" for element in sample.elements)
    ):  # a class's table of its subclasses
        return
    findings.add(Finding(obj, way, edges_along(way.root, way.nodes), sample.elements, slot=False), suspect, sample)


def _add_slot(findings: Findings, way: Way, content: Any, suspect: Suspect) -> None:
    longer = Way(way.root, [*way.nodes, content])
    sample = findings.evidence.of_slot(content)
    findings.add(Finding(content, longer, edges_along(way.root, longer.nodes), sample.elements, slot=True), suspect, sample)


# -- objects that no container explains -------------------------------------------------------------------------------------------------------


def _samples_of(evidence: Evidence, swelling: dict[int, int]) -> list[Any]:
    """Return some new objects of each type of which there are ever more, those of the program's classes first."""
    by_type: dict[int, list[Any]] = {}
    for obj in evidence.new.values():
        if id(class_of(obj)) in swelling:
            by_type.setdefault(id(class_of(obj)), []).append(obj)
    rows = sorted(by_type.values(), key=lambda row: not is_of_program(row[0]))[:_TYPES]
    return [obj for row in rows for obj in row[-_SAMPLES:]]


def _add_objects(findings: Findings, samples: list[Any], ways: list[Way | None], swelling: dict[int, int], *, exits: bool) -> None:
    """Add what no container explains: chains, and what the interpreter or native code holds."""
    plain: list[tuple[Any, Way]] = []  # objects that are the program's only by who holds them
    told: set[int] = set()
    lost: set[int] = set()  # classes of objects that native code holds, by address
    seen: set[str] = set()
    for obj, way in sorted(zip(samples, ways, strict=True), key=_distance):
        if way is None or way.root.source in {AUDIT, CIRCLE} or is_of_tool(way) or is_mirror(way) or is_bounded(way, obj):
            continue
        if any(id(node) in findings.explained or id(node) in told for node in way.nodes):
            continue
        if way.root.source == NATIVE and id(class_of(way.nodes[0])) in lost and way.nodes[0] is not obj:  # part of what is lost
            continue
        edges = edges_along(way.root, way.nodes)
        folded = _fold(edges)
        chained = folded is not None or _is_head(obj, swelling)
        if way.root.source == ATEXIT and not exits:
            continue
        if (
            way.root.source == NATIVE and findings.weak and not is_of_program(obj)
        ):  # part of what those hold, by an object that cannot be asked
            continue
        if (
            not chained
            and not is_of_program(obj)
            and (way.root.source != ATEXIT or not exits)
            and way.root.source not in {CALLBACKS, NATIVE}
        ):
            plain.append((obj, way))
            continue
        shown = folded or edges
        name = _DIGITS.sub("[]", RetentionPath(shown).holder) if shown else f"{way.root.source} {type_name(obj)}"
        if name not in seen:
            seen.add(name)
            told.add(id(obj))
            lost.add(id(class_of(obj)))
            _add_object(findings, obj, way, shown, chained)
    handlers = [leak.holder for leak, _ in findings.sure if leak.holder.startswith(ATEXIT)]
    findings.sure = [pair for pair in findings.sure if not any(other.startswith(f"{pair[0].holder} ->") for other in handlers)]
    if not findings.sure and not findings.weak:  # each call adds to another container, or to one in the place of the last
        for obj, way in [pair for pair in plain if not _is_in_bounded(pair[1])][:1]:
            _add_object(findings, obj, way, edges_along(way.root, way.nodes), False)


def _is_in_bounded(way: Way) -> bool:
    """Whether anything on the way has a declared bound."""
    return any(is_bounded(Way(way.root, way.nodes[:end]), way.nodes[end - 1]) for end in range(1, len(way.nodes) + 1))


def _distance(pair: tuple[Any, Way | None]) -> tuple[int, bool]:
    obj, way = pair
    return (0 if way is None else len(way.nodes), not is_of_program(obj))


def _add_object(findings: Findings, obj: Any, way: Way, edges: tuple[Edge, ...], chained: bool) -> None:
    sample = findings.evidence.of_slot(obj)
    found = Finding(obj, way, edges, [obj], slot=False)
    unseen = way.root.source in {ATEXIT, CALLBACKS, NATIVE}
    pattern = pattern_of(found) if unseen else _chain_pattern(edges, obj) if chained else pattern_of(found)
    pattern = "chain" if pattern == "namespace" else pattern
    holder = RetentionPath(edges).holder if edges else f"{way.root.source}{way.root.label}"
    more = " -> and so on, each held by the one before" if chained else ""
    path = RetentionPath(edges, holder + more)
    kind = KIND_OF[pattern]
    size = sample.bytes * findings.calls
    what = f"{type_name(obj)} objects, more after every call"
    signature = signature_of(kind, holder, type_name(obj))
    leak = Leak(kind, what, sample.where, path.holder, size, signature, fix_for(pattern), path, findings.calls)
    findings.sure.append((leak, {id(node) for node in way.nodes}))


def _is_head(obj: Any, swelling: dict[int, int]) -> bool:
    """Whether an object leads to one like it, that to another, and so on, through nothing but what there is ever more of."""
    head = obj
    for _ in range(3):
        found = _next_like(head, swelling)
        if found is None:
            return False
        head = found
    return True


def _next_like(head: Any, swelling: dict[int, int]) -> Any:
    level = [head]
    for _ in range(4):
        below: list[Any] = []
        for obj in level:
            for other in referents_of(obj)[:50]:
                if other is not head and class_of(other) is type(head):
                    return other
                if (
                    id(class_of(other)) in swelling
                    or class_of(other) is tuple
                    or class_of(other) is CellType
                    or (class_of(other) is dict and len(other) <= _FEW)
                ):
                    below.append(other)
        level = below[:50]
    return None


def _chain_pattern(edges: tuple[Edge, ...], obj: Any) -> str:
    labels = "".join(edge.label for edge in edges)
    if any(base is BaseException for base in mro_of(class_of(obj))) or any(
        word in labels for word in ("__context__", "__traceback__", "__cause__")
    ):
        return "chained exception"
    if type_name(obj) in {"function", "partial", "method", "cell"} or "closure variable" in labels or "__wrapped__" in labels:
        return "wrapped"
    return "chain"


def _fold(edges: tuple[Edge, ...]) -> tuple[Edge, ...] | None:
    """Return the edges up to the end of the first repetition, if there are three in a row of the same steps; else None."""
    steps = [(_DIGITS.sub("[]", edge.label), edge.target.partition(" of ")[0]) for edge in edges]
    for start in range(len(steps)):
        for length in range(1, 5):
            first = steps[start : start + length]
            if first and steps[start + length : start + 3 * length] == first * 2:
                return edges[: start + length]
    return None
