"""A sample of mutants with the reference's verdicts, for tests that have no Java.

A mutant is kept as what it changes in its source's text, a source once. Which mutants are taken
does not depend on what our judge says of them.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.damage.mutant import Group
from bench.reference.compare import Row

_MOST: Mapping[Group, int] = {  # bytes
    "structural": 93_000,
    "probe": 66_000,
    "profile": 44_000,
    "extension": 35_000,
    "terminology": 48_000,
}
_TURNS = 6
_LONGEST = 6_500  # bytes of a mutant
_ABOUT = {
    "about": "verdicts of HL7's instance validator 6.5.27 on examples harmed in one place",
    "made by": "python -m bench.reference --sample",
    "origin": "packages hl7.fhir.r4.examples 4.0.1 and hl7.fhir.us.mcode 4.0.0; probes: our own",
    "licence": "CC0-1.0, as the packages; all people in them are invented",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A mutant read from a sample."""

    id: str
    group: Group
    verdict: str
    raw: bytes

    @property
    def kind(self) -> str:
        return self.id.partition("/")[0]


def lines(rows: Iterable[Row], unharmed: Mapping[str, bytes]) -> Iterator[str]:
    """The header, the sources by id, then the mutants by id."""
    taken = chosen(rows, unharmed)
    yield _json(_ABOUT)
    for source in sorted({row.mutant.source for row, _ in taken}):
        yield _source(source, unharmed)
    yield from (line for _, line in taken)


def read(file: Path) -> list[Line]:
    """Every mutant of the sample, its text made from its source's."""
    sources: dict[str, str] = {}
    found: list[Line] = []
    for line in file.read_text(encoding="utf-8").split("\n")[1:-1]:
        told = json.loads(line)
        if "source" in told:
            sources[told["source"]] = told["raw"]
            continue
        start, end = told["cut"]
        text = sources[told["of"]]
        raw = (text[:start] + told["text"] + text[end:]).encode()
        found.append(Line(told["id"], told["group"], told["verdict"], raw))
    return found


def chosen(rows: Iterable[Row], unharmed: Mapping[str, bytes]) -> list[tuple[Row, str]]:
    """Rows and their lines, sorted by id: of each group as many as fit, the cheapest first.

    In each turn every kind gives one that is refused, then one that is accepted. What needs a
    source that is not there yet costs that source too.
    """
    left, sources = dict(_MOST), set[str]()
    taken: list[tuple[Row, str]] = []
    waiting = _waiting(rows, unharmed)

    def cost(entry: tuple[Row, str]) -> tuple[int, str]:
        source = entry[0].mutant.source
        more = 0 if source in sources else len(_source(source, unharmed).encode())
        return more + len(entry[1].encode()), entry[0].mutant.id

    for _ in range(_TURNS):
        for entries in waiting:
            best = min(entries, key=cost, default=None)
            if best and cost(best)[0] <= left[best[0].mutant.group]:
                left[best[0].mutant.group] -= cost(best)[0]
                sources.add(best[0].mutant.source)
                taken.append(best)
                entries.remove(best)
    return sorted(taken, key=lambda entry: entry[0].mutant.id)


def _waiting(rows: Iterable[Row], unharmed: Mapping[str, bytes]) -> list[list[tuple[Row, str]]]:
    """Rows and their lines by kind and verdict, the refused before the accepted."""
    found: defaultdict[tuple[bool, str], list[tuple[Row, str]]] = defaultdict(list)
    for row in rows:
        mutant = row.mutant
        if row.theirs.word != "none" and mutant.group in _MOST and len(mutant.raw) <= _LONGEST:
            found[not row.refused_by_them, mutant.kind].append((row, _line(row, unharmed)))
    return [found[key] for key in sorted(found)]


def _source(name: str, unharmed: Mapping[str, bytes]) -> str:
    return _json({"source": name, "raw": unharmed[name].decode()})


def _line(row: Row, unharmed: Mapping[str, bytes]) -> str:
    mutant = row.mutant
    before, after = unharmed[mutant.source].decode(), mutant.raw.decode()
    start = _alike(before, after)
    same = _alike(before[start:][::-1], after[start:][::-1])
    told: dict[str, Any] = {
        "id": mutant.id,
        "group": mutant.group,
        "verdict": row.theirs.word,
        "of": mutant.source,
        "cut": [start, len(before) - same],
        "text": after[start : len(after) - same],
    }
    return _json(told)


def _alike(one: str, other: str) -> int:
    """How many characters the two have in common from the start."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"
