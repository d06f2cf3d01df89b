"""Reads the rows of one recognised resource, or item, into the fields of a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fhirbridge.fhir import definitions
from fhirbridge.mapping.codecs import Fault
from fhirbridge.mapping.read_row import Trace, read_row
from fhirbridge.mapping.recognise import Fate, codes, status
from fhirbridge.mapping.referring import Refer
from fhirbridge.mapping.spec import Block, FormMapping, Gate, MappingSet, Reading, Row
from fhirbridge.outcome import Issue
from fhirbridge.study import records
from fhirbridge.study.records import Absent, Value


@dataclass(frozen=True, slots=True)
class Here:
    """Where is read: by which mapping, from what source, and how its references are known."""

    mappings: MappingSet
    mapping: FormMapping
    source: str
    root: str
    refer: Refer


@dataclass
class Reader:
    """`rows` with the object that each is read from, and its FHIRPath."""

    here: Here
    block: Block
    rows: list[tuple[Row, Mapping[str, Any], str]]
    fate: Fate = "record"
    review: bool = False
    issues: list[Issue] = field(default_factory=list)
    fields: dict[str, Value] = field(default_factory=dict)
    traces: dict[str, Trace] = field(default_factory=dict)

    def passes(self, gate: Gate, resource: Mapping[str, Any]) -> bool:
        """Whether the status lets its content be read."""
        self.fate, told, at = status(gate, resource, self.here.root)
        if gate is self.here.mapping.where and not told and self.fate == "record":
            return self.untold(gate, resource)
        if self.fate not in ("refuse", "hold"):
            return True
        remedy = "nothing to do"
        if self.fate == "hold":
            own = gate is self.here.mapping.where
            remedy = "a person decides" if own else when_final(gate, told)
        self.issues.append(Issue("business-rule", f"its {gate.path.text} is {told}", remedy, at))
        return False

    def untold(self, gate: Gate, resource: Mapping[str, Any]) -> bool:
        """Whether `where` is answered at all: without its answer nothing says that it is meant."""
        if any(list(codes(found.value)) for found in gate.path.read(resource, root=self.here.root)):
            return True
        self.fate = "hold"
        cause = f"its {gate.path.text} has no code, and without it nothing says that it is meant"
        place = f"{self.here.root}.{gate.path.text}"
        self.issues.append(Issue("required", cause, "code it at its source", place))
        return False

    def doubt(self, gate: Gate, resource: Mapping[str, Any]) -> None:
        """A person looks at what resources say that have such codes and no other."""
        found = list(gate.path.read(resource, root=self.here.root))
        told = {code for one in found for code in codes(one.value)}
        if told and told <= gate.holds:
            self.review = True
            cause = f"it is {', '.join(sorted(told))} and nothing else"
            remedy = "a person looks whether it is a fact of its own"
            place = found[0].expression
            self.issues.append(Issue("review", cause, remedy, place, severity="warning"))

    def read(self) -> None:
        for row, here, at in self.rows:
            self.read_row(row, here, at)
        if self.fate == "record":
            self.tell_absence()
        elif self.fate == "withdraw":  # by what it was, whatever is left of it
            self.issues.clear()
            return
        wrong = records.totals(self.here.mapping.form, self.fields)
        self.issues += [replace(issue, expression=self.at(issue.expression)) for issue in wrong]
        if self.keyless:
            cause = f"{', '.join(self.keyless)} cannot be read, and without it there is no record"
            remedy = "send it with the resource"
            self.issues.append(Issue("required", cause, remedy, self.here.root))
        unread = self.block.main and self.block.main not in self.fields
        if unread and not self.issues:
            at = next(at for row, _, at in self.rows if row.field.name == self.block.main)
            self.issues.append(_other_form(self.block.main, at))
        if wrong or self.keyless or unread or self.nothing:
            self.fate = "hold"

    def at(self, name: str) -> str:
        """The FHIRPath of a field that was read."""
        trace = self.traces.get(name)
        return trace.expression if trace else self.here.root

    @property
    def nothing(self) -> bool:
        """True where none of what the block is about could be read, and something complains."""
        about = self.block.fields
        return bool(about and self.issues and not any(name in self.fields for name in about))

    @property
    def keyless(self) -> list[str]:
        """The key fields without a value; a reason for its absence identifies nothing."""
        no_value = Absent("unknown")
        key = self.here.mapping.form.key
        return [name for name in key if isinstance(self.fields.get(name, no_value), Absent)]

    @property
    def key(self) -> str:
        return "" if self.keyless else self.here.mapping.form.key_of(self.fields)

    def read_row(self, row: Row, here: Mapping[str, Any], at: str) -> None:
        name = row.field.name
        read, issues = read_row(row, here, at, self.here.refer)
        if read is None and row.from_source and not issues:
            trace = Trace(self.here.root, "derived from the source resource", review=False)
            read = self.here.mappings.source_key(self.here.source), trace
        self.issues += issues
        if read is None and row.absent is not None and not issues:
            read = self.stated(row.absent, here, at)
        if read is None:
            return
        wrong = records.check_value(row.field, read[0])
        if wrong is not None:
            self.issues.append(replace(wrong, expression=read[1].expression))
            return
        value, trace = read
        self.fields[name] = value
        self.traces[name] = replace(trace, review=True) if self.review else trace

    def stated(
        self, absent: Reading, here: Mapping[str, Any], root: str
    ) -> tuple[Value, Trace] | None:
        """The reason of absence that stands beside the place of the value."""
        found = next(absent.path.read(here, root=root), None)
        reason = absent.codec.read(found.value) if found else None
        if found is None or not isinstance(reason, str):
            return None
        return Absent(reason), Trace(found.expression, absent.rule, absent.review)

    def tell_absence(self) -> None:
        """A score without value: its stated reason, or `unknown` and a warning that none was
        stated.
        """
        name = self.block.main
        if not name or name in self.fields or self.issues:
            return
        row, here, at = next(told for told in self.rows if told[0].field.name == name)
        if row.absent is None:
            return
        unread = self.unread(row, here)
        if unread:
            self.issues.append(_other_form(name, f"{at}.{unread}"))
            return
        found = next(row.absent.path.read(here, root=at), None)
        reason = row.absent.codec.read(found.value) if found else None
        cause = f"{name} has neither a value nor a reason for its absence"
        if isinstance(reason, Fault):
            cause = f"{name} is absent for a reason that is not known here: {reason.cause}"
        remedy = "send a value or a dataAbsentReason"
        place = found.expression if found else at
        self.issues.append(Issue("required", cause, remedy, place, severity="warning"))
        self.fields[name] = Absent("unknown")
        self.traces[name] = Trace(at, "no value, no reason", review=False)

    def unread(self, row: Row, here: Mapping[str, Any]) -> str:
        """The property that holds a value in a type that no reading took (`valueRange`), or
        nothing."""
        step = row.first.path.steps[-1]
        own = definitions.element(self.here.mapping.resource, step.name)
        for given in here:
            element = definitions.element(self.here.mapping.resource, given.removeprefix("_"))
            if own and own.choice and element and element.choice == own.choice:
                return given
        return ""


def when_final(gate: Gate, told: str) -> str:
    """The remedy of a status that is not final yet, or that is none."""
    if told in gate.holds:
        return "send it again when it is final"
    return f"give it a status that R4 has, such as {', '.join(sorted(gate.passes))}"


def _other_form(name: str, at: str) -> Issue:
    cause = f"{name} stands in a form that is not read"
    return Issue("not-supported", cause, "send it in one of the forms that the mapping accepts", at)
