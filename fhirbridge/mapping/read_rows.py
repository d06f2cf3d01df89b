"""Reads the rows of a mapping file; a fault is noted with its line and reading goes on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fhirbridge import lined_yaml
from fhirbridge.fhir import definitions
from fhirbridge.mapping import fit
from fhirbridge.mapping.codecs import Codings
from fhirbridge.mapping.coded import Code
from fhirbridge.mapping.parts import PartsReader
from fhirbridge.mapping.spec import Fixed, Gate, Reading, Row
from fhirbridge.study.definition import ABSENT_REASONS, Field, Form, near


@dataclass(frozen=True, slots=True)
class Written:
    """A row, what the file says of it, and whether its place is that of its type in `values`."""

    row: Row
    given: Mapping[str, Any]
    usual: bool


class RowsReader(PartsReader):
    """Rows, their readings, and what is written only."""

    form: Form

    def rows(self, given: Any, at: lined_yaml.Path, *, absent: bool) -> list[Written]:
        """`absent`: the reason why a value is absent stands beside it, where the file says it."""
        if not isinstance(given, list) or not given:
            self.fault(at, f"'{at[-1]}' holds no rows", "add a row for each field")
            return []
        made = (self.row(row, (*at, n), absent=absent) for n, row in enumerate(given))
        return [told for told in made if told is not None]

    def row(self, given: Any, at: lined_yaml.Path, *, absent: bool) -> Written | None:
        given = self.words(given, at, "row")
        field = self.form.fields.get(str(given.get("field")))
        if field is None:
            cause = f"the form {self.form.name} has no field '{given.get('field')}'"
            self.fault(at, cause, near(str(given.get("field")), self.form.fields))
            return None
        for name in {given.get("unless", field.name)} - self.form.fields.keys():
            cause = f"the form {self.form.name} has no field '{name}'"
            self.fault((*at, "unless"), cause, near(str(name), self.form.fields))
        told = self.spelled_out(given, field, at)
        if told is None:
            return None
        component = self.component(given, at)
        readings = self.readings(told, field, at, component)
        if readings is None:
            return None
        usual = "at" not in given and not component
        place = readings[0].path.steps[1 if component else 0].name
        own = self.absence(field, component) if absent and place.startswith("value") else None
        if component and given.get("note"):
            readings = tuple(_showing(one, str(given["note"])) for one in readings)
            own = own and _showing(own, str(given["note"]))
        row = Row(
            field=field,
            readings=readings,
            from_source=bool(given.get("from source")),
            reads_only=bool(given.get("read only")),
            absent=own,
            unless=str(given.get("unless", "")),
        )
        if not row.reads_only:
            self.written(row, at)
        for reading in readings:
            for line, misfit in fit.targets(field, reading.codec):
                self.told(line, misfit)
        return Written(row, given, usual)

    def written(self, row: Row, at: lined_yaml.Path) -> None:
        """What keeps a row from being written."""
        field, first = row.field, row.first
        misfits = [*fit.element(field, first.path), *fit.ways_back(field, first.codec)]
        if row.absent is None and field.name not in self.form.key:
            known_by = self.content.get("recognise", {}).get("at", "")
            misfits += fit.absence(field, first.path, self.resource, known_by)
        for misfit in misfits:
            self.fault(at, *misfit)

    def component(self, given: Mapping[str, Any], at: lined_yaml.Path) -> str:
        """In a group, a row with a code is a component with that code."""
        if at[0] != "groups" or "code" not in given or "at" in given:
            return ""
        return f"component[code={given['code']}]."

    def readings(
        self, told: list[dict[str, Any]], field: Field, at: lined_yaml.Path, component: str
    ) -> tuple[Reading, ...] | None:
        """None where the first, which is written, cannot be."""
        first, *others = told
        made = [self.reading(_below(first, component), field, at)]
        for number, other in enumerate(others):
            below = (*at, "accepts", number)
            spelled = {**first, **self.words(other, below, "reading")}
            made.append(self.reading(_below(spelled, component), field, below))
        if made[0] is None:
            return None
        return tuple(reading for reading in made if reading is not None)

    def spelled_out(
        self, given: dict[str, Any], field: Field, at: lined_yaml.Path
    ) -> list[dict[str, Any]] | None:
        """The row's readings; a row without `at` takes what `values` says of its field's type."""
        if "at" in given:
            first = {word: given[word] for word in ("at", "by") if word in given}
            return [first, *(given.get("accepts") or ())]
        values = self.content.get("values", {})
        if field.type not in values:
            remedy = f"give the row 'at' and 'by', or the file 'values: {{{field.type}: ...}}'"
            self.fault(at, f"nothing says where {field.name} stands", remedy)
            return None
        usual = self.words(values[field.type], ("values", field.type), "values")
        first = {word: usual[word] for word in ("at", "by") if word in usual}
        if "by" in given:
            first["by"] = given["by"]
        return [first, *(given.get("accepts") or ()), *(usual.get("accepts") or ())]

    def absence(self, field: Field, component: str = "", resource: str = "") -> Reading | None:
        """Where the reason stands why the field has no value."""
        told = self.content.get("absent")
        if not told:
            return None
        if resource and definitions.element(resource, str(told.get("at"))) is None:
            return None
        reasons = Field(field.name, "choice", choices=ABSENT_REASONS)
        given = _below(told, component)
        made = self.reading(given, reasons, ("absent",), resource=resource)
        for line, misfit in fit.targets(reasons, made.codec) if made else ():
            self.told(line, misfit)
        return made

    def fixed(self, given: Any, at: lined_yaml.Path, gate: Gate | None) -> list[Fixed]:
        made = []
        for number, one in enumerate(given or ()):
            here = (*at, number)
            one = self.words(one, here, "write only")
            path = self.path(one.get("at"), here)
            when = tuple(one.get("when", ()))
            for name in set(when) - self.form.fields.keys():
                cause = f"the form {self.form.name} has no field '{name}'"
                self.fault(here, cause, near(name, self.form.fields))
            if path is not None:
                made.append(Fixed(path, self.names_in(one.get("value"), here), when))
        if gate is not None and gate.writes is not None:
            made.append(Fixed(gate.path, gate.writes))
        return made

    def names_in(self, value: Any, at: lined_yaml.Path) -> Any:
        """The value with each `$name` in it replaced by its URL."""
        if isinstance(value, str):
            return self.url(value, at)
        if isinstance(value, dict):
            return {word: self.names_in(held, at) for word, held in value.items()}
        return [self.names_in(one, at) for one in value] if isinstance(value, list) else value


def _showing(reading: Reading, display: str) -> Reading:
    """The component is written with its display."""
    first, *rest = reading.path.steps
    path = replace(reading.path, steps=(first.showing(display), *rest))
    return replace(reading, path=path)


def in_order(rows: Iterable[Row], known_by: Any, walk: str) -> tuple[Row, ...]:
    """The rows of a block, the outer places first, each with its borrowed readings: those at a
    place that another row or the recogniser reads first."""
    whole = sorted(rows, key=lambda row: len(row.first.path.steps))
    made = []
    for row in whole:
        others = {r.first.path.steps for r in whole if r is not row and not r.reads_only}
        borrowed = set()
        for number, reading in enumerate(row.readings):
            steps, own = reading.path.steps, fit.walk_of(reading.codec)
            if (steps == known_by and (own is None or own.name != walk)) or (
                steps in others and (number > 0 or row.reads_only)
            ):
                borrowed.add(number)
        made.append(_derived(replace(row, borrowed=frozenset(borrowed)), whole))
    return tuple(made)


def _derived(row: Row, others: list[Row]) -> Row:
    """The row whose code is written beside the codings of its sender: its own is marked."""
    first = row.first
    beside = any(
        isinstance(other.first.codec, Codings) and other.first.path.steps[:-1] == first.path.steps
        for other in others
    )
    if not beside or not isinstance(first.codec, Code) or row.reads_only:
        return row
    marked = replace(first, codec=replace(first.codec, derived=True))
    return replace(row, readings=(marked, *row.readings[1:]))


def _below(given: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The reading with its path put below a place; a path that leads there already stays."""
    at = str(given.get("at"))
    return {**given, "at": at if at.startswith("component[") else f"{prefix}{at}"}
