"""An HL7 v2 message as entries: which of its segments are read, by its type (MSH-9.1 and MSH-9.2).

What is planned, ordered or only written about makes no record and is named in the receipt.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from fhirbridge.fhir.bundle import Entry
from fhirbridge.formats import hl7v2_results, hl7v2_shapes, hl7v2_time
from fhirbridge.formats.hl7v2 import Message, Segment
from fhirbridge.formats.hl7v2_shapes import Habits, Shape
from fhirbridge.mapping.shaped import Placed
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import Issue
from fhirbridge.sync import (
    hl7v2_merges,
    hl7v2_panels,
    hl7v2_resources,
    hl7v2_stays,
    hl7v2_tells,
)
from fhirbridge.sync.hl7v2_people import People
from fhirbridge.sync.judge import Act, Opened, Place, Tell

MERGES = ("A18", "A34", "A36", "A40", "A47")
VISITS = ("A03", "A11", "A13")
STAYS = ("A11", "A13")  # they take back, and say nothing of the person
CLAIMS = ("BAR", "DFT")
ORDERS = {"RDE": "RXE", "OMP": "RXO"}
READ = ("MSH", "EVN", "PID", "OBR", "ORC", "MRG", "FHS", "BHS")
DATED = ("ADT", *CLAIMS)


@dataclass
class Entries:
    mappings: MappingSet
    message: Message
    people: People = field(init=False)
    habits: Habits = field(init=False)
    made: list[tuple[Entry, list[Issue]]] = field(init=False, default_factory=list)
    tells: dict[int, Tell] = field(init=False, default_factory=dict)
    acts: dict[int, Act] = field(init=False, default_factory=dict)
    unread: dict[int, Issue] = field(init=False, default_factory=dict)
    places: dict[int, Place] = field(init=False, default_factory=dict)
    keys: set[str] = field(init=False, default_factory=set)  # of results
    orders: int = field(init=False, default=0)  # OBR of the persons before
    seen: set[str] = field(init=False, default_factory=set)  # names of segments that were read

    def __post_init__(self) -> None:
        feed = self.mappings.shapes.feed
        zone = ZoneInfo(feed.timezone)
        self.habits = Habits(
            lambda local: hl7v2_resources.offset(zone, local),
            feed.old_coding_systems,
            status_from_order=feed.status_from == "OBR-25",
        )
        self.people = People(feed, self.message.one("PID"))

    def opened(self) -> Opened:
        header = self.message.one("MSH")
        type, event = header.text(9).upper(), header.text(9, 2).upper()
        event = event or self.message.one("EVN").text(1).upper()
        self.stamp = self.told_at(header)
        if type == "ADT" and event in MERGES:
            self.merges()
        else:
            whole = self.message
            for part in whole.of_each("PID"):  # whose it is, the PID before it says
                self.message = part
                self.people = People(self.mappings.shapes.feed, part.one("PID"))
                self.read(type, event)
            self.message = whole
        self.rest(type, event)
        return Opened(
            "rows",
            self.made,
            partial=True,
            tells=self.tells,
            acts=self.acts,
            unread=self.unread,
            places=self.places,
        )

    def told_at(self, header: Segment) -> str:
        """When it was so: EVN-6, else EVN-2, else MSH-7."""
        event = self.message.one("EVN")
        texts = (event.text(6), event.text(2), header.text(7))
        made = (hl7v2_time.when(text, self.habits.zone) for text in texts if text)
        return next((told for told in made if told), "")

    def read(self, type: str, event: str) -> None:
        if type in DATED:
            self.dated(type, event)
        elif type in ("ORU", "OUL", "RAS", *ORDERS):
            if self.people.several:
                self.person(told=False)
            if type in ("ORU", "OUL"):
                self.results()
            else:
                self.medications("RXA" if type == "RAS" else ORDERS[type])

    def merges(self) -> None:
        for shape in hl7v2_shapes.merges(self.message):
            self.merge(shape)
        self.seen.add("MRG")

    def dated(self, type: str, event: str) -> None:
        """Person, diagnoses, operations and the visit."""
        if type == "ADT" and event not in STAYS:
            self.person(told=True)
        elif self.people.several:
            self.person(told=False)
        claim = type in CLAIMS
        for segment in self.message.every("DG1", "PR1") if event not in STAYS else ():
            if segment.name == "DG1":
                self.diagnosis(hl7v2_shapes.diagnosis(segment, self.habits), claim=claim)
            else:
                self.procedure(hl7v2_shapes.procedure(segment, self.habits), claim=claim)
            self.seen.add(segment.name)
        if event in VISITS and self.message.one("PV1").text(19):
            self.visit(hl7v2_shapes.visit(self.message.one("PV1"), self.habits), event)
        if event not in STAYS:
            self.results()

    def person(self, *, told: bool) -> None:
        """Who it is, where that is told or where several numbers must be of one subject."""
        shape = hl7v2_shapes.person(self.message.one("PID"), self.habits)
        if not told:
            shape = Shape(shape.name, shape.at, {"numbers": shape.items["numbers"]})
        said = shape.items.keys() - {"numbers"}
        if said or shape.nulls or shape.wrong or self.people.several:
            placed = hl7v2_resources.made(self.mappings, "person", shape)
            resource = placed.resource | {"identifier": self.people.identifiers()}
            self.add(resource, shape, placed, hl7v2_tells.person(self.mappings, placed, shape))

    def diagnosis(self, shape: Shape, *, claim: bool) -> None:
        hl7v2_resources.diagnosed(shape)
        visit = self.message.one("PV1").text(19)
        code = shape.get("code", None)
        key = shape.get("id") or f"{visit}|{_code(code)}|{shape.get('when') if not visit else ''}"
        self.data("diagnosis", shape, key, claim=claim)

    def procedure(self, shape: Shape, *, claim: bool) -> None:
        hl7v2_resources.operated(shape)
        visit = self.message.one("PV1").text(19)
        code = _code(shape.get("code", None))
        key = shape.get("id") or f"{visit}|{code}|{shape.get('when')[:10]}"
        # Without a number of its own only a guess says that it is the same operation.
        self.data("procedure", shape, key, claim=claim or not shape.get("id"))

    def data(self, name: str, shape: Shape, key: str, *, claim: bool = False) -> None:
        placed = hl7v2_resources.made(self.mappings, name, shape)
        tell = hl7v2_tells.plain(self.mappings, placed, shape, review=claim)
        self.add(placed.resource | {"id": key}, shape, placed, tell)

    def medications(self, name: str) -> None:
        orc = Segment("ORC", 1, ["ORC"], self.message.marks)
        for segment in self.message.every("ORC", name):
            if segment.name == "ORC":
                orc = segment
                continue
            given = name == "RXA"
            reader = hl7v2_shapes.given if given else hl7v2_shapes.ordered
            shape = reader(segment, orc, self.habits)
            hl7v2_resources.dispensed(shape)
            key = shape.get("id") or f"{_code(shape.get('drug', None))}|{shape.get('from')}"
            self.data("given" if given else "ordered", shape, key)
            self.seen.add(name)

    def results(self) -> None:
        found = hl7v2_results.orders(self.message)
        for order in found:
            report = hl7v2_results.report(order, self.habits)
            if report is not None:
                hl7v2_resources.reported(report)
                self.data("report", report, order.filler or f"{report.get('when')}")
            shapes = [
                hl7v2_results.observation(obx, order, self.habits)
                for obx in order.results
                if not order.is_report(obx)
            ]
            for group in hl7v2_resources.groups(self.mappings, shapes, self.orders + order.number):
                self.panel(group, order.filler)
            for shape, obx in zip(shapes, _left(order), strict=True):
                if "part" not in shape.items:
                    self.result(shape, obx)
            self.seen.add("OBX")
        self.orders += len(found)

    def result(self, shape: Shape, obx: Segment) -> None:
        """An OBX that stands for itself."""
        why = hl7v2_resources.unread(shape, obx)
        if why is not None:
            self.leave(why, shape.at)
            return
        status = shape.get("status")
        hl7v2_resources.observed(shape)
        placed = hl7v2_resources.made(self.mappings, "observation", shape)
        tell = hl7v2_tells.result(self.mappings, placed, shape, status, obx.text(2).upper())
        code = shape.get("code", None)
        key = (shape.get("filler"), _code(code), shape.get("group"), shape.get("number_in_group"))
        told = "|".join(key).rstrip("|")
        whose = f"{self.people.pairs}"
        if not shape.get("filler") or f"{whose}{told}" in self.keys:
            told = f"{told}|{shape.get('when')}"
        while f"{whose}{told}" in self.keys:  # what is said twice of one moment are two sayings
            told += "+"
        self.keys.add(f"{whose}{told}")
        version = hl7v2_resources.version(status)
        self.add(placed.resource | {"id": told}, shape, placed, tell, version)

    def panel(self, group: hl7v2_resources.Group, filler: str) -> None:
        """The OBX that are parts of one thing."""
        placed = hl7v2_resources.panel(self.mappings, group)
        tell = hl7v2_panels.panel(self.mappings, placed, group)
        key = f"{filler or group.shape.get('when')}|{group.mapping.name}|{group.name}"
        version = hl7v2_resources.version(group.status)
        self.add(placed.resource | {"id": key}, group.shape, placed, tell, version)

    def visit(self, shape: Shape, event: str) -> None:
        resource = {"resourceType": "Encounter", "id": shape.get("visit")}
        placed = Placed(resource, shape.at, ())
        tell = hl7v2_stays.visit(shape, self.people.reference(), gone=event in STAYS)
        self.add(resource, shape, placed, tell)
        self.seen.add("PV1")

    def merge(self, shape: Shape) -> None:
        stays, goes = (self.people.keyed(shape.get(side, [])) for side in ("stays", "goes"))
        position = len(self.made)
        resource: dict[str, Any] = {"resourceType": "Linkage", "id": f"{position}"}
        people = [{"identifier": {"system": s, "value": v}} for s, v in (*stays, *goes)]
        resource["item"] = people
        entry = Entry(position, resource, shape.at)
        self.made.append((entry, []))
        self.acts[position] = hl7v2_merges.act(stays, goes, shape.at)

    def add(
        self,
        resource: dict[str, Any],
        shape: Shape,
        placed: Placed,
        tell: Tell,
        version: str = "",
    ) -> None:
        position = len(self.made)
        meta = {"lastUpdated": self.stamp, "versionId": version}
        whole = resource | {"meta": {name: told for name, told in meta.items() if told}}
        issues = [_issue(*one) for one in shape.wrong]
        issues += [hl7v2_resources.strange(item, at) for item, at in placed.strange]
        if resource["resourceType"] != "Patient":
            whole["subject"] = self.people.reference()
        nobody = self.people.fault()
        issues += [nobody] if nobody else []
        name = self.people.name if resource["resourceType"] == "Patient" else ""
        entry = Entry(position, whole, resource["resourceType"], full_url=name)
        self.made.append((entry, issues))
        self.tells[position] = tell
        self.places[position] = hl7v2_resources.placing(placed, f"{self.people.pid.at}-3")

    def leave(self, cause: str, at: str) -> None:
        """What is kept and read by no rule."""
        position = len(self.made)
        resource: dict[str, Any] = {"resourceType": "Basic", "id": f"{self.stamp}|{at}"}
        if self.people.reference():
            resource["subject"] = self.people.reference()
        self.made.append((Entry(position, resource, at), []))
        issue = Issue("business-rule", cause, "nothing to do", place=at, severity="information")
        self.unread[position] = issue

    def rest(self, type: str, event: str) -> None:
        """Segments of which nothing was read, a line of the receipt for all of them."""
        if type == "MDM":
            for obx in self.message.every("OBX"):
                if obx.text(2).upper() == "ED":
                    self.leave(hl7v2_shapes.document(obx), f"{obx.at}-5")
            self.seen.add("OBX")
        left = Counter(s.name for s in self.message.segments if s.name not in (*READ, *self.seen))
        if left or not self.made:
            told = ", ".join(f"{n} x {name}" if n > 1 else name for name, n in left.items())
            named = f"{type}^{event}".rstrip("^")
            self.leave(f"{named}: no rule reads {told or 'this type'}", "MSH-9")


def _left(order: hl7v2_results.Order) -> list[Segment]:
    return [obx for obx in order.results if not order.is_report(obx)]


def _code(coded: Any) -> str:
    """The first coding as part of a key."""
    codings = coded.codings if coded else ()
    return f"{codings[0][2]}|{codings[0][0]}" if codings else ""


def _issue(at: str, category: str, cause: str, remedy: str, severity: Any = "error") -> Issue:
    return Issue(category, cause, remedy, place=at, severity=severity)
