"""Damage that nobody chose: random edits from a seed, so that kinds not thought of are tried.

The same seed and sources give the same mutants.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from bench.damage.edits import GONE, Path, got, put, renamed, told
from bench.damage.mutant import Harm, Mutant
from bench.damage.source import Source
from fhirbridge.formats import fhir_json

Edit = Callable[[dict[str, Any], list[Path], random.Random], Harm | None]
_SCALARS: tuple[Any, ...] = (
    True, False, 0, 1, -1, 2**31, Decimal("1.5"), "", " ", "x", "2021-02-30", "2021", "#x", "a b",
    "http://example.org/x", "urn:oid:1.2", "Patient/1", None, [], {}, ["x"], [{}], [None],
    {"id": "x"}, {"coding": []}, {"text": "x"}, {"reference": "Patient/1"}, {"value": 1},
)  # fmt: skip


def paths(value: Any, above: Path = ()) -> Iterator[Path]:
    """The path of everything in the resource but the whole and its type."""
    pairs: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        pairs = ((name, one) for name, one in value.items() if name != "resourceType")
    elif isinstance(value, list):
        pairs = enumerate(value)
    for step, one in pairs:
        yield (*above, step)
        yield from paths(one, (*above, step))


def _swapped(resource: dict[str, Any], at: list[Path], rng: random.Random) -> Harm | None:
    """Two parts change places."""
    one, other = rng.choice(at), rng.choice(at)
    if one[: len(other)] == other or other[: len(one)] == one:
        return None
    first, second = got(resource, one), got(resource, other)
    return one, put(put(resource, one, second), other, first)


def _copied(resource: dict[str, Any], at: list[Path], rng: random.Random) -> Harm | None:
    """The value of another element of the same document."""
    one, other = rng.choice(at), rng.choice(at)
    return one, put(resource, one, got(resource, other))


def _renamed(resource: dict[str, Any], at: list[Path], rng: random.Random) -> Harm | None:
    """A property under the name of another, or a misspelt one."""
    one = rng.choice(at)
    names = sorted({str(p[-1]) for p in at if isinstance(p[-1], str)})
    if not isinstance(one[-1], str):
        return None
    new = rng.choice((rng.choice(names), one[-1][1:], one[-1] + "s", "_" + one[-1]))
    owner = got(resource, one[:-1])
    if not new or new in owner:
        return None
    return one, put(resource, one[:-1], renamed(owner, one[-1], new))


def _gone(resource: dict[str, Any], at: list[Path], rng: random.Random) -> Harm | None:
    one = rng.choice(at)
    return one, put(resource, one, GONE)


def _doubled(resource: dict[str, Any], at: list[Path], rng: random.Random) -> Harm | None:
    items = [path for path in at if isinstance(path[-1], int)]
    if not items:
        return None
    one = rng.choice(items)
    above = got(resource, one[:-1])
    return one, put(resource, (*one[:-1], len(above)), above[one[-1]])


def _retyped(resource: dict[str, Any], at: list[Path], rng: random.Random) -> Harm | None:
    one = rng.choice(at)
    return one, put(resource, one, rng.choice(_SCALARS))


def _added(resource: dict[str, Any], at: list[Path], rng: random.Random) -> Harm | None:
    """A property of one object in another one."""
    named = [path for path in at if isinstance(path[-1], str)]
    holders = [path for path in at if isinstance(got(resource, path), dict)]
    if not holders:
        return None
    one, holder = rng.choice(named), rng.choice(holders)
    if one[-1] in got(resource, holder):
        return None
    return (*holder, one[-1]), put(resource, (*holder, one[-1]), got(resource, one))


def _characters(resource: dict[str, Any], at: list[Path], rng: random.Random) -> Harm | None:
    """A character of a text changed, taken out or put in."""
    texts = [path for path in at if isinstance(got(resource, path), str)]
    if not texts:
        return None
    one = rng.choice(texts)
    old = got(resource, one)
    where = rng.randrange(len(old) + 1)
    new = old[:where] + rng.choice(("", "x", " ", "0", "-", "/", ":", "é")) + old[where + 1 :]
    return one, put(resource, one, new)


def _reversed(resource: dict[str, Any], at: list[Path], rng: random.Random) -> Harm | None:
    lists = [path for path in at if isinstance(got(resource, path), list)]
    if not lists:
        return None
    one = rng.choice(lists)
    return one, put(resource, one, got(resource, one)[::-1])


EDITS: dict[str, Edit] = {
    "random: two parts swapped": _swapped,
    "random: value of another element": _copied,
    "random: property renamed": _renamed,
    "random: part removed": _gone,
    "random: item doubled": _doubled,
    "random: value of another type": _retyped,
    "random: property of another object": _added,
    "random: characters of a text": _characters,
    "random: list reversed": _reversed,
}


def mutants(sources: Sequence[Source], *, seed: int, count: int) -> list[Mutant]:
    """At most so many different mutants, each with one random edit, every tenth with two."""
    rng = random.Random(seed)
    made: dict[bytes, Mutant] = {}
    for number in range(count):
        source = rng.choice(sources)
        kind = rng.choice(sorted(EDITS))
        harm = _apply(source.resource, EDITS[kind], rng)
        if harm and number % 10 == 0 and isinstance(harm[1], dict):
            harm = _apply(harm[1], EDITS[kind], rng) or harm
        if harm is None or harm[1] == source.resource:
            continue
        raw = fhir_json.dump(harm[1])
        name = f"{kind}/{seed}/{number}"
        at = told(source.type, harm[0])
        made.setdefault(raw, Mutant(name, kind, "random", source.id, at, raw))
    return [*made.values()]


def _apply(resource: dict[str, Any], edit: Edit, rng: random.Random) -> Harm | None:
    at = [*paths(resource)]
    return edit(resource, at, rng) if at else None
