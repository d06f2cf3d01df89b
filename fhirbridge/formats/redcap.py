"""REDCap's data dictionary and the shapes of its exports: flat, longitudinal, repeating, EAV, with
names or labels as headers.

Eighteen columns, choices `code, label | code, label`, a checkbox as one column a choice whose name
has the code in small letters with other signs as `_`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhirbridge.formats.tabular_text import RawRow, letter, plain, refused, trimmed
from fhirbridge.outcome import BridgeError, Issue

EVENT, INSTRUMENT, INSTANCE = (
    "redcap_event_name",
    "redcap_repeat_instrument",
    "redcap_repeat_instance",
)
GROUP = "redcap_data_access_group"
_LABELS = {
    "event name": EVENT,
    "repeat instrument": INSTRUMENT,
    "repeat instance": INSTANCE,
    "data access group": GROUP,
}
_BOX = re.compile(r"(.+)___(.+)")
_BOX_LABEL = re.compile(r"(.+) \(choice=(.+)\)")
HEADER = (
    "Variable / Field Name", "Form Name", "Section Header", "Field Type", "Field Label",
    "Choices, Calculations, OR Slider Labels", "Field Note",
    "Text Validation Type OR Show Slider Number", "Text Validation Min", "Text Validation Max",
    "Identifier?", "Branching Logic (Show field only if...)", "Required Field?", "Custom Alignment",
    "Question Number (surveys only)", "Matrix Group Name", "Matrix Ranking?", "Field Annotation",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    form: str
    type: str
    label: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    validation: str = ""

    def codes(self, text: str, *, labelled: bool = False) -> list[str]:
        """The codes that a cell may mean: itself, or those of the label, which must be exact.
        `labelled`: the header is a label, and so may be what looks like a code."""
        known = [code for code, _ in self.choices if code == text]
        if known and not labelled:
            return known
        return [*dict.fromkeys([*known, *(c for c, label in self.choices if label == text)])]

    def code(self, text: str) -> str:
        """The one code of what stands in a cell, or nothing."""
        found = self.codes(text)
        return found[0] if len(found) == 1 else ""

    def meaning(self, code: str) -> str:
        return next((label for known, label in self.choices if known == code), "")

    def kept(self) -> list[Any]:
        choices = [list(pair) for pair in self.choices]
        return [self.name, self.form, self.type, self.label, choices, self.validation]

    @classmethod
    def of(cls, given: Sequence[Any]) -> Variable:
        name, form, type, label, choices, validation = given
        return cls(name, form, type, label, tuple((c, v) for c, v in choices), validation)


_YES = (("1", "Yes"), ("0", "No"))
_TRUE = (("1", "True"), ("0", "False"))


def dictionary(text: str) -> tuple[Variable, ...]:
    """The variables in their order; the first is the record id. Raises `BridgeError` where it is no
    data dictionary."""
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        header = [cell.strip() for cell in next(rows, [])]
        if [h.lower() for h in header[:6]] != [h.lower() for h in HEADER[:6]]:
            cause = "this is no REDCap data dictionary"
            remedy = f"its header begins with {', '.join(HEADER[:4])}"
            raise refused(cause, remedy, "data dictionary, line 1")
        return tuple(_variable(row + [""] * 18) for row in rows if row and row[0].strip())
    except csv.Error as fault:
        at = f"data dictionary, line {rows.line_num}"
        raise refused(f"no CSV: {fault}", "download it again", at) from fault


def _variable(row: Sequence[str]) -> Variable:
    kind = row[3].strip()
    pairs = [part.partition(",") for part in row[5].split("|") if "," in part]
    choices = tuple((code.strip(), label.strip()) for code, _, label in pairs)
    choices = _YES if kind == "yesno" else _TRUE if kind == "truefalse" else choices
    return Variable(row[0].strip(), row[1].strip(), kind, row[4].strip(), choices, row[7].strip())


def box_name(code: str) -> str:
    """A code as it stands in the name of a checkbox's column.

    >>> box_name("-4"), box_name("CT")
    ('_4', 'ct')
    """
    return re.sub(r"[^a-z0-9]", "_", code.lower())


@dataclass(frozen=True, slots=True)
class Shape:
    """What the columns of an export are, by index. In EAV, `name` and `value` are columns; else
    those are -1 and `variables` and `boxes` say which column is which."""

    record: int
    event: int = -1
    instrument: int = -1
    instance: int = -1
    group: int = -1
    name: int = -1
    value: int = -1
    variables: Mapping[int, str] = field(default_factory=dict)
    boxes: Mapping[int, tuple[str, str]] = field(default_factory=dict)  # variable and box name
    complete: Mapping[int, str] = field(default_factory=dict)  # of which form
    unread: tuple[int, ...] = ()
    labelled: frozenset[int] = frozenset()  # whose header is a label

    @property
    def eav(self) -> bool:
        return self.name >= 0


def shape(header: RawRow, known: Sequence[Variable]) -> Shape:
    """Raises `BridgeError` with every fault of the header."""
    names = [plain(cell) for cell in header.cells]
    _once(header, names)
    record = known[0] if known else Variable("record_id", "", "text", "Record ID")
    places = {_LABELS.get(name, name): index for index, name in enumerate(names)}
    system: dict[str, Any] = {
        "event": places.get(EVENT, -1),
        "instrument": places.get(INSTRUMENT, -1),
        "instance": places.get(INSTANCE, -1),
        "group": places.get(GROUP, -1),
    }
    if {"record", "field_name", "value"} <= {*names}:
        here = places["record"], places["field_name"], places["value"]
        return Shape(here[0], name=here[1], value=here[2], **system)
    by_name = {v.name.lower(): v for v in known}
    by_label = {plain(v.label): v for v in known if v.label}
    _one_label(header, names, known)
    variables: dict[int, str] = {}
    boxes: dict[int, tuple[str, str]] = {}
    complete: dict[int, str] = {}
    unread: list[int] = []
    forms = {v.form for v in known}
    for index, name in enumerate(names):
        box = _BOX.fullmatch(name) or _BOX_LABEL.fullmatch(name)
        one = by_name.get(name) or by_label.get(name)
        boxed = (by_name.get(box[1]) or by_label.get(box[1])) if box else None
        if index in system.values() or not name:
            continue
        if name.removesuffix("_complete") in forms and name.endswith("_complete"):
            complete[index] = name.removesuffix("_complete")
        elif one is not None:
            variables[index] = one.name
        elif box and boxed is not None:
            boxes[index] = boxed.name, _box(boxed, box[2])
        elif name != "complete?":
            unread.append(index)
    found = next((i for i, v in variables.items() if v == record.name), -1)
    if found < 0:
        cause = f"there is no column {record.name}, the record id"
        raise refused(
            cause, "export it with the record id, or send the project's dictionary", "header"
        )
    return Shape(
        found, **system, variables=variables, boxes=boxes, complete=complete, unread=tuple(unread),
        labelled=frozenset(i for i in variables if names[i] not in by_name),
    )  # fmt: skip


def _one_label(header: RawRow, names: Sequence[str], known: Sequence[Variable]) -> None:
    """A header that is the label of several variables could be any of them."""
    exact = {v.name.lower() for v in known}
    faults = []
    for index, name in enumerate(names):
        box = _BOX_LABEL.fullmatch(name)
        asked = box[1] if box else name
        found = [v.name for v in known if v.label and plain(v.label) == asked]
        if len(found) > 1 and asked not in exact:
            shown = header.cells[index].strip()
            cause = f'"{shown}" is the label of {" and ".join(found)}'
            at = f"header, cell {letter(index)}{header.row}"
            remedy = 'export "CSV / raw data", or with raw headers'
            faults.append(Issue("structure", cause, remedy, at, shown))
    if faults:
        raise BridgeError(*faults)


def _box(variable: Variable, told: str) -> str:
    """The part of a box's column name, also where the label stands in its place."""
    for code, label in variable.choices:
        if plain(label) == told or box_name(code) == told:
            return box_name(code)
    return told


def _once(header: RawRow, names: Sequence[str]) -> None:
    faults = []
    for name in dict.fromkeys(names):
        indexes = [i for i, one in enumerate(names) if one == name]
        if name and len(indexes) > 1:
            cells = " and ".join(f"{letter(i)}{header.row}" for i in indexes)
            shown = header.cells[indexes[0]].strip()
            cause = f'the header "{shown}" stands twice: this is an export with labels'
            remedy = 'export "CSV / raw data"'
            if name not in ("complete?",):
                cause = f'the header "{shown}" stands twice'
            faults.append(Issue("structure", cause, remedy, f"header, cells {cells}", shown))
    if faults:
        raise BridgeError(*faults)


def ticked(text: str) -> bool:
    return trimmed(text).lower() in ("1", "checked", "yes", "true")


def reason(label: str) -> str:
    """The reason of absence that a missing data code's label says, or nothing.

    >>> reason("Not asked"), reason("Asked but unknown"), reason("Left early")
    ('not-asked', 'unknown', '')
    """
    told = plain(label).replace("-", " ")
    exact = {
        "unknown": "unknown", "not asked": "not-asked", "asked but unknown": "unknown",
        "not applicable": "not-applicable", "not done": "not-performed", "masked": "masked",
        "not performed": "not-performed", "asked declined": "asked-declined", "error": "error",
        "refused": "asked-declined", "declined": "asked-declined", "invalid": "error",
        "no information": "unknown", "not available": "unknown",
    }  # fmt: skip
    return exact.get(told, "")
