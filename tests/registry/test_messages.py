"""Messages, receipts and quarantine."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry import Registry
from fhirbridge.registry.receipts import Receipt, ReceiptEntry

ISSUE = Issue("unknown-code", "no line for 'x'", "add one", "Condition.code", severity="warning")


def test_a_message_is_kept_byte_for_byte_and_once(registry: Registry, alpha: str) -> None:
    body = b"\x00\xff not even text"
    with registry.unit(alpha) as unit:
        first, fresh = unit.messages.keep("client:a", "bundle", "k", body)
        again, repeated = unit.messages.keep("client:a", "bundle", "k", b"other")
        other, elsewhere = unit.messages.keep("client:b", "bundle", "k", body)
    assert (fresh, repeated, elsewhere) == (True, False, True)
    assert again == first
    assert first.body == body
    assert other.sha256 == first.sha256


def test_a_messages_state_changes_and_nothing_else(registry: Registry, alpha: str) -> None:
    with registry.unit(alpha) as unit:
        kept, _ = unit.messages.keep("client:a", "bundle", "k", b"{}")
        unit.messages.set_state(kept.id, "done")
        found = unit.messages.get(kept.id)
        assert found is not None
        assert (found.state, found.body, kept.state) == ("done", b"{}", "kept")


def test_a_receipt_comes_back_as_it_was_saved(registry: Registry, alpha: str) -> None:
    with registry.unit(alpha) as unit:
        message, _ = unit.messages.keep("client:a", "bundle", "k", b"{}")
        entries = (
            ReceiptEntry(0, 0, "applied", "Condition", "src-1", "urn:s|1", rule="r", issues=()),
            ReceiptEntry(0, 1, "quarantined", issues=(ISSUE,)),
        )
        at = datetime(2024, 5, 1, 10, 0, 0, 5, tzinfo=UTC)
        receipt = Receipt("r-1", message.id, "done", {"applied": 1}, (ISSUE,), at, entries)
        assert unit.receipts.save(receipt) == receipt
        assert unit.receipts.get("r-1") == unit.receipts.of_message(message.id) == receipt


def test_a_second_receipt_replaces_the_first_under_its_id(registry: Registry, alpha: str) -> None:
    with registry.unit(alpha) as unit:
        message, _ = unit.messages.keep("client:a", "bundle", "k", b"{}")
        now = unit.now()
        held = (ReceiptEntry(0, 0, "quarantined"), ReceiptEntry(1, 0, "quarantined"))
        unit.receipts.save(Receipt("r-1", message.id, "held", {"quarantined": 2}, (), now, held))
        applied = (ReceiptEntry(0, 0, "applied"),)
        saved = unit.receipts.save(
            Receipt("r-2", message.id, "done", {"applied": 1}, (), now, applied)
        )
        assert saved == Receipt("r-1", message.id, "done", {"applied": 1}, (), now, applied)
        assert unit.receipts.get("r-2") is None


def test_an_entry_for_a_record_that_never_comes_fails_the_commit(
    registry: Registry, alpha: str
) -> None:
    with registry.unit(alpha) as unit:
        message, _ = unit.messages.keep("client:a", "bundle", "k", b"{}")
        entry = ReceiptEntry(0, 0, "applied", record_id="nowhere")
        unit.receipts.save(Receipt("r-1", message.id, "done", {}, (), unit.now(), (entry,)))
        with pytest.raises(BridgeError) as error:
            unit.commit()
    assert error.value.issues[0].category == "not-found"
    with registry.read(alpha) as unit:
        assert unit.messages.get(message.id) is None


def test_quarantine_waits_is_released_and_waits_again(registry: Registry, alpha: str) -> None:
    with registry.unit(alpha) as unit:
        message, _ = unit.messages.keep("client:a", "bundle", "k", b"{}")

        def hold(position: int, *issues: Issue) -> str:
            held = unit.quarantine.hold(
                message.id,
                position=position,
                resource_type="Condition",
                source_id="s",
                issues=issues,
            )
            return held.id

        first = hold(0, ISSUE)
        hold(1)
        assert [held.position for held in unit.quarantine.waiting()] == [0, 1]
        assert [held.position for held in unit.quarantine.waiting(1)] == [0]
        assert unit.quarantine.waiting()[0].issues == (ISSUE,)
        assert unit.quarantine.release(message.id, 0, 0)
        assert not unit.quarantine.release(message.id, 0, 0)
        assert unit.quarantine.count_waiting() == 1
        assert unit.quarantine.of_message(message.id)[0].released_at is not None
        assert hold(0, ISSUE, ISSUE) == first
        again = unit.quarantine.of_message(message.id)[0]
        assert (again.state, again.released_at, len(again.issues)) == ("waiting", None, 2)
