"""Reads what a mapping file says of statuses, and of values that stand inside other resources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from fhirbridge import lined_yaml
from fhirbridge.fhir import definitions
from fhirbridge.mapping import fit
from fhirbridge.mapping.read_rows import RowsReader, Written
from fhirbridge.mapping.spec import FormMapping, Gate, Inside, Recogniser, Row
from fhirbridge.study.definition import near


class InsideReader(RowsReader):
    """Gates, and `inside`."""

    name: str
    recogniser: Recogniser | None
    shared: list[Written]
    each_row: list[Written]
    each_group: list[tuple[str, list[Written]]]

    def gate(
        self,
        content: Mapping[str, Any],
        above: lined_yaml.Path,
        *,
        resource: str = "",
        word: str = "gate",
    ) -> Gate | None:
        if word not in content:
            return None
        at = (*above, word)
        given = self.words(content[word], at, "gate") if above else content[word]
        path = self.path(given.get("at"), at, resource=resource)
        if path is None:
            return None
        fates = ("pass", "withdraw", "refuse", "hold")
        passes, withdraws, refuses, holds = (frozenset(given.get(fate) or ()) for fate in fates)
        gate = Gate(path, passes, withdraws, refuses, holds, given.get("writes"))
        for told in fit.statuses(gate, resource or self.resource):
            self.fault(at, *told)
        return gate

    def review(self) -> Gate | None:
        """The codes whose resources a person looks at; every other passes."""
        given = self.content.get("review")
        path = self.path(given.get("at"), ("review",)) if given else None
        if given is None or path is None:
            return None
        none: frozenset[str] = frozenset()
        return Gate(path, none, none, none, frozenset(given.get("codes", ())), None)

    def with_inside(self, mapping: FormMapping) -> FormMapping:
        made = []
        for number, given in enumerate(self.content.get("inside") or ()):
            at: lined_yaml.Path = ("inside", number)
            one = self.inside(self.words(given, at, "inside"), at)
            made += [one] if one else []
        return replace(mapping, inside=tuple(made))

    def inside(self, given: dict[str, Any], at: lined_yaml.Path) -> Inside | None:
        resource = str(given.get("resource", self.resource))
        items, code = str(given.get("items")), str(given.get("code"))
        types = definitions.resource_types()
        if resource not in types:
            self.fault(at, f"R4 has no resource type '{resource}'", near(resource, types))
            return None
        if self.recogniser is None:
            self.fault(at, "nothing says which code means which field", "give 'recognise'")
            return None
        patient = self.path(
            given.get("patient", self.content.get("patient")), at, resource=resource
        )
        item = definitions.element(resource, items)
        if item is None or not item.is_list or definitions.element(item.path, code) is None:
            cause = f"{resource}.{items} is no list whose items have '{code}'"
            self.fault(at, cause, "see hl7.org/fhir/R4")
            return None
        system = given.get("system")
        if patient is None:
            return None
        return Inside(
            resource=resource,
            items=items,
            code=code,
            system=self.path(system, at, resource=resource) if system else None,
            gate=self.gate_inside(given, at, resource),
            patient=patient,
            shared=tuple(self.shared_inside(given, at, resource)),
            rows=self.rows_inside(given, at, item.path),
            own=self.names_in(str(given.get("own", "")), at),
        )

    def gate_inside(
        self, given: Mapping[str, Any], at: lined_yaml.Path, resource: str
    ) -> Gate | None:
        """The file's own where the items stand in its own resource type."""
        if "gate" in given:
            return self.gate(given, at, resource=resource)
        return self.gate(self.content, ()) if resource == self.resource else None

    def shared_inside(
        self, given: Mapping[str, Any], at: lined_yaml.Path, resource: str
    ) -> list[Row]:
        """The rows that are read from the resource around the items."""
        if "shared" not in given:
            return [told.row for told in self.shared]
        around, self.resource = self.resource, resource
        rows = [told.row for told in self.rows(given["shared"], (*at, "shared"), absent=False)]
        self.resource = around
        return rows

    def rows_inside(
        self, given: Mapping[str, Any], at: lined_yaml.Path, item: str
    ) -> dict[str, tuple[Row, ...]]:
        """Each block's own value, read from an item: at the place of its type."""
        values = given.get("values", self.content.get("values", {}))
        mains = [(told.row.field.name, told) for told in self.each_row if told.usual]
        mains += [(word, rows[0]) for word, rows in self.each_group if rows and rows[0].usual]
        made: dict[str, tuple[Row, ...]] = {}
        for word, told in mains:
            usual = values.get(told.row.field.type)
            if not isinstance(usual, dict):
                continue
            first = {w: usual[w] for w in ("at", "by") if w in usual}
            if "by" in told.given:
                first["by"] = told.given["by"]
            others = usual.get("accepts") or ()
            spelled = [first, *_measured(told, usual)]
            spelled += [*({**first, **other} for other in others), *_graded(told, values)]
            read = [self.reading(one, told.row.field, at, resource=item) for one in spelled]
            readings = tuple(reading for reading in read if reading is not None)
            if readings:
                absent = self.absence(told.row.field, resource=item)
                row = replace(told.row, readings=readings, absent=absent)
                made[f"{self.name}.{word}"] = (row,)
        return made


def _measured(told: Written, usual: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The row's own accepted units, at the places where an item of these values holds a quantity;
    before the field's own unit, as in the row."""
    places = [one["at"] for one in (usual, *(usual.get("accepts") or ())) if _plain(one)]
    for accepted in told.given.get("accepts") or ():
        by = str(accepted.get("by", ""))
        if by.startswith("quantity/"):
            yield from ({"at": place, "by": by} for place in places)


def _plain(reading: Mapping[str, Any]) -> bool:
    return reading.get("by") == "quantity" and "at" in reading


def _graded(told: Written, values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The row's own accepted codes, where an item of these values holds one."""
    choice = values.get("choice") or {}
    for accepted in told.given.get("accepts") or ():
        by = str(accepted.get("by", ""))
        if "at" in choice and by.startswith(("code/", "grade/")):
            yield {"at": choice["at"], "by": by}
