"""Which column of a table is which field: by exact name, by the site's column map, by a unit in the
header. Near names are suggested and never taken.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from fhirbridge.formats import tabular_units
from fhirbridge.formats.tabular_map import MapLine
from fhirbridge.formats.tabular_text import RawRow, letter, plain, trimmed
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.study.definition import Field, Form, Study

SUBJECT = "study_id"
NUMBERS = "hospital_ids"
ROW = "fhirbridge_row"
"""A column of ours that sites fill in: a word about the row's whole record."""
OURS = ("fhirbridge_fate", "fhirbridge_faults")
_ALIASES = {"hospital_id": NUMBERS, "hospital_number": NUMBERS}


@dataclass(frozen=True, slots=True)
class Column:
    """One column that is read. `factor`: what its numbers are multiplied by."""

    index: int
    header: str
    field: Field
    order: str = ""
    decimal: str = ""
    system: str = ""
    factor: Decimal = Decimal(1)
    row: str = ""


@dataclass(frozen=True, slots=True)
class Columns:
    """`subject` and `numbers` are where the row says whose it is, -1 for nowhere; `word` where it
    says something of its whole record. `constants` are
    values by field, `rows` the words of a wide table; of any other the one word is empty."""

    headers: tuple[str, ...]
    subject: int
    numbers: Column | None
    fields: tuple[Column, ...]
    constants: Mapping[str, str]
    rows: tuple[str, ...]
    unread: tuple[int, ...]
    ours: tuple[int, ...]
    notes: tuple[str, ...] = field(default=())
    word: int = -1

    def of(self, word: str) -> tuple[Column, ...]:
        return tuple(c for c in self.fields if c.row in ("", word))


class Names:
    """What the cells of a header may be called."""

    def __init__(self, form: Form, lines: Sequence[MapLine]) -> None:
        self.form = form
        self.lines = {line.header: line for line in lines if line.header}
        self.constants = {line.field: line.value for line in lines if not line.header}
        fields = {plain(name): name for name in form.fields}
        self.fields = {**_ALIASES, NUMBERS: NUMBERS, **fields, SUBJECT: SUBJECT}

    def known(self, name: str) -> bool:
        return name in self.lines or self.field(name)[0] != ""

    def field(self, name: str) -> tuple[str, str]:
        """The field of a name that no map has, and the unit that stands in it."""
        if name in self.fields:
            return self.fields[name], ""
        base, unit = tabular_units.in_header(name)
        if not unit:
            return "", ""
        if base in self.fields:
            return self.fields[base], unit
        for told, named in self.fields.items():
            short, _, suffix = told.rpartition("_")
            known = self.form.fields.get(named)
            if short == base and known and known.unit and suffix == known.unit.lower():
                return named, unit
        return "", ""

    def is_key(self, part: str) -> bool:
        return part in self.fields

    def gives(self, name: str, wanted: str) -> bool:
        """Whether the column of that name gives the field."""
        line = self.lines.get(name)
        found = line.field if line else self.field(name)[0]
        return found == wanted or (wanted == SUBJECT and found == NUMBERS)


def resolve(study: Study, header: RawRow, names: Names) -> Columns:
    """Raises `BridgeError` with every fault of the header."""
    made = _Resolving(study, names.form, names, header)
    made.run()
    if made.faults:
        raise BridgeError(*made.faults, *made.also)
    return made.columns()


class _Resolving:
    def __init__(self, study: Study, form: Form, names: Names, header: RawRow) -> None:
        self.study, self.form, self.names, self.header = study, form, names, header
        self.faults: list[Issue] = []
        self.also: list[Issue] = []
        self.found: list[Column] = []
        self.unknown: list[int] = []
        self.ours: list[int] = []
        self.subject, self.numbers = -1, None  # type: int, Column | None
        self.seen: dict[tuple[str, str], list[int]] = {}
        self.word = -1

    def run(self) -> None:
        for index, cell in enumerate(self.header.cells):
            name = plain(cell)
            if name in OURS:
                self.ours.append(index)
            elif name == ROW:
                self.word = index
            elif name:
                self.column(index, cell.strip(), name)
        self.twice()
        self.foreign()
        self.missing()

    def column(self, index: int, header: str, name: str) -> None:
        line = self.names.lines.get(name)
        wanted, unit = (line.field, line.unit) if line else self.names.field(name)
        if unit and not line:
            unit = tabular_units.in_header(trimmed(header))[1]  # Gy is no gy
            unit = unit if tabular_units.known(unit) else unit.lower()
        if line and wanted == "-":
            return  # the map says that it is not read
        if not wanted:
            self.unknown.append(index)
            return
        if (self.form.name, wanted) == ("subject", "site"):
            remedy = "leave the column out"
            cause = "the site comes from the credential: the column is not read"
            self.also.append(self.issue(cause, remedy, index, severity="warning"))
            return
        row = line.row if line else ""
        self.seen.setdefault((wanted, row), []).append(index)
        if wanted == SUBJECT:
            self.subject = index
            return
        known = self.form.fields.get(wanted) or self.study.form("subject").fields.get(wanted)
        if known is None or (wanted not in self.form.fields and wanted != NUMBERS):
            cause = f"the column map leads {header} to {wanted}, which {self.form.name} has not"
            self.faults.append(self.issue(cause, "correct the column map", index))
            return
        by = Decimal(1)
        if unit and known.unit:
            factor = tabular_units.factor(tabular_units.told(unit), known.unit)
            if factor is None:
                cause = f"{header} is in {unit}, and the field is in {known.unit}"
                remedy = "send it in that unit: the conversion is not known exactly"
                self.faults.append(self.issue(cause, remedy, index))
                return
            by = factor
        told = Column(
            index, header, known, line.order if line else "", line.decimal if line else "",
            line.system if line else "", by, row,
        )  # fmt: skip
        if wanted == NUMBERS:
            self.numbers = told
        else:
            self.found.append(told)

    def issue(self, cause: str, remedy: str, *indexes: int, severity: str = "error") -> Issue:
        cells = " and ".join(f"{letter(i)}{self.header.row}" for i in indexes)
        at = f"header, cell{'s' if len(indexes) > 1 else ''} {cells}" if indexes else "header"
        named = self.header.cells[indexes[0]].strip() if indexes else ""
        return Issue("structure", cause, remedy, at, named, severity)  # type: ignore[arg-type]

    def twice(self) -> None:
        headers: dict[str, list[int]] = {}
        for index, cell in enumerate(self.header.cells):
            if plain(cell) and plain(cell) not in OURS:
                headers.setdefault(plain(cell), []).append(index)
        told = {tuple(i) for i in headers.values()}
        for indexes in headers.values():
            if len(indexes) > 1:
                name = self.header.cells[indexes[0]].strip()
                cause = f"the column {name} stands {_times(len(indexes))}"
                self.faults.append(self.issue(cause, "remove or rename one", *indexes))
        for (wanted, _), indexes in self.seen.items():
            if len(indexes) > 1 and tuple(indexes) not in told:
                named = " and ".join(self.header.cells[i].strip() for i in indexes)
                cause = f"{named} are both the field {wanted}"
                self.faults.append(self.issue(cause, "remove one", *indexes))

    def foreign(self) -> None:
        """Columns that the form has not: read past, but where they show another kind of file."""
        others = {
            plain(name): form.name
            for form in self.study.forms.values()
            for name in form.fields
            if name not in self.form.fields
        }
        bare = {i: tabular_units.in_header(plain(self.header.cells[i]))[0] for i in self.unknown}
        of_others = [i for i in self.unknown if bare[i] in others or self.of_wide(bare[i])]
        if of_others:
            named = _named(self.header.cells[i].strip() for i in self.unknown)
            are = "are no columns" if len(self.unknown) > 1 else "is no column"
            cause = f"{named} {are} of the form {self.form.name}"
            remedy = "remove them, or send one file a form"
            if all(self.of_wide(bare[i]) for i in of_others):
                remedy = "save a column map (header, field, row): one record for each of its rows"
            self.faults.append(self.issue(cause, remedy, *self.unknown))
            return
        for index in self.unknown:
            near = difflib.get_close_matches(
                plain(self.header.cells[index]), self.names.fields, n=1
            )
            name = self.header.cells[index].strip()
            remedy = f"did you mean {near[0]}?" if near else "map it, or leave it: it is not read"
            self.also.append(self.issue(f"{name} is unknown", remedy, index, severity="warning"))

    def of_wide(self, name: str) -> bool:
        """A field's name with something behind it, as in pain_rest_month_3."""
        return any(name.startswith(f"{f}_") and len(f) > 4 for f in self.form.fields)

    def missing(self) -> None:
        rows = {c.row for c in self.found if c.row} or {""}
        if self.subject < 0 and self.numbers is None:
            self.faults.append(self.issue("there is no column study_id", "add it"))
        for part in self.form.key:
            have = {c.row for c in self.found if c.field.name == part}
            if part in self.names.constants:
                continue
            for row in sorted(rows - have) if "" not in have else ():
                told = f" for {row}" if row else ""
                near = difflib.get_close_matches(
                    part, [plain(self.header.cells[i]) for i in self.unknown], n=1
                )
                remedy = f"is {near[0]} meant?" if near else "add it"
                self.faults.append(self.issue(f"there is no column {part}{told}", remedy))

    def columns(self) -> Columns:
        words = tuple(dict.fromkeys(c.row for c in self.found if c.row)) or ("",)
        notes = tuple(i.sentence() for i in self.also)
        return Columns(
            tuple(cell.strip() for cell in self.header.cells),
            self.subject,
            self.numbers,
            tuple(self.found),
            {n: v for n, v in self.names.constants.items()
             if n not in {c.field.name for c in self.found}},
            words,
            tuple(self.unknown),
            tuple(self.ours),
            notes,
            self.word,
        )  # fmt: skip


def _times(number: int) -> str:
    return "twice" if number == 2 else f"{number} times"


def _named(names: Iterator[str] | Sequence[str]) -> str:
    told = [f'"{name}"' for name in names]
    return " and ".join(told) if len(told) < 3 else f"{', '.join(told[:-1])} and {told[-1]}"
