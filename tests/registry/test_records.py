"""Records and their revisions, origins and proposals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from fhirbridge.outcome import BridgeError
from fhirbridge.registry import Registry, Unit
from tests.registry.filled import save


@pytest.fixture
def subject(registry: Registry, alpha: str) -> str:
    with registry.unit(alpha) as unit:
        enrolled = unit.subjects.enrol("S-1", [])
        unit.commit()
    return enrolled.id


def test_decimals_keep_their_digits(registry: Registry, alpha: str, subject: str) -> None:
    fields: dict[str, Any] = {"size": Decimal("1.10"), "none": None, "zero": 0, "é": ["x", "\"'"]}
    with registry.unit(alpha) as unit:
        save(unit, "r", subject, fields)
        unit.commit()
    with registry.read(alpha) as unit:
        found = unit.records.get("r")
        assert found is not None
        assert found.fields == fields
        assert str(found.fields["size"]) == "1.10"
        assert str(unit.records.revisions("r")[0].changes["size"][1]) == "1.10"


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": None}, {}, {}),  # no value is no value
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {}),  # order says nothing
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}, {}),
        ({"a": 1}, {"a": 2}, {"a": [1, 2]}),
        ({"a": 1}, {}, {"a": [1, None]}),
        ({}, {"a": 0}, {"a": [None, 0]}),  # 0 is a value
        ({"a": 1}, {"a": True}, {"a": [1, True]}),  # equal in Python, not as written
        ({"a": Decimal("1.1")}, {"a": Decimal("1.10")}, {"a": [Decimal("1.1"), Decimal("1.10")]}),
    ],
)
def test_a_revision_tells_what_changed(
    registry: Registry,
    alpha: str,
    subject: str,
    old: dict[str, Any],
    new: dict[str, Any],
    changes: dict[str, Any],
) -> None:
    with registry.unit(alpha) as unit:
        first = save(unit, "r", subject, old)
        second = save(unit, "r", subject, new, actor="staff:b", reason="corrected")
        revisions = unit.records.revisions("r")
    assert first.number == 1
    if not changes:
        assert second == first
        assert len(revisions) == 1
        return
    assert second.number == 2
    assert repr(revisions[1].changes) == repr(changes)
    assert (revisions[1].actor, revisions[1].reason) == ("staff:b", "corrected")
    assert revisions[1].at > revisions[0].at


def test_withdrawing_is_a_revision_without_a_field(
    registry: Registry, alpha: str, subject: str
) -> None:
    with registry.unit(alpha) as unit:
        save(unit, "r", subject, {"a": 1})
        withdrawn = save(unit, "r", subject, {"a": 1}, status="withdrawn")
        assert (withdrawn.number, withdrawn.status) == (2, "withdrawn")
        assert unit.records.get("r") == withdrawn
        told = [(each.status, each.changes) for each in unit.records.revisions("r")]
    assert told == [("active", {"a": [None, 1]}), ("withdrawn", {})]


@pytest.mark.parametrize(("record_id", "key"), [("r", "2"), ("other", "1")])
def test_a_business_key_and_an_id_stay_together(
    registry: Registry, alpha: str, subject: str, record_id: str, key: str
) -> None:
    with registry.unit(alpha) as unit:
        save(unit, "r", subject, {})
        with pytest.raises(BridgeError) as error:
            save(unit, record_id, subject, {"a": 1}, key=key)
    assert error.value.issues[0].category == "conflict"


def test_records_are_found_by_key_form_and_subject(
    registry: Registry, alpha: str, subject: str
) -> None:
    with registry.unit(alpha) as unit:
        other = unit.subjects.enrol("S-2", []).id
        lesion = save(unit, "r1", subject, {})
        surgery = save(unit, "r2", subject, {}, form="surgery")
        elsewhere = save(unit, "r3", other, {})
        assert unit.records.find(subject, "surgery", "1") == surgery
        assert unit.records.find(subject, "surgery", "2") is None
        assert unit.records.all("lesion") == [lesion, elsewhere]
        assert unit.records.all(subject_id=subject) == [lesion, surgery]


def _origin(unit: Unit, **more: Any) -> Any:
    told = {"version_id": "1", "last_updated": None, "sha256": "a", **more}
    return unit.origins.put("connection:hapi", "Condition", "src-1", **told)


def test_an_origin_moves_on_and_keeps_what_it_led_to(
    registry: Registry, alpha: str, subject: str
) -> None:
    zone = timezone(timedelta(hours=2))
    with registry.unit(alpha) as unit:
        save(unit, "r", subject, {})
        first = _origin(unit, subject_id=subject)
        unit.origins.link(first.id, "r")
        at = datetime(2024, 5, 1, 10, 0, tzinfo=zone)
        second = _origin(unit, version_id="2", sha256="b", last_updated=at)
        assert second.id == first.id
        assert (second.version_id, second.sha256) == ("2", "b")
        assert second.subject_id == subject
        assert second.last_updated == datetime(2024, 5, 1, 8, 0, tzinfo=UTC)
        assert (unit.origins.of_record("r"), unit.origins.records(first.id)) == ([second], ["r"])


def test_an_origin_may_be_about_several_records_and_a_record_of_several(
    registry: Registry, alpha: str, subject: str
) -> None:
    with registry.unit(alpha) as unit:
        save(unit, "r1", subject, {})
        save(unit, "r2", subject, {}, key="2")
        origin = _origin(unit)
        for record_id in ("r2", "r1", "r1"):
            unit.origins.link(origin.id, record_id)
        assert unit.origins.records(origin.id) == ["r1", "r2"]
        unit.origins.unlink(origin.id, "r1")
        assert unit.origins.records(origin.id) == ["r2"]
        assert (unit.origins.of_record("r1"), unit.origins.of_record("r2")) == ([], [origin])


def test_a_time_without_zone_is_refused(registry: Registry, alpha: str) -> None:
    with registry.unit(alpha) as unit, pytest.raises(Exception, match="without a zone"):
        _origin(unit, last_updated=datetime(2024, 5, 1))


def test_the_latest_accepted_proposal_counts(registry: Registry, alpha: str, subject: str) -> None:
    with registry.unit(alpha) as unit:

        def add(field: str, value: Any, status: Any) -> str:
            added = unit.proposals.add(
                "r", field, value=value, status=status, mapping_version="m1", path="Condition.code"
            )
            return added.id

        add("size", Decimal("1.10"), "accepted")
        add("size", Decimal("2.50"), "accepted")
        waiting = add("size", 9, "waiting")
        add("side", None, "accepted")
        add("code", [{"a": 1}], "refused")
        save(unit, "r", subject, {})
        accepted = unit.proposals.accepted("r")
        assert {name: str(each.value) for name, each in accepted.items()} == {
            "size": "2.50",
            "side": "None",
        }
        assert [each.id for each in unit.proposals.waiting()] == [waiting]
        unit.proposals.set_status(waiting, "accepted")
        assert unit.proposals.accepted("r")["size"].value == 9
        assert unit.proposals.waiting() == []
        unit.commit()


def test_a_word_that_is_no_status_is_refused(registry: Registry, alpha: str, subject: str) -> None:
    with registry.unit(alpha) as unit, pytest.raises(Exception, match="not one of active"):
        save(unit, "r", subject, {}, status="lost")
