"""Conditions of requests and references, `Type?parameter=value`: which of our resources they mean.

Held against the registry's own view, and an `identifier` also against what this source has called
its resources (https://hl7.org/fhir/R4/http.html#ccreate, #cond-update).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import parse_qsl

from fhirbridge.fhir import search_values
from fhirbridge.fhir.search_parameters import PARAMETERS, written
from fhirbridge.outcome import Issue
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.search import DateFilter, TokenFilter
from fhirbridge.registry.unit import Unit
from fhirbridge.sync.whose import Whose


class Condition(NamedTuple):
    """A search of one type; `identifier` is its system and value where it asks for nothing else."""

    type: str
    tokens: list[TokenFilter]
    dates: list[DateFilter]
    identifier: tuple[str, str] | None


def read(type: str, query: str, at: str) -> Condition | Issue:
    """An unknown parameter is refused: ignored, it would match everything."""
    known = PARAMETERS.get(type)
    pairs = parse_qsl(query, keep_blank_values=True)
    if known is None:
        return _refuse(f"{type} is not searched here", "send it without a condition", at)
    if not pairs or len(pairs) > _MOST:
        return _refuse("the condition has no parameter, or too many", "give an identifier", at)
    made = Condition(type, [], [], None)
    for name, text in pairs:
        if name != "_id" and name not in known:
            return _refuse(f"{type} is not searched by '{name[:40]}'", "give an identifier", at)
        kind = "token" if name == "_id" else known[name].kind
        if kind == "date":
            span = search_values.date(text)
            if span is None:
                return _refuse(f"'{name}' has no date", "write YYYY-MM-DD", at)
            made.dates.append((name, *span))
        elif kind == "reference":
            made.tokens.append((name, [("", search_values.reference(text))]))
        else:
            system, value = search_values.token(text)
            if not value:
                return _refuse(f"'{name}' has no value", "give system|value", at)
            made.tokens.append(
                (name, [("" if name == "_id" else written(type, name, system), value)])
            )
    if len(pairs) == 1 and pairs[0][0] == "identifier":
        system, value = search_values.token(pairs[0][1])
        if system is not None:
            return made._replace(identifier=(system, value))
    return made


_MOST = 10  # parameters of a condition


def _refuse(cause: str, remedy: str, at: str) -> Issue:
    return Issue("not-supported", cause, remedy, at)


@dataclass
class Matching:
    """The matches of one message's conditions; those by identifier are looked up together."""

    unit: Unit
    whose: Whose
    source: str
    known: dict[tuple[str, str, str], list[ResourceRow]] = field(default_factory=dict)

    def prepare(self, conditions: Iterable[Condition]) -> None:
        """One query for all that ask by identifier."""
        asked = [c for c in conditions if c.identifier and c.type != "Patient"]
        if asked:
            self.known = self.unit.resources.by_identifiers(
                {c.identifier[1] for c in asked if c.identifier}
            )
            for one in asked:
                assert one.identifier is not None
                self.known.setdefault((one.type, *one.identifier), [])

    def of(self, asked: Condition, *, own_names: bool = True) -> list[ResourceRow]:
        """At most two: more are no clearer. `own_names`: those of the source count, too."""
        if asked.identifier is None:
            return self.unit.resources.search(
                asked.type, tokens=asked.tokens, dates=asked.dates, count=2
            )
        if asked.type == "Patient":
            return self._patient(*asked.identifier)
        name = (asked.type, *asked.identifier)
        if name not in self.known:
            self.prepare([asked])
        found = self.known[name][:2]
        return self._own_name(*name) if not found and own_names else found

    def _patient(self, system: str, value: str) -> list[ResourceRow]:
        subject = self.whose.by_identifier(system, value)
        record = self.unit.records.find(subject.id, "subject", "") if subject else None
        rows = self.unit.resources.of_record(record.id) if record else []
        return [row for row in rows if row.type == "Patient" and not row.deleted]

    def _own_name(self, type: str, system: str, value: str) -> list[ResourceRow]:
        """What this source sent under the identifier, which our view need not show."""
        told = self.unit.receipts.named(self.source, type, f"{system}|{value}")
        rows = [
            row
            for record_id, rule in told
            for row in self.unit.resources.of_record(record_id)
            if row.type == type and row.block == rule and not row.deleted
        ]
        return list({row.id: row for row in rows}.values())[:2]
