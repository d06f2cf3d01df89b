"""Cells of tables: text to a value of the field, or why it is none. Nothing is typed by its looks.

A blank states nothing; `withdraw` takes a value back; a reason of absence and the site's own words
for one say why there is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from fhirbridge.formats import csv_cells, tabular_dates, tabular_units
from fhirbridge.formats.tabular_columns import Column
from fhirbridge.formats.tabular_text import trimmed
from fhirbridge.study.checks import check_value
from fhirbridge.study.definition import ABSENT_REASONS, Field, near
from fhirbridge.study.fields import DATES, NUMBERS
from fhirbridge.study.values import Absent, Identifier

WITHDRAW = "withdraw"
_ERRORS = re.compile(r"#(?:REF|N/A|NV|VALUE|WERT|NAME|DIV/0|NULL|NUM|ZAHL|BEZUG|CALC|SPILL)[!?]?")
_HASHES = re.compile(r"#{2,}")
_SCIENTIFIC = re.compile(r"-?\d+(?:[.,]\d+)?[eE]\+?\d+", re.ASCII)
_NUMBER = re.compile(r"([+-]?\d{1,18}(?:[.,]\d{1,18})*)(?:\s*([^\d\s.,].*))?", re.ASCII)
_COMMA = re.compile(r"[+-]?\d+(,\d{1,2})?", re.ASCII)
_PLAIN = re.compile(r"[+-]?\d{1,18}(\.\d{1,18})?", re.ASCII)
_PERHAPS_ABSENT = frozenset(
    {
        "na", "n/a", "n.a.", "nan", "null", "none", "nil", ".", "-", "--", "---", "/", "?", "k.a.",
        "k. a.", "n.b.", "nb", "nd", "n.d.", "missing", "unbekannt", "unk", "nicht erhoben",
        "nicht bekannt", "keine angabe", "entfällt", "nicht gemacht", "not done", "not known",
        "inconnu", "desconocido", "non noto",
    }
)  # fmt: skip
_TABLE_0001 = {"M": "male", "F": "female"}

Words = Callable[[Field, str], str]
"""The study's word for a site's own word of a choice, or nothing."""


class Wrong(NamedTuple):
    """Why a cell is no value; it waits alone, or with its row where it is a part of the key."""

    cause: str
    remedy: str
    category: str = "value"


@dataclass(frozen=True, slots=True)
class Marks:
    """What the whole column shows. `commas`: of decimals `,`, `mixed`, `odd`, or nothing; `both`:
    the lines in which dates of the two orders stand."""

    commas: str = ""
    both: str = ""


@dataclass(frozen=True, slots=True)
class Cells:
    """Reads the cells of one site's files. `absences` are its words by field, or `` for all."""

    absences: Mapping[tuple[str, str], str]
    words: Words
    marks: Mapping[int, Marks]

    def read(self, column: Column, cell: str, *, key: bool = False) -> Any:
        """A value, WITHDRAW, `Wrong`, or None for a blank."""
        text = trimmed(cell)
        if not text:
            return None
        if text[0] == "#" and _ERRORS.fullmatch(text):
            return Wrong("a spreadsheet error cell", "repair the formula, and save values")
        if text[0] == "#" and _HASHES.fullmatch(text):
            return Wrong("the column was too narrow when saved", "widen it and save again")
        field = column.field
        if text == WITHDRAW:
            if key or field.required:
                return Wrong(f"{field.name} must have a value", "correct it instead")
            return WITHDRAW
        reason = self.absence(field, text)
        if reason:
            return self.absent(field, reason)
        value = self.value(column, cell, text, key=key)
        if isinstance(value, Wrong):
            return self.perhaps_absent(field, text, value)
        wrong = check_value(field, value)
        return value if wrong is None else Wrong(wrong.cause, wrong.remedy, wrong.category)

    def absence(self, field: Field, text: str) -> str:
        if text in field.choices:
            return ""
        for name in (field.name, ""):
            told = self.absences.get((name, text))
            if told:
                return told
        return text if text in ABSENT_REASONS else ""

    def absent(self, field: Field, reason: str) -> Any:
        if reason in field.choices:
            return reason
        wrong = check_value(field, Absent(reason))
        if wrong is None:
            return Absent(reason)
        return Wrong(wrong.cause, wrong.remedy, wrong.category)

    def perhaps_absent(self, field: Field, text: str, wrong: Wrong) -> Wrong:
        if text.lower() not in _PERHAPS_ABSENT:
            return wrong
        remedy = "one line in the site's absence words (absence.csv), or leave it blank"
        if text == "NA":
            cause = "NA: not applicable, not available, or 'nicht angegeben'?"
            return Wrong(cause, remedy, "unknown-code")
        return Wrong("unknown word of absence", remedy, "unknown-code")

    def value(self, column: Column, cell: str, text: str, *, key: bool) -> Any:
        field = column.field
        if field.type in NUMBERS:
            return self.number(column, text)
        if field.type in DATES:
            return self.date(column, text)
        if field.type == "choice":
            return self.choice(field, text)
        if field.type == "ids":
            return numbers(column, text)
        if field.type == "codes":
            return _codes(column, text)
        if field.type == "reference" and field.many and "|" in text and ";" not in text:
            return tuple(part.strip() for part in text.split("|"))
        if key or field.type == "reference":
            wrong = damaged(text)
            if wrong:
                return wrong
        parsed = csv_cells.parser(field)(cell if field.type == "text" and not key else text)
        kind = "yes or no" if field.type == "boolean" else f"a {field.type}"
        return Wrong(f"this is not {kind}", "write true or false") if parsed is None else parsed

    def number(self, column: Column, text: str) -> Any:
        field = column.field
        kind = "number" if field.type == "decimal" else "whole number"
        found = _NUMBER.fullmatch(text)
        if found is None:
            if _SCIENTIFIC.fullmatch(text) and field.type == "decimal" and "," not in text:
                return Decimal(text)
            wrong = f"write a {kind}, or leave it blank"
            return Wrong(f"no {kind}", wrong)
        told, unit = found[1], (found[2] or "").strip()
        number = self.decimal(column, told)
        if isinstance(number, Wrong):
            return number
        by = column.factor
        if unit:
            factor = tabular_units.factor(unit, field.unit) if field.unit else None
            if factor is None:
                wanted = f"the field is in {field.unit}" if field.unit else "the field has no unit"
                return Wrong(f"'{unit}' is no unit for it: {wanted}", "give it without, in that")
            by = factor
        number = tabular_units.converted(number, by)
        if field.type == "decimal":
            return number
        if number != number.to_integral_value() or "." in told or ("," in told and by == 1):
            return Wrong("no whole number", "write a whole number")
        return int(number)

    def decimal(self, column: Column, told: str) -> Any:
        marks = self.marks.get(column.index, Marks()).commas
        if column.decimal == ",":
            if not re.fullmatch(r"[+-]?\d+(,\d+)?", told):
                return Wrong("a point, and the column's decimal mark is a comma", "write a comma")
            return Decimal(told.replace(",", "."))
        if marks == "mixed" and ("," in told or "." in told):
            cause = "the column has points and commas: which of them is the decimal mark?"
            return Wrong(cause, "write all with a point, or state the decimal mark of the column")
        if "," in told:
            if column.decimal != "." and marks == "," and _COMMA.fullmatch(told):
                return Decimal(told.replace(",", "."))
            cause = "a comma: decimal mark, or thousands?"
            return Wrong(cause, "write a point, or state the decimal mark of the column")
        if not _PLAIN.fullmatch(told):
            return Wrong("no number", "write it with one point at most")
        return Decimal(told)

    def date(self, column: Column, text: str) -> Any:
        field = column.field
        made = tabular_dates.read(text, order=column.order, time=field.type == "datetime")
        if not made:
            both = self.marks.get(column.index, Marks()).both
            return Wrong(*tabular_dates.fault(text, order=column.order, both=both))
        if field.precision == "day" and len(made) < len("2026-01-01"):
            return Wrong("a visit needs the day", "add the day", "business-rule")
        return made

    def choice(self, field: Field, text: str) -> Any:
        if not field.many:
            return self.word(field, text)
        parts = [part.strip() for part in re.split("[;|]", text)]
        made = [self.word(field, part) for part in parts]
        return next((one for one in made if isinstance(one, Wrong)), tuple(made))

    def word(self, field: Field, text: str) -> Any:
        if text in field.choices:
            return text
        told = self.words(field, text)
        if told:
            return told
        if set(_TABLE_0001.values()) <= {*field.choices} and text in _TABLE_0001:
            return _TABLE_0001[text]
        if re.search(r"[|;]", text):
            return Wrong("two values for a field that takes one", "one row a record")
        remedy = f"{near(text, field.choices)}; or map it once for this site"
        if text.isdigit():
            cause = f"{text} is no word of {field.name}, and numbers differ between systems"
            return Wrong(
                cause, f"map it, or send words: {', '.join(field.choices)}", "unknown-code"
            )
        return Wrong(f"not in the value list of {field.name}", remedy, "unknown-code")


def damaged(text: str) -> Wrong | None:
    """An id of which a spreadsheet may have made something else."""
    if _SCIENTIFIC.fullmatch(text):
        cause = "scientific notation: digits are gone and cannot be restored"
        return Wrong(cause, "copy it again from its source, the column formatted as text")
    if tabular_dates.looks_like_one(text):
        cause = "looks like a date made by a spreadsheet"
        return Wrong(cause, "write ids as L1, L2, in a column formatted as text")
    return None


def numbers(column: Column, text: str) -> tuple[Identifier, ...] | Wrong:
    """A person's numbers in hospitals; one without its system is of the column's."""
    made = []
    for part in text.split():
        system, _, value = part.rpartition("|")
        if _SCIENTIFIC.fullmatch(value):
            cause = "scientific notation: digits are gone and cannot be restored"
            remedy = "copy the number from the hospital system again, column formatted as text"
            return Wrong(cause, remedy)
        if not (system or column.system):
            cause = "a number without the system that gave it"
            return Wrong(cause, "write SYSTEM|NUMBER, or map the column's system once")
        made.append(Identifier(system or column.system, value))
    return tuple(made)


def _codes(column: Column, text: str) -> Any:
    parts = [part.strip() for part in re.split(r"\s+", text) if part.strip("|; ")]
    if column.system and "://" not in text and "urn:" not in text:
        parts = [f"{column.system}|{p}" for p in re.split(r"[|;\s]+", text) if p]
    pairs = [part.rpartition("|") for part in parts]
    if not all(system and value for system, _, value in pairs):
        return Wrong("a code without its system", "write SYSTEM|CODE, or map the column's system")
    if "\\" in text:
        return csv_cells.parser(column.field)(text)
    return tuple(Identifier(system, value) for system, _, value in pairs)
