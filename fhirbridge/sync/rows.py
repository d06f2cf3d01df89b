"""Messages that are rows of a table: a chunk of an upload, which holds all that is needed to read
it alone.

Its body is JSON: the cover (form, header, what the whole file showed) and the rows, each with its
line, so that a chunk is read again when a crosswalk or a column map has changed. Nothing of a row
is in the database before; what may not be kept leaves it row by row.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fhirbridge.fhir.bundle import Entry
from fhirbridge.formats import fhir_json
from fhirbridge.formats.tabular_cells import Marks
from fhirbridge.formats.tabular_text import RawRow
from fhirbridge.formats.tabular_told import Double, Fact, Held, Survey, Told
from fhirbridge.mapping.decode import Decoded
from fhirbridge.mapping.read_row import Trace
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.messages import REDACTED, Message
from fhirbridge.study.definition import Field
from fhirbridge.sync import tables
from fhirbridge.sync.judge import Opened
from fhirbridge.sync.tables import Asked

KIND = "csv"
RULE = "column"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows of one file, with what is needed to read them."""

    asked: Asked
    system: str  # of the study's pseudonyms
    header: RawRow
    survey: Survey
    rows: tuple[tuple[RawRow, Told], ...]

    def body(self) -> bytes:
        made = {
            "fhirbridge": "rows",
            "version": _VERSION,
            **self.asked.kept(),
            "system": self.system,
            "header": [self.header.line, self.header.row, list(self.header.cells)],
            "marks": {str(i): [m.commas, m.both] for i, m in self.survey.marks.items()},
            "rows": [_kept(row, told, self.survey.doubles.get(row.row)) for row, told in self.rows],
        }
        return fhir_json.dump(made)


def _kept(row: RawRow, told: Told, double: Double | None) -> dict[str, Any]:
    """A row with whom it is about, which is known without the mappings then."""
    made: dict[str, Any] = {"at": [row.line, row.row], "cells": list(row.cells), "id": told.id}
    if told.study_id:
        made["subject"] = told.study_id
    if told.numbers:
        made["numbers"] = [[n.system, n.value] for n in told.numbers]
    if row.formulas:
        made["formulas"] = list(row.formulas)
    if row.context:
        made["context"] = [list(pair) for pair in row.context]
    if double is not None:
        made["double"] = [double.line, double.column]
    return made


def parse(body: bytes) -> Mapping[str, Any]:
    made = fhir_json.parse(body)
    if made.get("fhirbridge") != "rows" or not isinstance(made.get("rows"), list):
        cause, remedy = "these are no rows of a table", "send the file to /api/v1/imports"
        raise BridgeError(Issue("structure", cause, remedy))
    return made


def read(body: bytes) -> Any:
    return fhir_json.read(body)


def open_message(
    made: Mapping[str, Any], *, kind: str, asked: Mapping[str, str], mappings: MappingSet
) -> Opened:
    """Raises `BridgeError` where the columns are none that today's column map knows."""
    reader = tables.reader(mappings, Asked.of(made), _row(made["header"]), _marks(made))
    facts: dict[int, list[Decoded]] = {}
    found: list[tuple[Entry, list[Issue]]] = []
    above = ""
    for position, (row, double) in enumerate(_rows(made)):
        if row is None:
            found.append((_gone(position), [Issue("consent", "nothing of it is kept")]))
            continue
        told = reader.told(row, double, above)
        above = told.study_id or above
        entry = _entry(made, position, row.cells, told)
        facts[position] = list(decoded(mappings, told, made["system"]))
        found.append((entry, []))
    return Opened("rows", found, facts=facts, partial=True)


def decoded(mappings: MappingSet, told: Told, system: str) -> Iterator[Decoded]:
    """The facts of one row as of any other format."""
    patient = _patient(told, system)
    for fact in told.facts:
        if fact.withdrawn:
            form, key = fact.form, fact.key
            yield Decoded("withdraw", form=form, key=key, block=form, patient=patient)
        else:
            yield _fact(mappings, fact, patient)
    for held in told.held:
        yield _held(held, patient)


def _fact(mappings: MappingSet, fact: Fact, patient: Mapping[str, Any] | None) -> Decoded:
    fields = {**mappings.study.form("subject").fields, **mappings.study.form(fact.form).fields}
    return Decoded(
        "record",
        fact.issues,
        form=fact.form,
        key=fact.key,
        block=fact.form,
        fields=fact.fields,
        traces={
            name: _trace(fields[name], fact, at[0]) for name, at in fact.places.items()
        },
        patient=patient,
        nulls=fact.nulls,
    )  # fmt: skip


def _trace(field: Field, fact: Fact, at: str) -> Trace:
    # A required field that waits would keep its whole record waiting: who fills in a template
    # says a word of the study itself.
    review = field.accept == "review" and not field.required
    return Trace(at, RULE, review, assumed=field.name in fact.assumed)


def _held(held: Held, patient: Mapping[str, Any] | None) -> Decoded:
    return Decoded("hold", held.issues, form=held.form, block=held.form, patient=patient)


def _patient(told: Told, system: str) -> Mapping[str, Any] | None:
    if told.study_id:
        return {"identifier": {"system": system, "value": told.study_id}}
    first = next(iter(told.numbers), None)
    return {"identifier": {"system": first.system, "value": first.value}} if first else None


def _entry(made: Mapping[str, Any], position: int, cells: Collection[str], told: Told) -> Entry:
    given = {
        "cells": list(cells),
        "id": told.id,
        "subject": told.study_id,
        "numbers": [[n.system, n.value] for n in told.numbers],
    }
    return _spoken(made, position, given, root=told.whose[0])


def _spoken(
    made: Mapping[str, Any], position: int, row: Mapping[str, Any], *, root: str = ""
) -> Entry:
    """In the shape in which whoever is spoken of is looked for."""
    form = str(made.get("form", ""))
    resource: dict[str, Any] = {
        "resourceType": "Consent" if form == "consent" else form,
        "id": row.get("id", ""),
        "cells": row.get("cells", []),
    }
    if row.get("subject"):
        system = made.get("system", "")
        resource["subject"] = {"identifier": {"system": system, "value": row["subject"]}}
    numbers = row.get("numbers") or []
    if numbers:
        resource["numbers"] = [{"identifier": {"system": s, "value": v}} for s, v in numbers]
    return Entry(position, resource, root)


def _gone(position: int) -> Entry:
    return Entry(position, None, f"row {position}")


def entries(made: Any) -> list[Entry]:
    rows = made.get("rows") if isinstance(made, Mapping) else None
    return [
        _spoken(made, position, row) if isinstance(row, Mapping) else _gone(position)
        for position, row in enumerate(rows if isinstance(rows, list) else ())
    ]


def cover(made: Any) -> bytes:
    given = made if isinstance(made, Mapping) else {}
    return fhir_json.dump({name: value for name, value in given.items() if name != "rows"})


def without(message: Message, positions: Collection[int], *, bare: bool) -> Message:
    made = fhir_json.parse(message.body)
    rows = [None if n in positions else row for n, row in enumerate(made["rows"])]
    if rows == made["rows"]:
        return message
    return replace(message, body=fhir_json.dump({**made, "rows": rows}), state=REDACTED)


def _row(given: Any) -> RawRow:
    line, row, cells = given
    return RawRow(line, row, tuple(cells))


def _marks(made: Mapping[str, Any]) -> Mapping[int, Marks]:
    return {int(i): Marks(*told) for i, told in made.get("marks", {}).items()}


def _rows(made: Mapping[str, Any]) -> Iterator[tuple[RawRow | None, Double | None]]:
    for given in made["rows"]:
        if given is None:
            yield None, None
            continue
        line, row = given["at"]
        double = Double(*given["double"]) if "double" in given else None
        cells, formulas = tuple(given["cells"]), tuple(given.get("formulas", ()))
        context = tuple((name, text) for name, text in given.get("context", ()))
        yield RawRow(line, row, cells, formulas, context), double
