"""What HL7 v2 segments say, as plain shapes: person, merge, visit, diagnosis, procedure,
observation, medication, document; the mapping rows name these and no segment (mappings/hl7v2).

Read in the order in which segments stand, not by the grammar of groups: an OBX behind SPM belongs
to the last OBR all the same.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from fhirbridge.formats import hl7v2_time
from fhirbridge.formats.hl7v2 import NULL, Leaf, Message, Segment
from fhirbridge.formats.hl7v2_time import Zone

NUMBER = re.compile(r"[+-]?(\d{1,15}(\.\d{0,15})?|\.\d{1,15})", re.ASCII)


class Item(NamedTuple):
    """A value and where it stands."""

    value: Any
    at: str


class Coded(NamedTuple):
    """`codings` are code, text and the name of the coding system, as table 0396 has it."""

    codings: tuple[tuple[str, str, str], ...]
    text: str


class Number(NamedTuple):
    value: Decimal
    comparator: str
    unit: str
    unit_system: str


class Wrong(NamedTuple):
    """What is wrong, before a mapping looks: place, category, cause, remedy, severity."""

    at: str
    category: str
    cause: str
    remedy: str
    severity: str = "error"


@dataclass(slots=True)
class Shape:
    """`name` is one of the eight; `nulls` are the items that the sender takes away."""

    name: str
    at: str
    items: dict[str, Item] = field(default_factory=dict)
    wrong: list[Wrong] = field(default_factory=list)
    nulls: dict[str, str] = field(default_factory=dict)  # item to place

    def put(self, name: str, value: Any, at: str) -> None:
        if value is not None and value != "":
            self.items[name] = Item(value, at)

    def get(self, name: str, default: Any = "") -> Any:
        found = self.items.get(name)
        return default if found is None else found.value


@dataclass(frozen=True, slots=True)
class Habits:
    """What a site's sender means where the standard leaves it open: its zone, the coding system of
    DG1-2 or PR1-2 by its word there, and whether a result without status has that of its OBR."""

    zone: Zone
    systems: Mapping[str, str] = field(default_factory=dict)
    status_from_order: bool = False


def coded(leaf: Leaf) -> Coded | None:
    """CE, CWE or CNE: two codings, and a third in later versions."""
    parts = leaf.parts()
    found = tuple(
        (code, _nth(parts, at + 1), _nth(parts, at + 2).strip())
        for at in _TRIPLETS
        if at < len(parts) and (code := parts[at].strip())
    )
    text = _nth(parts, 8) or _nth(parts, 1) or (_nth(parts, 4) if found else leaf.text)
    return Coded(found, text) if found or text else None


_TRIPLETS = (0, 3, 9)  # where a coding begins: code, text, system


def _nth(parts: list[str], at: int) -> str:
    return parts[at] if at < len(parts) else ""


def entity(leaf: Leaf) -> str:
    """EI as one word, `number^authority`."""
    return "^".join(p for p in (leaf.part(1).strip(), leaf.part(2).strip() or leaf.part(3)) if p)


def timed(shape: Shape, name: str, leaf: Leaf, habits: Habits, *, day: bool = False) -> None:
    """The time as an item; a filler or no date of the calendar is told."""
    text = leaf.part(1).strip()
    if not text:
        return
    made = hl7v2_time.when(text, habits.zone)
    if made is None:
        cause = "no date of the calendar, or a filler"
        shape.wrong.append(Wrong(leaf.at, "value", cause, "correct it at its source"))
    else:
        shape.put(name, made[:10] if day else made, leaf.at)


def identifiers(segment: Segment, *fields: int) -> list[tuple[str, str, str, str]]:
    """Every number of a person: value, authority's name, its OID or URI, and where it stands. What
    is empty or null is none."""
    found = []
    for number in fields:
        for leaf in segment.all(number):
            value = leaf.part(1).strip()
            if value:
                found.append((value, leaf.part(4, 1).strip(), leaf.part(4, 2).strip(), leaf.at))
    return found


def person(pid: Segment, habits: Habits) -> Shape:
    """PID: numbers, birth, sex, death. Names and addresses are not read."""
    made = Shape("person", pid.at)
    made.put("numbers", identifiers(pid, 3, 2, 4), f"{pid.at}-3")
    timed(made, "birth_date", pid.first(7), habits, day=True)
    made.put("sex", pid.text(8).upper(), f"{pid.at}-8")
    timed(made, "death_date", pid.first(29), habits)
    dead = pid.text(30).upper()
    if "death_date" not in made.items and dead:
        made.put(
            "dead", {"Y": "Y", "YES": "Y", "N": "N", "NO": "N"}.get(dead, dead), f"{pid.at}-30"
        )
    for name, number in (("birth_date", 7), ("sex", 8), ("death_date", 29), ("dead", 30)):
        if pid.null(number):
            made.nulls[name] = f"{pid.at}-{number}"
    return made


def merges(message: Message) -> Iterator[Shape]:
    """Each MRG with the PID before it: whose number stays, whose goes."""
    pid = message.one("PID")
    for segment in message.every("PID", "MRG"):
        if segment.name == "PID":
            pid = segment
            continue
        made = Shape("merge", segment.at)
        made.put("stays", identifiers(pid, 3), f"{pid.at}-3")
        made.put("goes", identifiers(segment, 1), f"{segment.at}-1")
        yield made


def visit(pv1: Segment, habits: Habits) -> Shape:
    made = Shape("visit", pv1.at)
    made.put("visit", entity(pv1.first(19)), f"{pv1.at}-19")
    timed(made, "admitted", pv1.first(44), habits)
    timed(made, "discharged", pv1.first(45), habits)
    return made


def _named(made: Shape, segment: Segment, text: str, habits: Habits, *, day: int) -> None:
    """Code, its old system in field 2, the text beside it, the visit and the day of DG1 or PR1."""
    leaf, old = segment.first(3), segment.text(2)
    code = coded(leaf)
    if code is None and text:
        code = Coded((), text)
    if code is not None:
        codings = code.codings
        if codings and not codings[0][2]:
            known = habits.systems.get(old)
            if known:
                codings = ((*codings[0][:2], known), *codings[1:])
            else:
                made.wrong.append(_without_system(segment, old))
        made.put("code", Coded(codings, text or code.text), leaf.at)
    elif leaf.null:
        made.wrong.append(Wrong(leaf.at, "value", "a null code says nothing", "withdraw by its id"))
    timed(made, "when", segment.first(day), habits)


def _without_system(segment: Segment, old: str) -> Wrong:
    name = segment.name
    if not old:
        cause = f"code without a coding system; {name}-2 empty"
        return Wrong(f"{segment.at}-3", "unknown-code", cause, "state the system for this feed")
    cause = f"coding system in {name}-2 (deprecated) says {old[:20]}, and not which edition"
    return Wrong(f"{segment.at}-2", "unknown-code", cause, f"say what {name}-2 means for this feed")


def diagnosis(dg1: Segment, habits: Habits) -> Shape:
    made = Shape("diagnosis", dg1.at)
    _named(made, dg1, dg1.first(4).text.strip(), habits, day=5)
    made.put("kind", dg1.text(6).upper(), f"{dg1.at}-6")
    made.put("id", entity(dg1.first(20)), f"{dg1.at}-20")
    made.put("action", dg1.text(21).upper(), f"{dg1.at}-21")
    return made


def procedure(pr1: Segment, habits: Habits) -> Shape:
    """PR1. Its code's modifiers are codings of their own beside it."""
    made = Shape("procedure", pr1.at)
    _named(made, pr1, pr1.first(4).text.strip(), habits, day=5)
    code = made.get("code", Coded((), ""))
    more = [c for leaf in pr1.all(16) for c in (coded(leaf) or Coded((), "")).codings]
    modifiers = tuple((c, "", system or "CPTM") for c, _, system in more)
    if code.codings:
        made.put("code", Coded((*code.codings, *modifiers), code.text), f"{pr1.at}-3")
    minutes = pr1.text(7)
    if NUMBER.fullmatch(minutes):
        made.put("minutes", Number(Decimal(minutes), "", "min", "UCUM"), f"{pr1.at}-7")
    when = made.get("when")
    if made.get("action") != "D" and len(when) < 10 and not made.wrong and pr1.text(20) != "D":
        told = f"dated {when}" if when else "without a date"
        cause = f"operation {told}: the day is needed, all visits hang on it"
        made.wrong.append(Wrong(f"{pr1.at}-5", "value", cause, "send the day"))
    made.put("id", entity(pr1.first(19)), f"{pr1.at}-19")
    made.put("action", pr1.text(20).upper(), f"{pr1.at}-20")
    return made


def _order(made: Shape, orc: Segment) -> None:
    made.put("id", entity(orc.first(3)) or entity(orc.first(2)), f"{orc.at}-3")
    made.put("control", orc.text(1).upper(), f"{orc.at}-1")


def given(rxa: Segment, orc: Segment, habits: Habits) -> Shape:
    """RXA: a medication as it was given, or why not."""
    made = Shape("given", rxa.at)
    made.put("drug", coded(rxa.first(5)), f"{rxa.at}-5")
    timed(made, "from", rxa.first(3), habits)
    timed(made, "to", rxa.first(4), habits)
    _dose(made, rxa, 6, 7)
    made.put("status", rxa.text(20).upper() or "CP", f"{rxa.at}-20")
    made.put("action", rxa.text(21).upper(), f"{rxa.at}-21")
    _order(made, orc)
    return made


def ordered(rxe: Segment, orc: Segment, habits: Habits) -> Shape:
    """RXE or RXO: a medication as it was ordered."""
    made = Shape("ordered", rxe.at)
    first = 1 if rxe.name == "RXO" else 2
    made.put("drug", coded(rxe.first(first)), f"{rxe.at}-{first}")
    _dose(made, rxe, first + 1, first + 3)
    timed(made, "from", Leaf(orc.first(7).part(4), orc.marks, f"{orc.at}-7"), habits)
    timed(made, "to", Leaf(orc.first(7).part(5), orc.marks, f"{orc.at}-7"), habits)
    timed(made, "ended", orc.first(15) or orc.first(9), habits)
    timed(made, "written", orc.first(9), habits)
    _order(made, orc)
    return made


def _dose(made: Shape, segment: Segment, amount: int, units: int) -> None:
    told, unit = segment.text(amount), segment.first(units)
    if not told or not NUMBER.fullmatch(told) or Decimal(told) == 999:  # 999: not said (RXA-6)
        return
    code = unit.part(1).strip()
    if not code:
        cause = f"dose {told} without its unit"
        made.wrong.append(Wrong(f"{segment.at}-{units}", "value", cause, "send the unit"))
        return
    made.put("dose", Number(Decimal(told), "", code, unit.part(3)), f"{segment.at}-{amount}")


def document(obx: Segment) -> str:
    """An embedded document as a receipt tells of it: type, size and hash, never the content."""
    leaf = obx.first(5)
    kind, encoding, data = leaf.part(3) or leaf.part(2), leaf.part(4), leaf.part(5)
    raw = data.encode()
    if not encoding or encoding.lower() == "base64":
        try:
            raw = base64.b64decode(data, validate=True)
        except binascii.Error:
            encoding = encoding or "none said"
    told = f"{kind or 'no type'}, {encoding or 'no encoding'}"
    return f"document ({told}), {len(raw)} bytes, SHA-256 {hashlib.sha256(raw).hexdigest()}"


def is_null(obx: Segment) -> bool:
    return obx.raw(5) == NULL
