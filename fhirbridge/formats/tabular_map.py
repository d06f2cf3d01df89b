"""A site's column map, `columns-<form>.csv`: what the headers of its own tables mean."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass

from fhirbridge.formats import tabular_dates
from fhirbridge.formats.tabular_text import plain
from fhirbridge.outcome import BridgeError, Issue

MAP = ("header", "field", "unit", "date_order", "decimal", "system", "row", "value", "note")


@dataclass(frozen=True, slots=True)
class MapLine:
    """A line of `columns-<form>.csv`. `row`: the columns with the same word make a record of their
    own (wide tables). `value` and no header: what every row says, where the study asks for it."""

    header: str
    field: str
    unit: str = ""
    order: str = ""
    decimal: str = ""
    system: str = ""
    row: str = ""
    value: str = ""
    line: int = 0


def read_map(text: str, *, name: str) -> list[MapLine]:
    """Raises `BridgeError` (configuration) with every fault of the file."""
    made, faults = map_lines(text, name=name)
    if faults:
        raise BridgeError(*faults)
    return made


def map_lines(text: str, *, name: str) -> tuple[list[MapLine], list[Issue]]:
    """The lines, and what is wrong with them. Raises `BridgeError` where there are none."""
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    faults: list[Issue] = []
    made: list[MapLine] = []
    seen: dict[tuple[str, str], int] = {}
    strange = [n for n in rows.fieldnames or () if n not in MAP]
    if strange or not {"header", "field"} <= {*(rows.fieldnames or ())}:
        cause = f"the header is not of {','.join(MAP)}"
        raise _configuration(
            cause, "write header and field, and of the others what is needed", name
        )
    for row in rows:
        given = {key: (row.get(key) or "").strip() for key in MAP}
        order = given["date_order"].upper()
        wrong = ""
        if not given["field"] or not (given["header"] or given["value"]):
            wrong = "header or field is missing"
        elif order not in ("", *tabular_dates.ORDERS):
            wrong = f"'{order}' is no order of a date"
        elif given["decimal"] not in ("", ",", "."):
            wrong = f"'{given['decimal']}' is no decimal mark"
        elif (first := seen.setdefault(_named_by(given), rows.line_num)) != rows.line_num:
            wrong = f"'{given['header'] or given['field']}' stands in line {first} already"
        if wrong:
            at = f"{name}:{rows.line_num}"
            faults.append(Issue("configuration", wrong, "correct the line", place=at))
        made.append(
            MapLine(
                plain(given["header"]), given["field"], given["unit"], order, given["decimal"],
                given["system"], given["row"], given["value"], rows.line_num,
            )
        )  # fmt: skip
    return made, faults


def _named_by(given: Mapping[str, str]) -> tuple[str, str]:
    """What may stand once: a header, or the field of a value that every row says."""
    header = plain(given["header"])
    return header, "" if header else given["field"]


def _configuration(cause: str, remedy: str, name: str) -> BridgeError:
    return BridgeError(Issue("configuration", cause, remedy, place=name))
