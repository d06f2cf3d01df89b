"""What the book tells: the loaded mapping, and beside it what only the files' texts hold.

A crosswalk line's source, a reading's note and the remark that heads a file are for people; the
engine does not keep them. Takes texts that were loaded before, so it looks for no faults in them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from fhirbridge import lined_yaml
from fhirbridge.mapping import crosswalk
from fhirbridge.mapping.crosswalk import Line
from fhirbridge.mapping.spec import MappingSet

_SYSTEMS = "crosswalks/systems.csv"
_NO_SYSTEMS = "alias,system,form\n"
OF_A_ROW = "mapping file"
"""Source of a line that a mapping file says beside its row (`code:`)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a crosswalk, where it was taken from, and whether it is the site's own."""

    line: Line
    source: str
    of_site: bool = False


@dataclass(frozen=True, slots=True)
class Remarks:
    """What one mapping file says for people: `head` above its rows; `notes` by field and path;
    `displays` by coding as the file writes it (`$study|mirels-site`)."""

    head: str
    notes: Mapping[tuple[str, str], str]
    displays: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Contents:
    """`walks`: every crosswalk by name; `remarks`: of each mapping file by its name."""

    mappings: MappingSet
    walks: Mapping[str, tuple[Entry, ...]]
    remarks: Mapping[str, Remarks]

    def note(self, file: str, field: str, path: str) -> str:
        """The note of a reading, or nothing."""
        return self.remarks[file].notes.get((field, path), "")


def gather(mappings: MappingSet, texts: Mapping[str, str]) -> Contents:
    """`texts` are those that the mappings were loaded from, by their name in the folder."""
    walks = {name: tuple(entries) for name, entries in sorted(_walks(mappings, texts).items())}
    return Contents(mappings, MappingProxyType(walks), MappingProxyType(_remarks(texts)))


def _walks(mappings: MappingSet, texts: Mapping[str, str]) -> dict[str, list[Entry]]:
    made: dict[str, list[Entry]] = {}
    folders = ("crosswalks", f"sites/{mappings.site}")
    for folder in folders:
        for path, text in sorted(texts.items()):
            if path.rpartition("/")[0] == folder and path.endswith(".csv") and path != _SYSTEMS:
                name = path.rpartition("/")[2].removesuffix(".csv")
                entries = list(_entries(path, text, texts.get(_SYSTEMS, _NO_SYSTEMS)))
                made.setdefault(name, []).extend(entries)
    for name, line in _own_lines(mappings):
        made.setdefault(name, []).append(Entry(line, OF_A_ROW))
    return {name: _once(entries) for name, entries in made.items()}


def _entries(path: str, text: str, systems: str) -> Iterator[Entry]:
    known, _ = crosswalk.read_systems(systems, name=_SYSTEMS)
    lines, _ = crosswalk.read_lines(text, name=path, systems=known)
    sources = _sources(path, text)
    of_site = path.startswith("sites/")
    for line in lines:
        if of_site and line.relationship == "equivalent":  # what we write, no site changes
            line = replace(line, relationship="equal")
        yield Entry(line, sources[line.place], of_site)


def _sources(path: str, text: str) -> dict[str, str]:
    """The column `source` by file and line."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    column = crosswalk.COLUMNS.index("source")
    wide = len(crosswalk.COLUMNS)
    return {f"{path}:{reader.line_num}": row[column].strip() for row in reader if len(row) == wide}


def _own_lines(mappings: MappingSet) -> Iterator[tuple[str, Line]]:
    """The codes that rows and groups of mapping files add to their recogniser's crosswalk."""
    for mapping in mappings.files.values():
        if mapping.recogniser is not None:
            walk = mapping.recogniser.codec.crosswalk
            for line in walk.forward.values():
                if ".csv:" not in line.place:
                    yield walk.name, line


def _once(entries: list[Entry]) -> list[Entry]:
    """Each code once: as the engine, which takes the first of two lines that say the same."""
    first: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        first.setdefault((entry.line.system, entry.line.code), entry)
    return list(first.values())


def _remarks(texts: Mapping[str, str]) -> dict[str, Remarks]:
    made = {}
    for path, text in sorted(texts.items()):
        if "/" in path or not path.endswith(".yaml"):
            continue
        content = lined_yaml.load(text, name=path).content
        if isinstance(content, dict) and "form" in content:
            name = str(content.get("name", content["form"]))
            rows = list(_rows(content))
            notes = {pair: note for row in rows for pair, note in _notes(row)}
            displays = {
                str(r["code"]): str(r["note"]) for r in rows if {"code", "note"} <= r.keys()
            }
            made[name] = Remarks(_head(text), notes, displays)
    return made


def _head(text: str) -> str:
    """The remark above everything else, as one paragraph."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# ").strip())
    return " ".join(lines)


def _rows(content: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from content.get("shared") or ()
    yield from content.get("rows") or ()
    for group in content.get("groups") or ():
        yield group
        yield from group.get("rows") or ()


def _notes(row: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], str]]:
    for reading in (row, *(row.get("accepts") or ())):
        if "note" in reading and "at" in reading and "field" in row:
            yield (str(row["field"]), str(reading["at"])), str(reading["note"])
