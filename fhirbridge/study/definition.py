"""The study definition: forms and fields as `mappings/study.yaml` states them, checked when loaded.

Knows no study by name and nothing of FHIR: what a form holds, what a value may be, what makes a
record the same record again.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from fhirbridge import lined_yaml
from fhirbridge.outcome import BridgeError, Issue

TYPES = frozenset({"text", "integer", "decimal", "date", "datetime", "choice", "boolean", "ids"})
ABSENT_REASONS = (
    "unknown",
    "not-asked",
    "asked-declined",
    "masked",
    "not-applicable",
    "not-performed",
    "error",
)


@dataclass(frozen=True, slots=True)
class Field:
    """One data element. `type` is one of TYPES: `date` and `datetime` may be partial, `datetime`
    may carry a time with its zone; `ids` is a list of system and value, kept in the identity
    vault."""

    name: str
    type: str
    meaning: str = ""
    unit: str = ""  # UCUM
    range: tuple[Decimal, Decimal] | None = None
    choices: tuple[str, ...] = ()
    better: str = ""  # "higher" or "lower": the direction of the score
    required: bool = False  # a value or a reason for its absence must be there
    absent: bool = True  # may be absent for a reason; False where its choices must say it all
    accept: str = "auto"  # "review": a proposal waits for a person
    source: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """A form and what identifies one filled form of a subject: the values of its key fields."""

    name: str
    title: str
    key: tuple[str, ...]
    fields: Mapping[str, Field]

    def key_of(self, values: Mapping[str, Any]) -> str:
        """The business key as text; empty for a form that a subject fills once."""
        return "|".join(str(values[name]) for name in self.key)


@dataclass(frozen=True, slots=True)
class Study:
    """`canonical` is the URL under which the study's own codes, identifiers and extensions live."""

    id: str
    title: str
    canonical: str
    forms: Mapping[str, Form]

    def form(self, name: str) -> Form:
        if name not in self.forms:
            remedy = f"use one of {', '.join(self.forms)}"
            raise BridgeError(Issue("not-found", f"the study has no form '{name}'", remedy))
        return self.forms[name]


def near(word: str, known: Collection[str]) -> str:
    """A remedy for a word that is not known: the nearest known one, or all of them."""
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean '{close[0]}'?" if close else f"use one of {', '.join(sorted(known))}"


def load(text: str, *, name: str = "study.yaml") -> Study:
    """The study of the text, or a `BridgeError` that tells every fault with file and line."""
    document = lined_yaml.load(text, name=name)
    reader = _Reader(document)
    study = reader.study()
    if reader.faults:
        raise BridgeError(*reader.faults)
    return study


class _Reader:
    """Walks the document once and collects faults instead of stopping at the first."""

    def __init__(self, document: lined_yaml.Document) -> None:
        self.document = document
        self.faults: list[Issue] = []

    def fault(self, path: lined_yaml.Path, cause: str, remedy: str) -> None:
        place = self.document.place(path)
        self.faults.append(Issue("configuration", cause, remedy, place=place))

    def study(self) -> Study:
        content = self.document.content
        if not isinstance(content, dict):
            self.fault((), "no study definition", "give 'id', 'title', 'canonical' and 'forms'")
            content = {}
        self.words(content, (), {"id", "title", "canonical", "forms"})
        for word in ("id", "title", "canonical"):
            if not isinstance(content.get(word), str) or not content[word]:
                self.fault((word,), f"the study has no {word}", "give it as text")
        forms = content.get("forms")
        if not isinstance(forms, dict) or not forms:
            self.fault(("forms",), "the study has no forms", "add one below 'forms:'")
            forms = {}
        return Study(
            id=str(content.get("id", "")),
            title=str(content.get("title", "")),
            canonical=str(content.get("canonical", "")),
            forms=MappingProxyType({n: self.form(n, ("forms", n), f) for n, f in forms.items()}),
        )

    def words(self, given: Mapping[str, Any], path: lined_yaml.Path, known: set[str]) -> None:
        for word in given:
            if word not in known:
                self.fault((*path, word), f"'{word}' is not known here", near(word, known))

    def form(self, name: str, path: lined_yaml.Path, given: Any) -> Form:
        if not isinstance(given, dict) or not isinstance(given.get("fields"), dict):
            self.fault(path, f"the form '{name}' has no fields", "add 'fields:'")
            return Form(name, name, (), MappingProxyType({}))
        self.words(given, path, {"title", "key", "fields"})
        made = {n: self.field(n, (*path, "fields", n), f) for n, f in given["fields"].items()}
        key = given.get("key", [])
        if not isinstance(key, list) or not all(isinstance(part, str) for part in key):
            self.fault((*path, "key"), "the key is no list of fields", "write [field]")
            key = []
        for part in key:
            if part not in made:
                self.fault((*path, "key"), f"the key names no field '{part}'", near(part, made))
            elif not made[part].required:
                self.fault((*path, "key"), f"the key field '{part}' is not required", "require it")
        return Form(name, str(given.get("title", name)), tuple(key), MappingProxyType(made))

    def field(self, name: str, path: lined_yaml.Path, given: Any) -> Field:
        if not isinstance(given, dict):
            self.fault(path, f"the field '{name}' is not described", "give it a 'type'")
            return Field(name, "text")
        self.words(given, path, {f.name for f in fields(Field)} - {"name"})
        for rule in _field_rules(given):
            self.fault(path, *rule)
        plain = {f.name: given[f.name] for f in fields(Field) if f.name in given}
        bounds = given.get("range")
        if isinstance(bounds, list) and _is_range(bounds):
            plain["range"] = (Decimal(str(bounds[0])), Decimal(str(bounds[1])))
        else:
            plain.pop("range", None)
        choices = given.get("choices")
        plain["choices"] = tuple(choices) if isinstance(choices, list) else ()
        plain["type"] = str(given.get("type", "text"))
        return Field(**{**plain, "name": name})


def _is_range(bounds: Any) -> bool:
    return (
        isinstance(bounds, list)
        and len(bounds) == 2
        and all(isinstance(b, int | float) and not isinstance(b, bool) for b in bounds)
        and bounds[0] <= bounds[1]
    )


def _field_rules(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    kind, choices = given.get("type"), given.get("choices")
    if not isinstance(kind, str) or kind not in TYPES:
        yield f"'{kind}' is no type of a field", near(str(kind), TYPES)
    if (kind == "choice") != (isinstance(choices, list) and bool(choices)):
        yield "choices belong to the type 'choice', and only to it", "give a list of words"
    if isinstance(choices, list):
        odd = [word for word in choices if not isinstance(word, str)]
        if odd:
            yield f"the choice {odd[0]!r} is no word", "put it in quotes"
        if len(set(map(str, choices))) < len(choices):
            yield "a choice is given twice", "keep one of them"
        both = [reason for reason in ABSENT_REASONS if reason in choices]
        if both and given.get("absent") is not False:
            yield f"'{both[0]}' is a choice and a reason of absence", "say 'absent: false'"
    if "range" in given and (kind not in ("integer", "decimal") or not _is_range(given["range"])):
        yield "a range is two numbers, low first, of an integer or decimal", "write [low, high]"
    if given.get("accept", "auto") not in ("auto", "review"):
        yield f"accept: '{given['accept']}' is not known", "use auto or review"
    if given.get("better", "") not in ("", "higher", "lower"):
        yield f"better: '{given['better']}' is not known", "use higher or lower"
    for word in (f for f in fields(Field) if f.default is not MISSING):
        value = given.get(word.name)
        if isinstance(word.default, str | bool) and not isinstance(
            given.get(word.name, word.default), type(word.default)
        ):
            yield f"{word.name}: {value!r} is no {type(word.default).__name__}", "mend the value"
