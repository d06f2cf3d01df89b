"""The study definition: `mappings/study.yaml` read and checked as a whole when it is loaded.

Knows no study by name and nothing of FHIR: what a form holds, what a value may be, what makes a
record the same record again, and at which visit it counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fhirbridge import lined_yaml
from fhirbridge.outcome import BridgeError
from fhirbridge.study import field_rules, schedule_rules
from fhirbridge.study.fields import DATES, NUMBERS, PAIRS, TYPES, Field, Mid, Total
from fhirbridge.study.forms import (
    Anchor,
    Form,
    Instrument,
    Outcomes,
    Study,
    Visits,
    Window,
    near,
)
from fhirbridge.study.reading import Path, Reading
from fhirbridge.study.values import ABSENT_REASONS

__all__ = [
    "ABSENT_REASONS",
    "NUMBERS",
    "TYPES",
    "WORDS",
    "Anchor",
    "Field",
    "Form",
    "Instrument",
    "Mid",
    "Outcomes",
    "Study",
    "Total",
    "Visits",
    "Window",
    "load",
    "near",
]

WORDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "study": ("id", "title", "canonical", "instruments", "visits", "outcomes", "forms"),
        "form": ("title", "key", "fields"),
        "field": tuple(field_rules.WORDS),
    }
)
"""The words of the definition, by where they stand."""


def load(text: str, *, name: str = "study.yaml") -> Study:
    """The study of the text, or a `BridgeError` that tells every fault with file and line."""
    document = lined_yaml.load(text, name=name)
    reading = Reading(document)
    study = _study(reading)
    if reading.faults:
        raise BridgeError(*reading.faults)
    return study


def _study(reading: Reading) -> Study:
    content = reading.document.content
    if not isinstance(content, dict):
        reading.fault((), "no study definition", "give 'id', 'title', 'canonical' and 'forms'")
        content = {}
    reading.words(content, (), WORDS["study"])
    for word in ("id", "title", "canonical"):
        if not isinstance(content.get(word), str) or not content[word]:
            reading.fault((word,), f"the study has no {word}", "give it as text")
    given = reading.mapping(
        content.get("forms"), ("forms",), "the study has no forms", "add one below 'forms:'"
    )
    forms = MappingProxyType({n: _form(reading, n, ("forms", n), f) for n, f in given.items()})
    return _whole(reading, content, forms)


def _whole(reading: Reading, content: Mapping[str, Any], forms: Mapping[str, Form]) -> Study:
    """The study of its forms, and what only shows where all of them are known."""
    instruments: Mapping[str, Instrument] = MappingProxyType({})
    visits: Visits | None = None
    outcomes = Outcomes()
    if "instruments" in content:
        instruments = schedule_rules.instruments(reading, content["instruments"])
    if "visits" in content:
        visits = schedule_rules.visits(reading, content["visits"], forms)
    schedule = visits.schedule if visits else {}
    if "outcomes" in content:
        outcomes = schedule_rules.outcomes(reading, content["outcomes"], forms, schedule)
    id, title, canonical = (str(content.get(word, "")) for word in ("id", "title", "canonical"))
    study = Study(id, title, canonical, forms, instruments, visits, outcomes)
    for form in forms.values():
        for field in form.fields.values():
            _outside(reading, study, field, ("forms", form.name, "fields", field.name))
            _siblings(reading, form, field, ("forms", form.name, "fields", field.name))
    return study


def _form(reading: Reading, name: str, path: Path, given: Any) -> Form:
    if not isinstance(given, dict) or not isinstance(given.get("fields"), dict):
        reading.fault(path, f"the form '{name}' has no fields", "add 'fields:'")
        return Form(name, name, (), MappingProxyType({}))
    reading.words(given, path, WORDS["form"])
    fields = {n: _field(reading, n, (*path, "fields", n), f) for n, f in given["fields"].items()}
    key = given.get("key", [])
    if not isinstance(key, list) or not all(isinstance(part, str) for part in key):
        reading.fault((*path, "key"), "the key is no list of fields", "write [field]")
        key = []
    for part in key:
        _key_part(reading, (*path, "key"), part, fields)
    known = tuple(part for part in key if part in fields)
    return Form(name, str(given.get("title", name)), known, MappingProxyType(fields))


def _key_part(reading: Reading, path: Path, part: str, fields: Mapping[str, Field]) -> None:
    if part not in fields:
        reading.fault(path, f"the key names no field '{part}'", near(part, fields))
        return
    if not fields[part].required:
        reading.fault(path, f"the key field '{part}' is not required", "require it")
    if fields[part].many or fields[part].type in PAIRS:
        reading.fault(path, f"the key field '{part}' is a list", "use a field of one value")


def _field(reading: Reading, name: str, path: Path, given: Any) -> Field:
    """The field; where it has a fault, a text of its name, so that the rest can be checked."""
    if not isinstance(given, dict):
        reading.fault(path, f"the field '{name}' is not described", "give it a 'type'")
        return Field(name, "text")
    reading.words(given, path, WORDS["field"])
    wrong = list(field_rules.faults(given))
    for rule in wrong:
        reading.fault(path, *rule)
    if wrong:
        return Field(name, "text", required=given.get("required") is not False)
    return field_rules.field(name, given)


def _outside(reading: Reading, study: Study, field: Field, path: Path) -> None:
    """What a field says of other forms, of instruments and of visits."""
    known = field.to and reading.named(field.to, path, study.forms, "form")
    if known and not study.forms[field.to].key:
        cause = f"the form '{field.to}' has no key that a reference could hold"
        reading.fault(path, cause, "give it a key")
    if field.instrument:
        reading.named(field.instrument, path, study.instruments, "instrument")
    for visit, _ in field.pick:
        reading.named(visit, path, study.visits.schedule if study.visits else {}, "visit")


def _siblings(reading: Reading, form: Form, field: Field, path: Path) -> None:
    """What a field says of other fields of its form."""
    others = {name for name in form.fields if name != field.name}
    kind = f"other field of {form.name}"
    for name in field.with_:
        known = reading.named(name, path, others, kind)
        for word in dict(field.with_words).get(name, ()) if known else ():
            _word(reading, form.fields[name], word, path)
    for name, lists in field.among:
        known = reading.named(name, path, others, kind)
        for word, _ in lists if known else ():
            _word(reading, form.fields[name], word, path)
    if field.after and reading.named(field.after, path, others, kind):
        _dated(reading, form.fields[field.after], path)
    if field.total is not None:
        _parts(reading, form, field.total, path, others)


def _parts(reading: Reading, form: Form, total: Total, path: Path, others: set[str]) -> None:
    if total.by in form.fields:  # `with` must name it too, and tells where it is not there
        for word, _ in total.lists:
            _word(reading, form.fields[total.by], word, path)
    for names in (total.of, *(names for _, names in total.lists)):
        for name in names:
            known = reading.named(name, path, others, f"other field of {form.name}")
            if known and form.fields[name].type not in NUMBERS:
                reading.fault(path, f"'{name}' is no number to add up", "leave it out")


def _word(reading: Reading, field: Field, word: str, path: Path) -> None:
    reading.named(word, path, field.choices, f"choice of {field.name}")


def _dated(reading: Reading, start: Field, path: Path) -> None:
    if start.type not in DATES:
        reading.fault(path, f"'{start.name}' is no date to come after", "name a date")
