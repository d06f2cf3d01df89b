"""Resources: versions only for new content, and a search that agrees with FHIR's words."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from fhirbridge.outcome import BridgeError
from fhirbridge.registry import Registry, Unit
from fhirbridge.registry.search import TokenFilter
from tests.registry.filled import put, save


@pytest.fixture
def unit(registry: Registry, alpha: str) -> Iterator[Unit]:
    """A unit with records r0 to r4 of one subject."""
    with registry.unit(alpha) as made:
        subject = made.subjects.enrol("S-1", [])
        for number in range(5):
            save(made, f"r{number}", subject.id, {}, key=str(number))
        yield made


def test_equal_content_makes_no_new_version(unit: Unit) -> None:
    first = put(unit, "r0", "f0", body={"id": "f0", "value": Decimal("1.10"), "a": 1})
    assert put(unit, "r0", "f0", body={"a": 1, "id": "f0", "value": Decimal("1.10")}) == first
    second = put(unit, "r0", "f0", body={"a": 1, "id": "f0", "value": Decimal("1.1")})
    assert (first.version, second.version, second.id) == (1, 2, first.id)
    assert second.last_updated > first.last_updated
    assert unit.resources.get("Condition", "f0") == second
    assert str(second.body["value"]) == "1.1"


def test_a_new_version_is_indexed_anew(unit: Unit) -> None:
    put(unit, "r0", "f0", tokens=[("code", "urn:s", "old"), ("code", "urn:s", "old")])
    put(unit, "r0", "f0", body={"id": "f0"}, tokens=[("code", None, "new")])
    found = {
        value: unit.resources.total("Condition", tokens=[("code", [(None, value)])])
        for value in ("old", "new")
    }
    assert found == {"old": 0, "new": 1}


def test_a_deleted_resource_is_told_but_not_found(unit: Unit) -> None:
    first = put(unit, "r0", "f0")
    gone = unit.resources.mark_deleted("Condition", "f0")
    assert gone is not None
    assert (gone.version, gone.deleted, gone.body) == (2, True, first.body)
    assert unit.resources.mark_deleted("Condition", "f0") == gone
    assert unit.resources.get("Condition", "f0") == gone
    assert unit.resources.of_record("r0") == [gone]
    assert unit.resources.search("Condition", count=9) == []
    assert unit.resources.mark_deleted("Condition", "f9") is None
    back = put(unit, "r0", "f0")
    assert (back.version, back.deleted) == (3, False)
    assert unit.resources.total("Condition", tokens=[("code", [("urn:s", "c1")])]) == 1


@pytest.mark.parametrize(("record", "fhir_id"), [("r1", "f0"), ("r0", "f1")])
def test_an_id_belongs_to_one_block(unit: Unit, record: str, fhir_id: str) -> None:
    put(unit, "r0", "f0")
    with pytest.raises(BridgeError) as error:
        put(unit, record, fhir_id)
    assert error.value.issues[0].category == "conflict"


TOKENS = [
    # filters, ids found
    ([("code", [("urn:s", "a")])], "f0 f1"),
    ([("code", [(None, "a")])], "f0 f1 f2"),
    ([("code", [("", "a")])], "f2"),
    ([("code", [("urn:s", "a"), ("urn:s", "b")])], "f0 f1 f3"),
    ([("code", [("urn:s", "a")]), ("status", [(None, "active")])], "f1"),
    ([("code", [("urn:s", "a")]), ("code", [("urn:s", "b")])], "f1"),
    ([("status", [("urn:s", "a")])], ""),
    ([("code", [])], ""),
    ([], "f0 f1 f2 f3"),
]


@pytest.mark.parametrize(("tokens", "ids"), TOKENS)
def test_tokens_are_an_and_of_ors(unit: Unit, tokens: list[TokenFilter], ids: str) -> None:
    put(unit, "r0", "f0", tokens=[("code", "urn:s", "a")])
    put(
        unit,
        "r1",
        "f1",
        tokens=[("code", "urn:s", "a"), ("code", "urn:s", "b"), ("status", None, "active")],
    )
    put(unit, "r2", "f2", tokens=[("code", None, "a")])
    put(unit, "r3", "f3", tokens=[("code", "urn:s", "b")])
    found = unit.resources.search("Condition", tokens=tokens, count=9)
    assert " ".join(row.fhir_id for row in found) == ids
    assert unit.resources.total("Condition", tokens=tokens) == len(found)
    assert unit.resources.total("Observation", tokens=tokens) == 0


# f0 is the day before, f1 the first day, f2 the month of May, f3 the day after, f4 April to June.
DATES = [
    ("0430", "0430"),
    ("0501", "0501"),
    ("0501", "0531"),
    ("0601", "0601"),
    ("0401", "0630"),
]


@pytest.mark.parametrize(
    ("prefix", "ids"),
    [
        ("eq", "f1 f2"),  # the searched month contains the value
        ("gt", "f3 f4"),  # something of the value lies after the month
        ("lt", "f0 f4"),
        ("ge", "f1 f2 f3 f4"),
        ("le", "f0 f1 f2 f4"),
    ],
)
def test_dates_compare_as_intervals(unit: Unit, prefix: str, ids: str) -> None:
    for number, (low, high) in enumerate(DATES):
        put(unit, f"r{number}", f"f{number}", dates=[("onset", low, high)])
    month = [("onset", prefix, "0501", "0531")]
    found = unit.resources.search("Condition", dates=month, count=9)
    assert " ".join(row.fhir_id for row in found) == ids
    assert unit.resources.total("Condition", dates=[("other", prefix, "0501", "0531")]) == 0


def test_an_unknown_prefix_is_refused_and_not_ignored(unit: Unit) -> None:
    with pytest.raises(BridgeError) as error:
        unit.resources.search("Condition", dates=[("onset", "near", "0", "1")], count=1)
    assert error.value.issues[0].category == "not-supported"


def test_pages_follow_each_other_whatever_comes_between(unit: Unit) -> None:
    for number in (3, 1, 0):
        put(unit, f"r{number}", f"f{number}")
    first = unit.resources.search("Condition", count=2)
    assert [row.fhir_id for row in first] == ["f0", "f1"]
    unit.resources.mark_deleted("Condition", "f1")
    put(unit, "r2", "f2")
    second = unit.resources.search("Condition", count=2, after="f1")
    assert [row.fhir_id for row in second] == ["f2", "f3"]
    assert unit.resources.search("Condition", count=2, after="f3") == []
