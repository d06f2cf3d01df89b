"""Reads one row of a mapping from a resource: the value, where it stood, and what was wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fhirbridge.mapping.codecs import Codings, Fault, Ids, Remark
from fhirbridge.mapping.codecs import Read as CodecRead
from fhirbridge.mapping.encode import DATA_ABSENT_REASON
from fhirbridge.mapping.path import Found
from fhirbridge.mapping.referring import Refer, Reference
from fhirbridge.mapping.spec import Reading, Row
from fhirbridge.outcome import Issue
from fhirbridge.study.definition import ABSENT_REASONS
from fhirbridge.study.records import Absent, Value


@dataclass(frozen=True, slots=True)
class Trace:
    """Where a field's value was read and by which rule. `review`: a person accepts it. `assumed`:
    nobody said it of this record, so it goes behind what is known."""

    expression: str
    rule: str
    review: bool
    assumed: bool = False


Read = tuple[Value, Trace]


def read_row(
    row: Row, here: Mapping[str, Any], root: str, refer: Refer
) -> tuple[Read | None, list[Issue]]:
    """The value by the first reading that finds one, and what it and those before it complain of:
    errors where nothing was found, warnings where something was.

    An element that says another thing first (`code` the diagnosis, `bodySite` the bone) may be
    silent about this field: an unknown code, one that is not meant, or a reason of absence there
    says nothing of it.
    """
    complaints: list[Issue] = []
    for number, reading in enumerate(row.readings):
        borrowed = number in row.borrowed
        value, issues = _read(reading, row, here, root, refer, borrowed=borrowed)
        complaints += issues
        if value is not None and not (borrowed and isinstance(value[0], Absent)):
            return value, [
                replace(issue, severity="warning") for issue in dict.fromkeys(complaints)
            ]
    return None, list(dict.fromkeys(complaints))


def _read(
    reading: Reading,
    row: Row,
    here: Mapping[str, Any],
    root: str,
    refer: Refer,
    *,
    borrowed: bool,
) -> tuple[Read | None, list[Issue]]:
    values: dict[Value, str] = {}
    issues: list[Issue] = []
    for found in reading.path.read(here, root=root):
        value = absence(found) or _value(reading, found, refer)
        if borrowed and isinstance(value, Fault) and value.elsewhere:
            continue
        if isinstance(value, Fault | Remark):
            category = value.category if isinstance(value, Fault) else "business-rule"
            issues.append(Issue(category, value.cause, value.remedy, found.expression))
            value = value.value if isinstance(value, Remark) else None
        if value is not None:
            values.setdefault(value, found.expression)
    if row.field.many or isinstance(reading.codec, Ids | Codings):
        values = _together(values, f"{root}.{reading.path.text}")
    if len(values) == 1:
        value, expression = values.popitem()
        return (value, Trace(expression, reading.rule, reading.review)), issues
    if values:
        told = " and ".join(str(value) for value in values)
        cause = f"{row.field.name} is said to be {told}"
        remedy = "a person decides, or the sender divides the resource"
        issues.append(Issue("business-rule", cause, remedy, f"{root}.{reading.path.text}"))
    return None, issues


def _value(reading: Reading, found: Found, refer: Refer) -> CodecRead:
    if found.value is None:
        return None
    if isinstance(reading.codec, Reference):
        return reading.codec.resolve(found.value, refer)
    return reading.codec.read(found.value)


def _together(values: Mapping[Value, str], at: str) -> dict[Value, str]:
    """All values of a list as one; a reason of absence counts where it stands alone."""
    given = [value for value in values if not isinstance(value, Absent)]
    if not given:
        return dict(values)
    items: list[Any] = []
    for value in given:
        items += value if isinstance(value, tuple) else (value,)
    return {tuple(dict.fromkeys(items)): at}


def absence(found: Found) -> Absent | None:
    """The reason of a data-absent-reason extension, on a primitive's shadow or in an object."""
    holder = found.shadow if found.value is None else found.value
    if not isinstance(holder, Mapping):
        return None
    for extension in holder.get("extension", ()):
        if isinstance(extension, Mapping) and extension.get("url") == DATA_ABSENT_REASON:
            reason = extension.get("valueCode")
            return Absent(reason if reason in ABSENT_REASONS else "unknown")
    return None
