"""One crosswalk as the page tells it: its lines, grouped by what happens to a code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fhirbridge.book import in_words
from fhirbridge.book.contents import Contents, Entry
from fhirbridge.book.field_entry import walk_of
from fhirbridge.mapping.read_shapes import BESIDE, PART_OF

FATES: Mapping[str, tuple[str, frozenset[str]]] = MappingProxyType(
    {
        "Read and written": (
            "The one code that is written for the word. It is read, too.",
            frozenset({"equivalent"}),
        ),
        "Read": (
            "The code says the word, or more than the word. Another code is written for it.",
            frozenset({"equal", "wider", "deprecated"}),
        ),
        "Waits for a person": (
            "The code is known and does not say which word is meant.",
            frozenset({"narrower", "inexact", "unmatched"}),
        ),
        "Refused": (
            "The code is known and certainly not meant.",
            frozenset({"disjoint"}),
        ),
    }
)
"""What happens, in a sentence, to codes of these relationships."""
_BESIDE: Mapping[str, str] = MappingProxyType(
    {
        "deprecated": "the code is withdrawn",
        "narrower": "the word would say more than the code",
        "inexact": "near, not the same",
    }
)


@dataclass(frozen=True, slots=True)
class LineEntry:
    code: str
    display: str
    word: str
    note: str
    source: str


@dataclass(frozen=True, slots=True)
class Group:
    """Lines of one fate and one code system."""

    system: str
    url: str
    lines: tuple[LineEntry, ...]

    @property
    def noted(self) -> bool:
        return any(line.note for line in self.lines)

    @property
    def source(self) -> str:
        """Where all of them come from; empty where they differ."""
        sources = {line.source for line in self.lines}
        return sources.pop() if len(sources) == 1 else ""


@dataclass(frozen=True, slots=True)
class Fate:
    name: str
    told: str
    groups: tuple[Group, ...]

    @property
    def count(self) -> int:
        return sum(len(group.lines) for group in self.groups)


@dataclass(frozen=True, slots=True)
class WalkEntry:
    name: str
    uses: tuple[str, ...]
    fates: tuple[Fate, ...]

    @property
    def count(self) -> int:
        return sum(fate.count for fate in self.fates)


def walk_entries(contents: Contents) -> Iterator[WalkEntry]:
    uses = _uses(contents)
    for name, entries in contents.walks.items():
        told = ((fate, *FATES[fate]) for fate in FATES)
        fates = tuple(
            Fate(fate, sentence, tuple(_groups([e for e in entries if _is(e, relationships)])))
            for fate, sentence, relationships in told
        )
        yield WalkEntry(name, tuple(uses.get(name, ())), tuple(f for f in fates if f.groups))


def _is(entry: Entry, relationships: frozenset[str]) -> bool:
    return entry.line.relationship in relationships


def _groups(entries: list[Entry]) -> Iterator[Group]:
    """In the order in which the systems come; the lines as they stand in the file."""
    for url in dict.fromkeys(entry.line.system for entry in entries):
        lines = tuple(_line(entry) for entry in entries if entry.line.system == url)
        yield Group(in_words.system(url), url, lines)


def _line(entry: Entry) -> LineEntry:
    line = entry.line
    told = [_BESIDE.get(line.relationship, ""), line.note]
    if "+" in line.code:
        told.insert(0, "all of these codes together")
    note = "; ".join(part for part in told if part)
    source = f"{entry.source} (site)" if entry.of_site else entry.source
    return LineEntry(line.code.replace("+", " + "), line.display, line.target, note, source)


def _uses(contents: Contents) -> dict[str, list[str]]:
    """By crosswalk: the fields that are read or written with it, and what it recognises."""
    found: dict[str, dict[str, None]] = {}
    for mapping in contents.mappings.files.values():
        form = mapping.form.name
        if mapping.recogniser is not None:
            name = mapping.recogniser.codec.crosswalk.name
            found.setdefault(name, {})[f"which {mapping.resource} belongs to {form}"] = None
        inside = (row for i in mapping.inside for rows in i.rows.values() for row in rows)
        for row in (*(row for block in mapping.blocks for row in block.rows), *inside):
            reasons = [row.absent] if row.absent is not None else []
            for reading in (*row.readings, *reasons):
                if walk_of(reading):
                    found.setdefault(walk_of(reading), {})[f"{form}.{row.field.name}"] = None
    for field, name in BESIDE.items():
        found.setdefault(name, {})[f"{field} of an operation that came by HL7 v2"] = None
    found.setdefault(PART_OF, {})["what of a record a result of HL7 v2 is"] = None
    return {name: sorted(used) for name, used in found.items()}
