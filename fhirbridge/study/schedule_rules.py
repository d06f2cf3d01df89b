"""Instruments, visits and outcomes of the study definition: read, and held against its forms."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from fhirbridge.study.forms import Anchor, Form, Instrument, Outcomes, Visits, Window
from fhirbridge.study.reading import Path, Reading, is_names, is_whole

Forms = Mapping[str, Form]

_INSTRUMENT = ("title", "version", "source", "licence")
_EXAMPLE = "write { target: 14, window: [7, 28] }"


def instruments(reading: Reading, given: Any) -> Mapping[str, Instrument]:
    named = reading.mapping(given, ("instruments",), "no instruments", "add one, or leave it out")
    made = {name: _instrument(reading, name, words) for name, words in named.items()}
    return MappingProxyType(made)


def _instrument(reading: Reading, name: str, given: Any) -> Instrument:
    path = ("instruments", name)
    words = reading.mapping(given, path, f"the instrument '{name}' is not described", "title it")
    reading.words(words, path, _INSTRUMENT)
    if words and not words.get("title"):
        reading.fault(path, f"the instrument '{name}' has no title", "give it as text")
    for word in (w for w in _INSTRUMENT if not isinstance(words.get(w, ""), str)):
        reading.fault((*path, word), f"{word}: {words[word]!r} is no text", "put it in quotes")
    return Instrument(name, **{word: str(words.get(word, "")) for word in _INSTRUMENT})


def visits(reading: Reading, given: Any, forms: Forms) -> Visits:
    path: Path = ("visits",)
    words = reading.mapping(given, path, "no visits", "give 'anchor', 'schedule' and 'else'")
    reading.words(words, path, ("anchor", "schedule", "else"))
    schedule = _schedule(reading, words.get("schedule"))
    otherwise = words.get("else")
    if not isinstance(otherwise, str) or not otherwise or otherwise in schedule:
        cause = "'else' is no name of its own for what lies in no window"
        reading.fault((*path, "else"), cause, "write else: unscheduled")
    return Visits(
        _anchor(reading, words.get("anchor"), forms), MappingProxyType(schedule), str(otherwise)
    )


def _anchor(reading: Reading, given: Any, forms: Forms) -> Anchor:
    path: Path = ("visits", "anchor")
    words = reading.mapping(given, path, "the visits have no anchor", "give 'form' and 'field'")
    reading.words(words, path, ("form", "field", "where"))
    anchor = Anchor(*(str(words.get(word, "")) for word in ("form", "field", "where")))
    if words and reading.named(anchor.form, (*path, "form"), forms, "form"):
        fields = forms[anchor.form].fields
        wanted = {"field": ("date", "datetime"), "where": ("boolean",)}
        for word in (w for w in wanted if w == "field" or w in words):
            name = str(words.get(word, ""))
            if reading.named(name, (*path, word), fields, f"field of {anchor.form}"):
                kind = fields[name].type
                if kind not in wanted[word]:
                    cause = f"'{name}' is a {kind}, and no {wanted[word][0]}"
                    reading.fault((*path, word), cause, f"name a {' or '.join(wanted[word])}")
    return anchor


def _schedule(reading: Reading, given: Any) -> dict[str, Window]:
    path: Path = ("visits", "schedule")
    named = reading.mapping(given, path, "the schedule has no visits", _EXAMPLE)
    made: dict[str, Window] = {}
    for name, words in named.items():
        window = _window(reading, (*path, name), words)
        if window is not None:
            made[name] = window
    ordered = sorted(made, key=lambda name: made[name].low)
    for before, after in pairwise(ordered):
        if made[after].low <= made[before].high:
            cause = f"the windows of '{before}' and '{after}' overlap"
            reading.fault((*path, after), cause, "give each day one visit")
    return made


def _window(reading: Reading, path: Path, given: Any) -> Window | None:
    bounds = given.get("window") if isinstance(given, dict) else None
    fits = (
        isinstance(given, dict)
        and {*given} == {"target", "window"}
        and isinstance(bounds, list)
        and len(bounds) == 2
        and all(is_whole(day) for day in (given["target"], *bounds))
        and bounds[0] <= given["target"] <= bounds[1]
    )
    if not fits or not isinstance(bounds, list):
        cause = "a visit is a target day inside a window of two days"
        reading.fault(path, cause, _EXAMPLE)
        return None
    return Window(given["target"], *bounds)


def outcomes(
    reading: Reading, given: Any, forms: Forms, schedule: Mapping[str, Window]
) -> Outcomes:
    path: Path = ("outcomes",)
    words = reading.mapping(given, path, "no outcomes", "give 'primary', 'from' and 'to'")
    reading.words(words, path, ("primary", "secondary", "from", "to"))
    fields = {f"{form.name}.{name}" for form in forms.values() for name in form.fields}
    primary, secondary = (_listed(reading, words, w, fields) for w in ("primary", "secondary"))
    for word in ("from", "to") if words else ():
        reading.named(words.get(word), (*path, word), schedule, "visit")
    return Outcomes(primary, secondary, str(words.get("from", "")), str(words.get("to", "")))


def _listed(
    reading: Reading, words: Mapping[str, Any], word: str, fields: set[str]
) -> tuple[str, ...]:
    if word not in words:
        return ()
    path = ("outcomes", word)
    if not is_names(words[word]):
        reading.fault(path, f"'{word}' is no list of different fields", "write [form.field]")
        return ()
    for number, name in enumerate(words[word]):
        reading.named(name, (*path, number), fields, "field")
    return tuple(words[word])
