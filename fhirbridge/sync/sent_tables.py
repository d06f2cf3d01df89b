"""A table as it was sent and opened: its rows in chunks, each of them a message, and what became of
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from fhirbridge.formats import fhir_json
from fhirbridge.formats.tabular_columns import OURS
from fhirbridge.formats.tabular_text import RawRow, Sheet, plain
from fhirbridge.formats.tabular_told import Survey, Told
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError
from fhirbridge.registry.unit import Unit
from fhirbridge.sync import files
from fhirbridge.sync.fates import Known, RowFate, fates
from fhirbridge.sync.ingest import Incoming
from fhirbridge.sync.rows import KIND, Chunk
from fhirbridge.sync.tables import Asked, Reader

SOURCE = "csv"
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Sent:
    """A file as it was sent. `form` may be empty: then it is found by the columns. `asked` is what
    was told beside, such as the charset and a data dictionary."""

    name: str
    body: bytes
    form: str = ""
    charset: str = ""
    dictionary: str = ""

    def beside(self) -> str:
        told = {"charset": self.charset, "dictionary": self.dictionary}
        return fhir_json.dump({n: v for n, v in told.items() if v}).decode()


@dataclass(frozen=True, slots=True)
class Table:
    """A file that was opened, with the mappings of its site."""

    mappings: MappingSet
    asked: Asked
    sheet: Sheet
    survey: Survey
    reader: Reader
    system: str

    @classmethod
    def open(cls, mappings: MappingSet, sent: Sent, most: int) -> Table:
        opened = files.opened(mappings, sent.body, form=sent.form, charset=sent.charset,
                              dictionary=sent.dictionary, most=most)  # fmt: skip
        system = mappings.names.get("study-id", "")
        return cls(mappings, opened.asked, opened.sheet, opened.survey, opened.reader, system)

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self.sheet.notes, *self.reader.notes, *self.survey.notes)

    @property
    def known(self) -> Known:
        return Known(self.sheet.header.cells, self.reader.by_field, self.sheet.delimiter or ",")

    def told(self) -> Iterator[tuple[RawRow, Told]]:
        above = ""
        for row in files.given(self.sheet, self.reader):
            if not row.blank:
                told = self.reader.told(row, self.survey.doubles.get(row.row), above)
                above = told.study_id or above
                yield row, told

    def chunks(self) -> Iterator[list[tuple[RawRow, Told]]]:
        rows = self.told()
        while chunk := list(islice(rows, CHUNK)):
            yield chunk

    def incoming(self, rows: list[tuple[RawRow, Told]], key: str) -> Incoming:
        chunk = Chunk(self.asked, self.system, self.sheet.header, self.survey, tuple(rows))
        return Incoming(SOURCE, f"{KIND}/{self.asked.form}", key, chunk.body())


def fates_of(
    unit: Unit, receipt: Any, rows: list[tuple[RawRow, Told]], table: Table, *, whole: bool
) -> Iterator[tuple[RawRow, RowFate]]:
    named = [(row, told.study_id) for row, told in rows]
    if receipt.issues:
        raise BridgeError(*receipt.issues)
    made = fates(unit, receipt, named, table.known, whole=whole)
    yield from ((row, fate) for (row, _), fate in zip(rows, made, strict=True))


def withdrawals(rows: list[tuple[RawRow, Told]]) -> int:
    return sum(len(f.nulls) + f.withdrawn for _, told in rows for f in told.facts)


def changed_header(unit: Unit, table: Table) -> Iterator[str]:
    """The columns are held against those of the last file of the form."""
    last = unit.uploads.latest(table.asked.form)
    if last is None:
        return
    before, now = {*map(plain, last.header)}, {*map(plain, table.sheet.header.cells)}
    silent = {"", *OURS}
    new, gone = sorted(now - before - silent), sorted(before - now - silent)
    if new or gone:
        told = [f"new {', '.join(new)}"] if new else []
        told += [f"gone {', '.join(gone)}"] if gone else []
        day = f"{last.applied_at:%Y-%m-%d}"
        yield f"the columns are not those of the last file, applied on {day}: {'; '.join(told)}"
