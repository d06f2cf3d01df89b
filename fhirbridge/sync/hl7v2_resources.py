"""Shapes of HL7 v2 made ready for their rows: statuses of the tables 0085, 0052, 0206 and 0322 in
FHIR's words, keys, and which OBX are parts of one thing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from fhirbridge.formats import hl7v2_shapes
from fhirbridge.formats.hl7v2 import Segment
from fhirbridge.formats.hl7v2_shapes import Item, Shape, Wrong
from fhirbridge.mapping import shaped
from fhirbridge.mapping.shaped import Placed, ShapeMapping
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import Issue
from fhirbridge.sync import origins
from fhirbridge.sync.judge import Place

# Table 0085. HL7/v2-to-fhir maps A, C, D, F, P, W and X (8c9b414); the others are ours.
FINAL, WITHDRAWN, OPEN = ("F", "V", "U", "C", "A"), ("D", "W"), ("P", "R", "S", "I")
ABSENT: Mapping[str, str] = MappingProxyType({"X": "not-performed", "N": "not-asked"})
_STATUS = {"C": "corrected", "A": "amended"} | dict.fromkeys(WITHDRAWN, "entered-in-error")
_BESIDE = {"O": "order detail, no result", "B": "text that was appended to a result"}
_REPORT = {"F": "final", "C": "corrected", "A": "amended", "P": "preliminary", "R": "registered",
           "S": "partial", "I": "registered", "X": "cancelled", "D": "entered-in-error",
           "W": "entered-in-error"}  # fmt: skip
_GIVEN = {"CP": "completed", "PA": "completed", "RE": "not-done", "NA": "not-done"}
# An order that is cancelled was never carried out: what stands of it is taken back (table 0119).
_STOPPED, _CANCELLED = ("DC", "OD", "DR"), ("CA", "OC", "CR")
_ORDERED = dict.fromkeys(_STOPPED, "stopped") | dict.fromkeys(_CANCELLED, "entered-in-error")
_ORDERED["HD"] = "on-hold"
_COMMON = frozenset({"key", "status", "when", "lesion", "done"})
"""Items that parts of several things have in common."""


def offset(zone: ZoneInfo, local: str) -> str:
    """The zone's offset at a local time; of the two of an autumn night the first.

    >>> offset(ZoneInfo("UTC"), "2026-03-01T09:30:00")
    '+00:00'
    """
    told = datetime.fromisoformat(local).replace(tzinfo=zone).utcoffset() or timedelta()
    minutes = round(told.total_seconds() / 60)
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def made(mappings: MappingSet, name: str, shape: Shape) -> Placed:
    rows = next(m for m in mappings.shapes.files if m.shape == name and not m.parts)
    return shaped.made(rows, shape.items, shape.at, mappings.shapes.system)


def strange(item: str, at: str) -> Issue:
    """An item whose word or form the rows do not know."""
    cause = f"{item} is none of the words or forms that are known here"
    return Issue("value", cause, "correct it at its source", place=at)


def placing(placed: Placed, person: str) -> Place:
    """Where an issue stands in the message; that nobody is meant by a number, at the number."""

    def told(issue: Issue) -> Issue:
        stranger = issue.category == "unknown-subject"
        if issue.place or not (issue.expression or stranger):
            return issue
        at = person if stranger else placed.place(issue.expression, issue.cause)
        return Issue(issue.category, issue.cause, issue.remedy, "", at, issue.severity)

    return told


def _also(shape: Shape, name: str, value: Any, like: str) -> None:
    """One more item that stands where another does."""
    at = shape.items[like].at if like in shape.items else shape.at
    shape.put(name, value, at)


def _key(shape: Shape, *names: str) -> None:
    number = str(shape.get("id")).partition("^")[0]
    for name in names:
        _also(shape, name, number, "id")


def diagnosed(shape: Shape) -> None:
    """DG1-6 (0052) and DG1-21 (0206): how sure it is."""
    kind, action = shape.get("kind"), shape.get("action")
    told = "entered-in-error" if action == "D" else {"F": "confirmed"}.get(kind, "provisional")
    shape.put("certainty", told, f"{shape.at}-{21 if action == 'D' else 6}")
    _key(shape, "key", "primary", "complication")
    if action == "D":
        shape.wrong.clear()  # by what it was, whatever is left of it


def operated(shape: Shape) -> None:
    gone = shape.get("action") == "D"
    shape.put("status", "entered-in-error" if gone else "completed", f"{shape.at}-20")
    _key(shape, "key")
    if gone:
        shape.wrong.clear()


def dispensed(shape: Shape) -> None:
    """RXA-20 (0322) and RXA-21, or ORC-1 of an order."""
    _key(shape, "key")
    if shape.name == "ordered":
        state = _ORDERED.get(shape.get("control"), "active")
        _also(shape, "state", state, "control")
        if state == "stopped" and "to" not in shape.items and "ended" in shape.items:
            shape.items["to"] = shape.items["ended"]
        if state == "entered-in-error":
            shape.wrong.clear()
        return
    state = _GIVEN.get(shape.get("status"), "unknown")
    if shape.get("action") == "D":
        state = "entered-in-error"
    _also(shape, "state", state, "status")


def reported(shape: Shape) -> None:
    _key(shape, "key")
    told = shape.get("status")
    if told:
        at = shape.items["status"].at
        shape.items["status"] = Item(_REPORT.get(told, "final" if told == "V" else "unknown"), at)


def version(status: str) -> str:
    """Whether a result may still be replaced by one that is not final."""
    return origins.OPEN if status in OPEN else origins.SETTLED


def observed(shape: Shape) -> None:
    """The OBX's status in FHIR's words: what waits is read as final, and waits as a proposal."""
    told = shape.get("status")
    at = f"{shape.at}-11"
    known = (*FINAL, *WITHDRAWN, *OPEN, *ABSENT, "")
    if told not in known:
        cause = f"'{told[:3]}' is no result status"
        shape.wrong.append(Wrong(at, "unknown-code", cause, "send one of table 0085"))
    if told in WITHDRAWN:
        shape.wrong.clear()
    if told == "W":
        cause = "the result was posted on the wrong patient: tell the site's data manager"
        shape.wrong.append(
            Wrong(at, "review", cause, "it comes again for the right one", "warning")
        )
    shape.items["status"] = Item(_STATUS.get(told, "final"), at)
    reason = shape.items.get("reason") if "empty" in shape.items else None
    if reason is not None and told not in (*ABSENT, *WITHDRAWN):
        shape.put("absent", reason.value, reason.at)
    elif told in ABSENT or "null" in shape.items or (told == "U" and "empty" in shape.items):
        at = f"{shape.at}-11" if told in ABSENT else f"{shape.at}-5"
        shape.put("absent", ABSENT.get(told, "unknown"), at)
        for name in ("number", "text", "coded", "time"):
            shape.items.pop(name, None)
    if told not in WITHDRAWN and "when" not in shape.items and not shape.wrong:
        cause = "neither OBX-14 nor OBR-7 says when it was"
        shape.wrong.append(Wrong(f"{shape.at}-14", "required", cause, "send OBX-14"))


def unread(shape: Shape, obx: Segment) -> str | None:
    """Why an OBX says nothing that a rule reads; None where it does."""
    status = shape.get("status")
    if "document" in shape.items:
        return hl7v2_shapes.document(obx)
    if status in _BESIDE:
        return _BESIDE[status]
    if (
        "empty" in shape.items
        and "reason" not in shape.items
        and status in ("F", "V", "C", "A", *OPEN)
    ):
        return "OBX-5 is empty, which says nothing"
    return None


@dataclass(slots=True)
class Group:
    """The parts of one thing in a message: the OBX of one OBR and one OBX-4, as one shape.

    `absent` are parts without a value and the reason; `gone` those that are withdrawn."""

    mapping: ShapeMapping
    name: str
    shape: Shape
    status: str
    absent: dict[str, str] = field(default_factory=dict)
    gone: dict[str, str] = field(default_factory=dict)


def groups(mappings: MappingSet, shapes: Sequence[Shape], order: int) -> list[Group]:
    """Those of one OBR; each shape that is a part gets the item `part`."""
    by_name: dict[str, dict[str, Shape]] = {}
    for shape in shapes:
        part = _part(mappings, shape)
        if part:
            shape.put("part", part, f"{shape.at}-3")
            by_name.setdefault(str(shape.get("group")), {})[part] = shape
    made = []
    for name, parts in by_name.items():
        for mapping in mappings.shapes.files:
            own = (mapping.parts - _COMMON) & parts.keys()
            if own:
                made.append(_group(mappings, mapping, f"{order}|{name}".rstrip("|"), parts))
    return made


def _part(mappings: MappingSet, shape: Shape) -> str:
    """Which part of a thing the OBX is, where all its codings that say one agree."""
    walk = mappings.shapes.parts
    code = shape.get("code", None)
    if walk is None or code is None:
        return ""
    found = {
        line.target
        for told, _, system in code.codings
        if (line := walk.find(mappings.shapes.system(system), told)) and line.reads
    }
    return found.pop() if len(found) == 1 else ""


def _group(
    mappings: MappingSet, mapping: ShapeMapping, name: str, parts: Mapping[str, Shape]
) -> Group:
    own = {part: parts[part] for part in mapping.parts if part in parts}
    said = [shape for part, shape in own.items() if part != "lesion"]
    statuses = {shape.get("status") for shape in said}
    status = next(iter(statuses)) if len(statuses) == 1 else _least(statuses)
    whole = Shape("part", said[0].at)
    made = Group(mapping, name, whole, status)
    for part, shape in own.items():
        _join(made, mappings, part, shape)
    told = _STATUS.get(status, "final")
    whole.put("status", told, f"{whole.at}-11")
    whole.put("done", "entered-in-error" if told == "entered-in-error" else "completed", whole.at)
    if "when" in said[0].items:
        whole.items["when"] = said[0].items["when"]
    if status in WITHDRAWN:
        whole.wrong.clear()
    elif mapping.warn:
        whole.wrong.append(Wrong(whole.at, "business-rule", mapping.warn, "", "warning"))
    return made


def _least(statuses: set[Any]) -> str:
    """Of different ones that which is least sure; withdrawn parts are taken out one by one."""
    left = statuses - {*WITHDRAWN, *ABSENT}
    return next((s for s in (*OPEN, "C", "A", "F", "V", "U") if s in left), "F")


def _join(group: Group, mappings: MappingSet, part: str, shape: Shape) -> None:
    whole, status = group.shape, shape.get("status")
    if part == "lesion":
        text = shape.get("text") or str(getattr(shape.get("number", None), "value", ""))
        system = mappings.names.get("lesion", "")
        if text:
            whole.put("lesion", ("Condition", system, text), f"{shape.at}-5")
        return
    whole.wrong += shape.wrong
    if status in ABSENT:
        group.absent[part] = ABSENT[status]
    elif status in WITHDRAWN or "null" in shape.items:
        group.gone[part] = f"{shape.at}-5"
    else:
        found = next((shape.items[n] for n in ("number", "text") if n in shape.items), None)
        if found is not None:
            whole.items[part] = Item(_as_number(found.value), found.at)


def _as_number(value: Any) -> Any:
    """A whole number that came as text is one."""
    if isinstance(value, str) and hl7v2_shapes.NUMBER.fullmatch(value):
        return hl7v2_shapes.Number(Decimal(value), "", "", "")
    return value


def panel(mappings: MappingSet, group: Group) -> Placed:
    return shaped.made(group.mapping, group.shape.items, group.shape.at, mappings.shapes.system)
