"""OBR and OBX as the shape `observation`: code, group, value by its type, unit, status, time.

A value is a number, a text, a code or a time, and nothing is made of what is none: "6-7", ">8" and
two numbers for one result stay what they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from fhirbridge.formats import hl7v2_time
from fhirbridge.formats.hl7v2 import Message, Segment
from fhirbridge.formats.hl7v2_shapes import (
    NUMBER,
    Habits,
    Number,
    Shape,
    Wrong,
    coded,
    entity,
    timed,
)

_TEXTS = ("TX", "FT")
_CODES = ("CE", "CWE", "CNE", "CF", "IS", "ID")
_TIMES = ("DT", "TS", "DTM")
_DOCUMENTS = ("ED", "RP")
_IMAGES = frozenset({"RAD", "CT", "NMR", "MRI", "NMS", "PET", "XRC", "RUS", "CUS"})


@dataclass(slots=True)
class Order:
    """One OBR (or none, where OBX stand without) with the OBX behind it."""

    obr: Segment
    number: int
    results: list[Segment] = field(default_factory=list)
    filler: str = field(init=False)

    def __post_init__(self) -> None:
        self.filler = entity(self.obr.first(3)) or entity(self.obr.first(2))

    def is_report(self, obx: Segment) -> bool:
        """Whether it is a line of an imaging report."""
        if obx.text(2).upper() not in (*_TEXTS, "ST"):
            return False
        ending = obx.first(3).part(1, 2)
        image = self.obr.text(24).upper() in _IMAGES
        return image or (ending in ("GDT", "IMP", "REC", "ADT") and obx.text(2) != "ST")


def orders(message: Message) -> list[Order]:
    made = [Order(Segment("OBR", 1, ["OBR"], message.marks), 0)]
    for segment in message.every("OBR", "OBX"):
        if segment.name == "OBR":
            made.append(Order(segment, len(made)))
        else:
            made[-1].results.append(segment)
    return [order for order in made if order.results or order.number]


def observation(obx: Segment, order: Order, habits: Habits) -> Shape:
    """Items: code, group, status, when, and one of number, text, coded, time, null, empty,
    document."""
    at = obx.at
    made = Shape("observation", at)
    made.put("code", coded(obx.first(3)), f"{at}-3")
    if obx.raw(4):
        made.put("group", obx.first(4).text.strip(), f"{at}-4")
    if obx.raw(21):
        made.put("number_in_group", obx.text(21), f"{at}-21")
    made.put("filler", order.filler, f"{order.obr.at}-3")
    status = obx.text(11).upper()
    if not status and habits.status_from_order:
        status = order.obr.text(25).upper()
    made.put("status", status, f"{at}-11")
    if not status:
        remedy = "set for this feed: status from OBR-25, then replay"
        made.wrong.append(Wrong(f"{at}-11", "required", "result status missing", remedy))
    timed(made, "when", obx.first(14), habits)
    if "when" not in made.items and not obx.raw(14):
        timed(made, "when", order.obr.first(7), habits)
    reason = coded(obx.first(32)) if obx.raw(32) else None
    if reason is not None and reason.codings:
        made.put("reason", reason.codings[0][0].strip(), f"{at}-32")
    _value(made, obx, habits)
    return made


def _value(made: Shape, obx: Segment, habits: Habits) -> None:
    at, kind = f"{obx.at}-5", obx.text(2).upper()
    if obx.null(5):
        made.put("null", True, at)
        return
    values = obx.all(5)
    if kind in _DOCUMENTS:
        made.put("document", True, at)
    elif not any(leaf.text.strip() for leaf in values):
        made.put("empty", True, at)
    elif kind in _TEXTS:
        made.put("text", "\n".join(leaf.text for leaf in values), at)
    elif len(values) > 1:
        cause = f"{len(values)} values for a field that takes one"
        remedy = "send several OBX, each with its own OBX-14"
        made.wrong.append(Wrong(at, "business-rule", cause, remedy))
    elif kind in _CODES:
        made.put("coded", coded(values[0]), at)
    elif kind == "SN":
        _structured(made, obx, at)
    elif kind in _TIMES:
        timed(made, "time", values[0], habits)
    else:
        _plain(made, obx, kind, values[0].text.strip(), at)


def _plain(made: Shape, obx: Segment, kind: str, text: str, at: str) -> None:
    number = NUMBER.fullmatch(text)
    if number and hl7v2_time.looks_like(text):
        cause = f"{text} looks like a date and time"
        made.wrong.append(
            Wrong(at, "value", cause, "correct the sender's mapping; replay", "warning")
        )
    if kind == "NM" and number:
        made.put("number", _number(text, "", obx), at)
    else:
        made.put("text", text, at)
    if not kind:
        cause = "the type is missing: read as text"
        made.wrong.append(Wrong(f"{obx.at}-2", "value", cause, "send OBX-2", "warning"))


def _structured(made: Shape, obx: Segment, at: str) -> None:
    """SN: only `=` or nothing before one number is a score (HL7/v2-to-fhir 51)."""
    leaf = obx.first(5)
    sign, first, mark, second = (leaf.part(n).strip() for n in (1, 2, 3, 4))
    if NUMBER.fullmatch(first) and not mark and not second:
        made.put("number", _number(first, "" if sign == "=" else sign, obx), at)
    elif sign and not first:
        cause = "SN without its number: what stands there is the comparator"
        made.wrong.append(Wrong(at, "value", cause, "send comparator^number, or NM"))
    else:
        made.put("text", f"{sign}{first}{mark}{second}", at)


def _number(text: str, sign: str, obx: Segment) -> Number:
    unit, _, system, *_ = (*obx.first(6).parts(), "", "")
    return Number(Decimal(text), sign, unit.strip(), system.strip())


def lines(order: Order) -> Iterator[tuple[Segment, str]]:
    """The report's lines in their order, an empty one too; `~` begins a new one."""
    for obx in order.results:
        if order.is_report(obx):
            told = obx.raw(5).split(obx.marks.repetition)
            for text in told:
                leaf = obx.first(5)
                yield obx, type(leaf)(text, leaf.marks, leaf.at).text


def report(order: Order, habits: Habits) -> Shape | None:
    """An imaging report: what was looked at, when, and its text as one finding."""
    told = list(lines(order))
    if not told:
        return None
    obr = order.obr
    made = Shape("report", obr.at)
    made.put("code", coded(obr.first(4)), f"{obr.at}-4")
    made.put("id", order.filler, f"{obr.at}-3")
    made.put("status", obr.text(25).upper(), f"{obr.at}-25")
    if not obr.text(25):
        wrong = Wrong(f"{obr.at}-25", "required", "result status missing", "send OBR-25")
        made.wrong.append(wrong)
    timed(made, "when", obr.first(7), habits)
    made.put("text", "\n".join(text for _, text in told), f"{told[0][0].at}-5")
    return made
