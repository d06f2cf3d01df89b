"""Reads one row of a mapping from a resource: the value, where it stood, and what was wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fhirbridge.mapping.codecs import Fault, Ids
from fhirbridge.mapping.encode import DATA_ABSENT_REASON
from fhirbridge.mapping.path import Found
from fhirbridge.mapping.spec import Block, FormMapping, Reading, Row
from fhirbridge.outcome import Issue
from fhirbridge.study.definition import ABSENT_REASONS
from fhirbridge.study.records import Absent, Value


@dataclass(frozen=True, slots=True)
class Trace:
    """Where a field's value was read and by which rule. `review`: a person accepts it."""

    expression: str
    rule: str
    review: bool


Read = tuple[Value, Trace]


def read_row(
    row: Row, mapping: FormMapping, block: Block, resource: Mapping[str, Any], root: str
) -> tuple[Read | None, list[Issue]]:
    """The value by the first reading that finds one, and what it and those before it complain of:
    errors where nothing was found, warnings where something was.

    An element that says another thing first (`code` the diagnosis, `bodySite` the bone) may be
    silent about this field: an unknown code or a reason of absence there is not meant for it.
    """
    complaints: list[Issue] = []
    others = {other.first.path.steps for other in block.rows if other is not row}
    if mapping.recogniser is not None:
        others.add(mapping.recogniser.path.steps)
    for number, reading in enumerate(row.readings):
        value, issues = _read(reading, row, resource, root)
        borrowed = number > 0 and reading.path.steps in others
        complaints += [i for i in issues if not borrowed or i.category != "unknown-code"]
        if value is not None and not (borrowed and isinstance(value[0], Absent)):
            return value, [replace(issue, severity="warning") for issue in complaints]
    return None, complaints


def _read(
    reading: Reading, row: Row, resource: Mapping[str, Any], root: str
) -> tuple[Read | None, list[Issue]]:
    values: dict[Value, str] = {}
    issues: list[Issue] = []
    for found in reading.path.read(resource, root=root):
        value = _absence(found) or (
            None if found.value is None else reading.codec.read(found.value)
        )
        if isinstance(value, Fault):
            issues.append(Issue(value.category, value.cause, value.remedy, found.expression))
        elif value is not None:
            values.setdefault(value, found.expression)
    if isinstance(reading.codec, Ids) and any(isinstance(part, tuple) for part in values):
        together = tuple(item for part in values if isinstance(part, tuple) for item in part)
        values = {together: f"{root}.{reading.path.text}"}
    if len(values) == 1:
        value, expression = values.popitem()
        return (value, Trace(expression, reading.rule, reading.review)), issues
    if values:
        told = " and ".join(str(value) for value in values)
        cause = f"{row.field.name} is said to be {told}"
        remedy = "a person decides, or the sender divides the resource"
        issues.append(Issue("business-rule", cause, remedy, f"{root}.{reading.path.text}"))
    return None, issues


def _absence(found: Found) -> Absent | None:
    """The reason of a data-absent-reason extension, on a primitive's shadow or in an object."""
    holder = found.shadow if found.value is None else found.value
    if not isinstance(holder, Mapping):
        return None
    for extension in holder.get("extension", ()):
        if extension.get("url") == DATA_ABSENT_REASON:
            reason = extension.get("valueCode")
            return Absent(reason if reason in ABSENT_REASONS else "unknown")
    return None
