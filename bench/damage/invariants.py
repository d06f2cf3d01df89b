"""Invariants of R4's types, broken wherever such a value stands in an example."""

from __future__ import annotations

from typing import Any

from bench.damage.mutant import Kind, replaced
from bench.damage.source import Place
from bench.damage.values import of

_UCUM = "http://unitsofmeasure.org"


def _ended_before(old: dict[str, Any]) -> dict[str, Any] | None:
    return {**old, "end": "1899-01-01"} if "start" in old else None


def _without(name: str, *, beside: str = "") -> Any:
    def change(old: dict[str, Any]) -> dict[str, Any] | None:
        if name not in old or (beside and beside not in old):
            return None
        return {key: one for key, one in old.items() if key != name}

    return change


def _simple(place: Place) -> bool:
    return place.type == "Quantity" and place.element.profile == "SimpleQuantity"


def _with(**more: Any) -> Any:
    return lambda old: {**old, **more}


def _quantity(value: Any, code: str = "mg", system: str = _UCUM) -> dict[str, Any]:
    return {"value": value, "unit": code, "system": system, "code": code}


KINDS: tuple[Kind, ...] = (
    replaced("per-1: ends before it starts", "probe", of("Period"), _ended_before,
             {"start": "2021-02-03T10:00:00+02:00", "end": "2021-02-03T07:59:00Z"},
             {"start": "2021-02-03", "end": "2021-02-02"}, {"start": "2021", "end": "2020-12"}),
    replaced("per-1: no answer is a failure", "probe", of("Period"),
             {"start": "2021-01-05", "end": "2021-01"}, {"start": "2021-01", "end": "2021"},
             {"start": "2021-01-05T10:00:00Z", "end": "2021-01-05"}),
    replaced("qty-3: code without system", "probe", of("Quantity", "Age", "Duration"),
             _without("system", beside="code"), {"value": 3, "code": "mg"}),
    replaced("sqty-1: comparator on a simple quantity", "probe", _simple,
             _with(comparator="<")),
    replaced("comparator on a quantity", "probe",
             lambda p: p.type == "Quantity" and not _simple(p), _with(comparator="<"),
             _with(comparator="~")),
    replaced("rng-2: low above high", "probe", of("Range"),
             {"low": _quantity(5), "high": _quantity(3)},
             {"low": _quantity(5, "g"), "high": _quantity(3, "g")},
             {"low": _quantity(3), "high": _quantity(5)},
             {"low": _quantity(5, "g"), "high": _quantity(300, "mg")},
             {"low": {"value": 5}, "high": {"value": 3}}),
    replaced("rat-1: half a ratio", "probe", of("Ratio"), _without("denominator"),
             _without("numerator"), {"id": "x"},
             {"numerator": {"value": 1}, "extension": [
                 {"url": "http://example.org/x", "valueBoolean": True}]}),
    replaced("cpt-2: contact without system", "probe", of("ContactPoint"),
             _without("system", beside="value")),
    replaced("att-1: data without content type", "probe", of("Attachment"),
             _without("contentType", beside="data"), {"data": "aGVsbG8="}),
    replaced("age-1: odd ages", "probe", of("Age"), _quantity(-1, "a"), _quantity(1, "kg"),
             _quantity(1, "a", "http://example.org"), {"value": 1}, {"code": "a"},
             {"value": 0, "system": _UCUM, "code": "a"}),
    replaced("drt-1: odd durations", "probe", of("Duration"), _quantity(1, "kg"),
             {"value": 1}, {"value": 1, "system": "http://example.org", "code": "h"}),
    replaced("tim: odd timings", "probe", of("Timing"),
             {"repeat": {"duration": 3}}, {"repeat": {"period": 3}},
             {"repeat": {"durationMax": 3}}, {"repeat": {"periodMax": 3}},
             {"repeat": {"countMax": 3}}, {"repeat": {"offset": 30}},
             {"repeat": {"offset": 30, "when": ["C"]}}, {"repeat": {"offset": 30, "when": ["AC"]}},
             {"repeat": {"when": ["AC"], "timeOfDay": ["10:00:00"]}},
             {"repeat": {"duration": -1, "durationUnit": "h"}},
             {"repeat": {"period": -1, "periodUnit": "h"}},
             {"repeat": {"durationUnit": "h"}},
             {"repeat": {"count": 2, "period": 1, "periodUnit": "d"}}),
    replaced("ref-2 and empty references", "probe", of("Reference"),
             {"type": "Patient"}, {"extension": [
                 {"url": "http://example.org/x", "valueBoolean": True}]}),
    replaced("identifier alone is odd", "probe", of("Identifier"),
             {"use": "official"}, {"value": "1"}, {"system": "http://example.org/x"},
             {"period": {"start": "2021", "end": "2020"}, "value": "1"}),
    replaced("sampled data odd", "probe", of("SampledData"),
             _with(data="abc"), _with(dimensions=0), _with(data="1 E U L 2"), _with(period="x"),
             _without("origin"), _with(data="1  2")),
    replaced("signature odd", "probe", of("Signature"), _without("who"), _without("when"),
             _without("type")),
    replaced("money and annotations odd", "probe", of("Annotation"), {"authorString": "x"},
             {"text": "x", "authorString": "x", "authorReference": {"display": "y"}},
             {"time": "2021"}),
)  # fmt: skip
