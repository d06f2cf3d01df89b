"""What a table says, as plain shapes: a row with its facts about records, what of it waits, where
each stands, and what only the whole file showed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fhirbridge.formats.tabular_cells import Marks
from fhirbridge.formats.tabular_text import RawRow
from fhirbridge.outcome import Issue
from fhirbridge.study.values import Identifier

Place = tuple[str, str]
"""Line and cell, and the name of the column."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What a row says of one record. `assumed`: fields that no cell says, but the site's map for
    all its files. `withdrawn`: that the record is taken back as a whole."""

    form: str
    key: str
    fields: Mapping[str, Any]
    places: Mapping[str, Place]
    nulls: frozenset[str] = frozenset()
    assumed: frozenset[str] = frozenset()
    issues: tuple[Issue, ...] = ()
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """A row, or what of it cannot be a record, and why."""

    form: str
    issues: tuple[Issue, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """One row: whose it is (a pseudonym or hospital numbers), how it is called, what it says."""

    row: RawRow
    id: str
    study_id: str
    numbers: tuple[Identifier, ...]
    facts: tuple[Fact, ...]
    held: tuple[Held, ...]
    whose: Place
    number: Place | None = None


@dataclass(frozen=True, slots=True)
class Double:
    """That a key stands twice: `line` is the other one, `column` the first that differs, -1 for
    none."""

    line: int
    column: int = -1


@dataclass(frozen=True, slots=True)
class Survey:
    """What only the whole file shows."""

    marks: Mapping[int, Marks] = field(default_factory=dict)
    doubles: Mapping[int, Double] = field(default_factory=dict)  # by row of the spreadsheet
    rows: int = 0
    blank: int = 0
    notes: tuple[str, ...] = ()
