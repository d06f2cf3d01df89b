"""Which of the values that an origin says become the record's, and which wait.

A field belongs to the origin whose value was accepted. That origin may correct or withdraw it;
another origin that says otherwise waits for a person. Nothing is written here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhirbridge.formats import fhir_json
from fhirbridge.outcome import Issue
from fhirbridge.registry.origins import Origin
from fhirbridge.registry.proposals import Proposal
from fhirbridge.study import records
from fhirbridge.study.definition import Field, Form
from fhirbridge.sync.said import Said


def same(left: Any, right: Any) -> bool:
    """As it is written: 1.10 is not 1.1."""
    return fhir_json.canonical(left) == fhir_json.canonical(right)


def agree(field: Field, left: Any, right: Any) -> bool:
    """Whether two values of the field say the same; the words of a list have no order."""
    if field.many and isinstance(left, list) and isinstance(right, list):
        return sorted(left) == sorted(right)
    return same(left, right)


@dataclass(frozen=True, slots=True)
class Merged:
    """The record's fields after it, why fields wait, the names that the origin now owns, and what
    waited of it and is accepted now."""

    after: Mapping[str, Any]
    waits: Mapping[str, Issue]
    taken: Sequence[str]
    promoted: Sequence[Proposal]


@dataclass(frozen=True, slots=True)
class Merge:
    """`before` are the record's fields, `owners` whose they are. `partial`: what the origin does
    not name stays. `alone`: what it says and does not go with the rest."""

    form: Form
    said: Said
    origin: Origin
    partial: bool
    before: Mapping[str, Any]
    owners: Mapping[str, Proposal]
    alone: frozenset[str]

    def run(self, waiting: Sequence[Proposal]) -> Merged:
        """`waiting` are the record's proposals that wait, where some may become final."""
        after = {name: value for name, value in self.before.items() if not self._drops(name)}
        waits: dict[str, Issue] = {}
        taken: list[str] = []
        for name, value in self.said.fields.items():
            new = records.value_to_json(value)
            if name in self.alone or self._known(name, new):
                continue
            why = self._waits(name)
            if why is not None:
                waits[name] = why
            else:
                after[name] = new
                taken.append(name)
        promoted = self._promoted(waiting)
        return Merged(after | {p.field: p.value for p in promoted}, waits, taken, promoted)

    def _known(self, name: str, new: Any) -> bool:
        """The record says so already, or it is only assumed, or another moment of the same day:
        the key is the same."""
        if name not in self.before:
            return False
        said_so = agree(self.form.fields[name], self.before[name], new)
        moment = name in self.form.key and self._foreign(name)
        return said_so or self.said.traces[name].assumed or moment

    def _waits(self, name: str) -> Issue | None:
        trace = self.said.traces[name]
        if self._foreign(name):
            cause = f"another source says otherwise of {name}"
            remedy = "a person decides it by 'fhirbridge proposal'"
            return Issue("conflict", cause, remedy, trace.expression)
        if trace.review:
            cause = f"{name} is proposed by '{trace.rule}', which a person accepts"
            remedy = "decide it by 'fhirbridge proposal'"
            return Issue("review", cause, remedy, trace.expression)
        return None

    def not_its_own(self) -> Iterator[Issue]:
        """What it would take back and another one gave."""
        for name in sorted(self.said.nulls & self.before.keys()):
            if not self._own(name):
                cause = f"{name} was given by another source, and is not taken back"
                remedy = "have it corrected where it comes from"
                at = self.said.traces[name].expression if name in self.said.traces else name
                yield Issue("conflict", cause, remedy, at)

    def _promoted(self, waiting: Sequence[Proposal]) -> list[Proposal]:
        """What waits of this origin and is final by its word; what another has said stays."""
        free = {n for n in self.said.promotes if n not in self.owners or self._own(n)}
        return [p for p in waiting if p.origin_id == self.origin.id and p.field in free]

    def _own(self, name: str) -> bool:
        owner = self.owners.get(name)
        return owner is not None and owner.origin_id == self.origin.id

    def _foreign(self, name: str) -> bool:
        return name in self.before and name in self.owners and not self._own(name)

    def _drops(self, name: str) -> bool:
        """A field that this origin gave and takes back, or, read without a fault, gives no more: a
        correction. What stood there before a value that waits alone is given no more, either."""
        if not self._own(name):
            return False
        if name in self.said.nulls:
            return True
        gives = name in self.said.fields and name not in self.alone
        return not self.partial and not gives and name not in self.said.unread
