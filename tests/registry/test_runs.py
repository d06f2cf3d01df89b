"""Runs with their cursors, and deliveries."""

from __future__ import annotations

from typing import Any

import pytest

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry import Registry
from tests.registry.filled import furnish, put, save


def test_a_run_that_was_left_is_found_with_its_cursors(registry: Registry, alpha: str) -> None:
    with registry.unit(alpha) as unit:
        connection = unit.connections.add("hapi", "http://h/fhir").id
        run = unit.runs.start(connection, "pull")
        unit.cursors.put(run.id, "Patient", state="open", next_url="http://h/?p=2", page=1)
        unit.cursors.put(run.id, "Patient", state="open", next_url="http://h/?p=3", page=2)
        unit.cursors.put(run.id, "Condition", state="done", next_url=None, page=1)
        unit.runs.add_counts(run.id, {"applied": 2, "refused": 1})
        unit.runs.add_counts(run.id, {"applied": 3})
        unit.commit()
    with registry.read(alpha) as unit:
        left = unit.runs.open(connection, "pull")
        assert left is not None
        assert (left.id, left.counts) == (run.id, {"applied": 5, "refused": 1})
        assert unit.runs.open(connection, "deliver") is None
        told = {
            name: (each.state, each.next_url, each.page)
            for name, each in unit.cursors.of_run(run.id).items()
        }
    assert told == {"Condition": ("done", None, 1), "Patient": ("open", "http://h/?p=3", 2)}


def test_one_run_of_a_kind_at_a_time(registry: Registry, alpha: str) -> None:
    with registry.unit(alpha) as unit:
        connection = unit.connections.add("hapi", "http://h/fhir").id
        first = unit.runs.start(connection, "pull")
        unit.runs.start(connection, "deliver")
        with pytest.raises(BridgeError) as error:
            unit.runs.start(connection, "pull")
        assert error.value.issues[0].category == "conflict"
        ended = unit.runs.finish(first.id, "incomplete", {"applied": 1}, ["Patient: no answer"])
        assert ended.ended_at is not None
        assert ended.reasons == ("Patient: no answer",)
        assert unit.runs.open(connection, "pull") is None
        assert unit.runs.latest(connection, "pull", state="incomplete") == ended
        second = unit.runs.start(connection, "pull")
        unit.runs.finish(second.id, "incomplete", {})
        latest = unit.runs.latest(connection, "pull", state="incomplete")
        assert latest is not None
        assert latest.id == second.id


ISSUE = Issue("remote", "the server refused", severity="warning")


@pytest.mark.parametrize(
    ("changes", "outstanding"),
    [
        (None, True),  # never tried
        ({}, True),
        ({"state": "pending", "attempts": 1}, True),
        ({"state": "sent", "sent_sha256": "same"}, True),  # not read back yet
        ({"state": "verified", "sent_sha256": "same"}, False),
        ({"state": "verified", "sent_sha256": "other"}, True),  # changed since
        ({"state": "conflict", "sent_sha256": "same"}, False),
        ({"state": "conflict", "sent_sha256": "other"}, True),
        ({"state": "dead", "sent_sha256": "same", "issues": (ISSUE,)}, False),
        ({"state": "dead", "sent_sha256": "other"}, True),
    ],
)
def test_outstanding_is_what_the_server_lacks(
    registry: Registry, alpha: str, changes: dict[str, Any] | None, outstanding: bool
) -> None:
    with registry.unit(alpha) as unit:
        connection = unit.connections.add("hapi", "http://h/fhir").id
        elsewhere = unit.connections.add("other", "http://o/fhir").id
        save(unit, "r", unit.subjects.enrol("S-1", []).id, {})
        resource = put(unit, "r", "f")
        unit.deliveries.put(elsewhere, resource.id, state="verified", sent_sha256=resource.sha256)
        put_row = None
        if changes is not None:
            if changes.get("sent_sha256") == "same":
                changes = {**changes, "sent_sha256": resource.sha256}
            put_row = unit.deliveries.put(connection, resource.id, **changes)
            assert unit.deliveries.of_connection(connection) == [put_row]
        found = unit.deliveries.outstanding(connection)
        assert found == ([(resource, put_row)] if outstanding else [])
        assert unit.deliveries.outstanding(elsewhere) == []


def test_outstanding_leaves_out_deleted_and_unwanted_blocks(registry: Registry, alpha: str) -> None:
    with registry.unit(alpha) as unit:
        house = furnish(unit)
        put(unit, house.record.id, "fhir-0", block="patient")
        put(unit, house.record.id, "fhir-2", block="gone")
        unit.resources.mark_deleted("Condition", "fhir-2")

        def ids(blocks: set[str] | None) -> list[str]:
            found = unit.deliveries.outstanding(house.connection.id, blocks=blocks)
            return [resource.fhir_id for resource, _ in found]

        assert ids(None) == ["fhir-0", "fhir-1"]
        assert ids({"patient", "gone"}) == ["fhir-0"]
        assert ids(set()) == []


def test_a_delivery_changes_only_what_it_is_told(registry: Registry, alpha: str) -> None:
    with registry.unit(alpha) as unit:
        house = furnish(unit)
        ids = (house.connection.id, house.resource.id)
        unit.deliveries.put(*ids, remote_id="77", remote_version="1", attempts=1)
        put_row = unit.deliveries.put(*ids, state="verified", issues=(ISSUE,))
    assert (put_row.remote_id, put_row.remote_version, put_row.attempts) == ("77", "1", 1)
    assert (put_row.state, put_row.issues) == ("verified", (ISSUE,))
    assert put_row.sent_sha256 == house.resource.sha256
