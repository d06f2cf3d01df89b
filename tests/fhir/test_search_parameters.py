"""Index entries of a resource: spans of dates in UTC, tokens, references."""

from __future__ import annotations

from typing import Any

import pytest

from fhirbridge.fhir import definitions
from fhirbridge.fhir.search_parameters import PARAMETERS, intervals, span, tokens

# reason, text, first, last instant
SPANS = [
    ("a year", "2024", "2024-01-01T00:00:00.000000Z", "2024-12-31T23:59:59.999999Z"),
    ("a month of 31 days", "2024-12", "2024-12-01T00:00:00.000000Z", "2024-12-31T23:59:59.999999Z"),
    ("February of a leap year", "2024-02", "2024-02-01T00:00:00.000000Z", "2024-02-29T23:59:59.999999Z"),
    ("February of another year", "2023-02", "2023-02-01T00:00:00.000000Z", "2023-02-28T23:59:59.999999Z"),
    ("February of 1900, no leap year", "1900-02", "1900-02-01T00:00:00.000000Z", "1900-02-28T23:59:59.999999Z"),
    ("a leap day", "2024-02-29", "2024-02-29T00:00:00.000000Z", "2024-02-29T23:59:59.999999Z"),
    ("a leap second", "2016-12-31T23:59:60Z", "2016-12-31T23:59:59.000000Z", "2016-12-31T23:59:59.999999Z"),
    ("before the first year by its zone", "0001-01-01T00:00:00+01:00", "0001-01-01T00:00:00.000000Z", "0001-01-01T00:00:00.999999Z"),
    ("a second", "2024-05-01T10:00:00Z", "2024-05-01T10:00:00.000000Z", "2024-05-01T10:00:00.999999Z"),
    ("a fraction is an instant", "2024-05-01T10:00:00.5Z", "2024-05-01T10:00:00.500000Z", "2024-05-01T10:00:00.500000Z"),
    ("a zone in the east", "2024-01-01T00:30:00+02:00", "2023-12-31T22:30:00.000000Z", "2023-12-31T22:30:00.999999Z"),
    ("a zone in the west", "2024-02-28T23:30:00-05:00", "2024-02-29T04:30:00.000000Z", "2024-02-29T04:30:00.999999Z"),
    ("a zone of half an hour", "2024-05-01T10:00:00+05:30", "2024-05-01T04:30:00.000000Z", "2024-05-01T04:30:00.999999Z"),
    ("the first year sorts first", "0001", "0001-01-01T00:00:00.000000Z", "0001-12-31T23:59:59.999999Z"),
    ("the last year", "9999", "9999-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "first", "last"), [row[1:] for row in SPANS], ids=[row[0] for row in SPANS]
)
def test_a_date_spans_all_that_it_may_mean(text: str, first: str, last: str) -> None:
    assert span(text) == (first, last)


def test_spans_sort_as_text() -> None:
    texts = [
        "0001",
        "0999-12",
        "1999-12-31",
        "2000-01-01T00:00:00Z",
        "2000-01-01T00:00:01Z",
        "2024",
    ]
    made = [span(text) for text in texts]
    assert made == sorted(made)
    assert all(first <= last for first, last in made)


# reason, element, value, intervals
INTERVALS: list[tuple[str, str, Any, list[tuple[str, str]]]] = [
    ("a dateTime", "effectiveDateTime", "2024-05", [span("2024-05")]),
    ("an instant", "effectiveInstant", "2024-05-01T10:00:00Z", [span("2024-05-01T10:00:00Z")]),
    ("a period", "effectivePeriod", {"start": "2024-05", "end": "2024-06"}, [(span("2024-05")[0], span("2024-06")[1])]),
    ("a period without end", "effectivePeriod", {"start": "2024-05"}, [(span("2024-05")[0], span("9999")[1])]),
    ("a period without start", "effectivePeriod", {"end": "2024"}, [(span("0001")[0], span("2024")[1])]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("element", "value", "expected"),
    [row[1:] for row in INTERVALS],
    ids=[row[0] for row in INTERVALS],
)
def test_an_observation_has_its_interval(
    element: str, value: Any, expected: list[tuple[str, str]]
) -> None:
    made = list(intervals({"resourceType": "Observation", element: value}))
    assert made == [("date", *bounds) for bounds in expected]


def test_no_date_has_no_interval() -> None:
    assert list(intervals({"resourceType": "Observation"})) == []
    assert list(intervals({"resourceType": "Device"})) == []


def test_tokens_of_every_coding_identifier_code_and_reference() -> None:
    made = list(
        tokens(
            {
                "resourceType": "Observation",
                "identifier": [
                    {"system": "urn:x", "value": "1"},
                    {"value": "2"},
                    {"system": "urn:y"},
                ],
                "subject": {"reference": "Patient/7"},
                "status": "final",
                "category": [{"coding": [{"system": "urn:c", "code": "survey"}]}, {"text": "none"}],
                "code": {
                    "coding": [{"system": "urn:a", "code": "1"}, {"code": "2"}, {"display": "x"}]
                },
            }
        )
    )
    assert sorted(made) == [
        ("category", "urn:c", "survey"), ("code", "", "2"), ("code", "urn:a", "1"),
        ("identifier", "", "2"), ("identifier", "urn:x", "1"), ("patient", "", "Patient/7"),
        ("status", "", "final"),
    ]  # fmt: skip


def test_a_reference_by_identifier_alone_has_no_token() -> None:
    made = tokens({"resourceType": "Condition", "subject": {"identifier": {"value": "1"}}})
    assert list(made) == []


def test_every_parameter_looks_at_elements_of_r4() -> None:
    wired = [(t, e) for t, named in PARAMETERS.items() for p in named.values() for e in p.elements]
    assert [pair for pair in wired if definitions.element(*pair) is None] == []
    assert {p.kind for named in PARAMETERS.values() for p in named.values()} == {
        "token",
        "reference",
        "date",
    }
