"""What a file is: CSV or a workbook, of which form, with which columns; read by what reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from fhirbridge.formats import redcap, redcap_survey, tabular_survey, tabular_text, tabular_xlsx
from fhirbridge.formats.redcap_rows import RedcapRows
from fhirbridge.formats.tabular_columns import SUBJECT, Names
from fhirbridge.formats.tabular_text import Known, RawRow, Sheet, plain, refused
from fhirbridge.formats.tabular_told import Survey
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.sync import redcap_maps, tables
from fhirbridge.sync.tables import Asked, Reader

Open = Callable[[Known, list[Known]], Sheet]


@dataclass(frozen=True, slots=True)
class Opened:
    asked: Asked
    sheet: Sheet
    survey: Survey
    reader: Reader


def given(sheet: Sheet, reader: Reader) -> Iterator[RawRow]:
    """The rows as they are read."""
    if isinstance(reader, RedcapRows):
        return redcap_survey.with_keys(sheet.rows(), sheet.rows(), reader)
    return sheet.rows()


def opened(
    mappings: MappingSet,
    body: bytes,
    *,
    form: str,
    charset: str = "",
    dictionary: str = "",
    most: int,
) -> Opened:
    """Raises `BridgeError` with every fault for which the file is refused whole."""

    def open_sheet(known: Known, keys: list[Known]) -> Sheet:
        if tabular_xlsx.is_workbook(body):
            return tabular_xlsx.open_workbook(body, known, keys)
        return tabular_text.open_text(body, known, keys, charset=charset)

    if form == redcap_maps.FORM:
        return _redcap(mappings, open_sheet, dictionary, most)
    form = form or found_form(mappings, open_sheet)
    names = tables.names(mappings, form)
    sheet = open_sheet(names.known, keys(names))
    asked = Asked(form, delimiter=sheet.delimiter)
    first = tables.rows_reader(mappings, asked, sheet.header, {})
    survey = tabular_survey.survey(_counted(sheet, most), sheet.rows(), first)
    reader = replace(first, cells=replace(first.cells, marks=survey.marks))
    return Opened(asked, sheet, survey, reader)


def _redcap(mappings: MappingSet, open_sheet: Open, dictionary: str, most: int) -> Opened:
    variables = redcap.dictionary(dictionary) if dictionary else ()
    known = redcap_maps.headers(mappings, variables)
    sheet = open_sheet(known, [])
    asked = Asked(
        redcap_maps.FORM,
        {"dictionary": [one.kept() for one in variables]},
        sheet.delimiter or ",",
    )
    reader = tables.reader(mappings, asked, sheet.header, {})
    assert isinstance(reader, RedcapRows)
    survey, raw = redcap_survey.survey(_counted(sheet, most), sheet.rows(), reader)
    asked = replace(asked, more={**asked.more, "raw": raw})
    reader = replace(reader, raw=raw)
    return Opened(asked, sheet, survey, reader)


def _counted(sheet: Sheet, most: int) -> Iterator[RawRow]:
    number = 0
    for row in sheet.rows():
        number += not row.blank
        if number > most:
            cause = f"the file has more than {most} rows"
            raise refused(cause, "divide it", category="too-long")
        yield row


def keys(names: Names) -> list[Known]:
    """What the header of a form's file must hold."""

    def gives(part: str) -> Known:
        return lambda name: names.gives(name, part)

    return [gives(part) for part in (SUBJECT, *names.form.key)]


def found_form(mappings: MappingSet, open_sheet: Open) -> str:
    """The form whose columns these are. Raises `BridgeError` where it is none, or any of some."""
    every = {name: tables.names(mappings, name) for name in mappings.study.forms}

    def anything(name: str) -> bool:
        return any(one.known(name) for one in every.values())

    sheet = open_sheet(anything, [])
    counts = {name: _fits(one, sheet.header) for name, one in every.items()}
    best = max(counts.values())
    fitting = [name for name, count in counts.items() if count == best]
    if best <= 0 or len(fitting) > 1:
        told = f": {', '.join(fitting)}" if best > 0 else ""
        cause = f"the columns do not say of which form the file is{told}"
        raise refused(cause, "name the form", "header")
    return fitting[0]


def _fits(names: Names, header: RawRow) -> int:
    cells = [plain(cell) for cell in header.cells]
    if not all(any(key(name) for name in cells) for key in keys(names)):
        return 0
    return sum(1 for name in cells if name and names.known(name))
