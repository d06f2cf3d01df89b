"""Forms, and the study that they make: instruments, visits and outcomes beside them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from dataclasses import field as part
from types import MappingProxyType
from typing import Any

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.study.fields import Field
from fhirbridge.study.values import Absent

DAY = len("2026-01-31")


def near(word: str, known: Collection[str]) -> str:
    """A remedy for a word that is not known: the nearest known one, or all of them."""
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean '{close[0]}'?" if close else f"use one of {', '.join(sorted(known))}"


@dataclass(frozen=True, slots=True)
class Form:
    """A form and what identifies one filled form of a subject: the values of its key fields."""

    name: str
    title: str
    key: tuple[str, ...]
    fields: Mapping[str, Field]
    required: tuple[str, ...] = part(init=False, repr=False, compare=False)
    needing: tuple[Field, ...] = part(init=False, repr=False, compare=False)  # `with`, `after`
    totals: tuple[Field, ...] = part(init=False, repr=False, compare=False)  # are sums of others
    related: frozenset[str] = part(init=False, repr=False, compare=False)  # needing and totals
    daily: frozenset[str] = part(init=False, repr=False, compare=False)  # of the key, by their day
    order: Callable[[str], int] = part(init=False, repr=False, compare=False)  # a field's place

    def __post_init__(self) -> None:
        fields = self.fields.values()
        object.__setattr__(self, "required", tuple(f.name for f in fields if f.required))
        object.__setattr__(
            self, "needing", tuple(f for f in fields if f.with_ or f.after or f.among)
        )
        object.__setattr__(self, "totals", tuple(f for f in fields if f.total))
        related = frozenset(f.name for f in (*self.needing, *self.totals))
        object.__setattr__(self, "related", related)
        keys = (self.fields[name] for name in self.key if name in self.fields)
        daily = (f.name for f in keys if f.type == "datetime" and f.precision != "second")
        object.__setattr__(self, "daily", frozenset(daily))
        places = {name: place for place, name in enumerate(self.fields)}
        object.__setattr__(self, "order", places.__getitem__)

    def key_of(self, values: Mapping[str, Any]) -> str:
        """The business key as text; empty for a form that a subject fills once. A bar inside a
        part is not taken for the bar between two parts. A moment counts by its day: the scores of a
        visit are taken one after the other, and are one assessment."""
        if len(self.key) == 1:
            return self.key_part(self.key[0], values)
        parts = (self.key_part(name, values) for name in self.key)
        return "|".join(text.replace("%", "%25").replace("|", "%7C") for text in parts)

    def key_part(self, name: str, values: Mapping[str, Any]) -> str:
        value = str(values[name])
        return value[:DAY] if name in self.daily else value

    def fits(self, values: Mapping[str, Any]) -> bool:
        """Nothing to object to any value, and none missing; says nothing of `with` and totals."""
        fields = self.fields
        for name, value in values.items():
            field = fields.get(name)
            if field is None or not field.fits(value):
                return False
        for name in self.required:
            if name not in values:
                return False
        return not [name for name in self.key if type(values[name]) is Absent]


@dataclass(frozen=True, slots=True)
class Instrument:
    """A questionnaire or scale: where its definition comes from, and what its owner asks."""

    name: str
    title: str
    version: str = ""
    source: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Anchor:
    """Day 0: the date `field` of the record of `form` whose yes-or-no field `where` says yes."""

    form: str
    field: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """Days from the anchor, both ends included. A window that ends on day 0 ends with the anchor's
    moment, one that begins on day 0 begins with it."""

    target: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Visits:
    """`otherwise` names what lies in no window (`else` in the definition)."""

    anchor: Anchor
    schedule: Mapping[str, Window]
    otherwise: str


@dataclass(frozen=True, slots=True)
class Outcomes:
    """`form.field` of each outcome, and the visits between which its change is told."""

    primary: tuple[str, ...] = ()
    secondary: tuple[str, ...] = ()
    start: str = ""  # `from` in the definition
    end: str = ""  # `to` in the definition


@dataclass(frozen=True, slots=True)
class Study:
    """`canonical` is the URL under which the study's own codes, identifiers and extensions live."""

    id: str
    title: str
    canonical: str
    forms: Mapping[str, Form]
    instruments: Mapping[str, Instrument] = part(default_factory=lambda: MappingProxyType({}))
    visits: Visits | None = None
    outcomes: Outcomes = Outcomes()

    def form(self, name: str) -> Form:
        if name not in self.forms:
            remedy = f"use one of {', '.join(self.forms)}"
            raise BridgeError(Issue("not-found", f"the study has no form '{name}'", remedy))
        return self.forms[name]
