"""Dates of every precision, and which of two comes first."""

from __future__ import annotations

import pytest

from fhirbridge.fhir import temporal


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2020", "2020", True),
        ("2020", "2019", False),
        ("2020-05", "2021", True),
        ("2021", "2021-05", None),
        ("2021-01-05", "2021-01", None),
        ("2021-01-05", "2021-01-05T10:00:00Z", None),
        ("2021-01-05T10:00:00+02:00", "2021-01-05T08:00:00Z", True),
        ("2021-01-05T10:00:00+02:00", "2021-01-05T07:59:59Z", False),
        ("2021-01-05T23:30:00-02:00", "2021-01-06", None),
        ("2021-01-05T10:00:00.50Z", "2021-01-05T10:00:00.5Z", True),
        ("2021-01-05T10:00:00.51Z", "2021-01-05T10:00:00.5Z", False),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z", True),
        ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", True),
        ("no date", "2020", None),
    ],
)
def test_order_is_told_as_far_as_the_precision_goes(
    start: str, end: str, expected: bool | None
) -> None:
    assert temporal.in_order(start, end) is expected


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("2024", "date dateTime"),
        ("2024-02-29", "date dateTime"),
        ("2023-02-29", ""),
        ("2024-04-31", ""),
        ("2024-13", ""),
        ("24-01-01", ""),
        ("2024-01-01T00:00:00Z", "dateTime instant"),
        ("2024-01-01T00:00:00.123456789+14:00", "dateTime instant"),
        ("2024-01-01T00:00:00+14:01", ""),
        ("2024-01-01T00:00:00-00:00", "dateTime instant"),
        ("2024-01T00:00:00Z", ""),
        ("2024-01-01T00:00:00z", ""),
        ("2024-01-01 00:00:00Z", ""),
        ("2024-01-01T00:60:00Z", ""),
        ("23:59:59", "time"),
        ("23:59:60.5", "time"),
        ("24:00:00", ""),
        ("9:00:00", ""),
    ],
)
def test_a_text_is_of_the_temporal_types_that_its_form_allows(text: str, kinds: str) -> None:
    tests = {
        "date": temporal.is_date,
        "dateTime": temporal.is_date_time,
        "instant": temporal.is_instant,
        "time": temporal.is_time,
    }
    assert " ".join(name for name, test in tests.items() if test(text)) == kinds
