"""`fhirbridge verify`: a registry that was used is whole, and each kind of tampering is told."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhirbridge.app import create_app
from fhirbridge.sync import verify
from tests import databases
from tests.commands.typed import Said, typed
from tests.web.sender import Sender, lesion, person, score


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sender]:
    """Two sites with everything in them: applied, corrected, withdrawn, refused and waiting."""
    settings = databases.settings(tmp_path / "data")
    monkeypatch.setenv("FHIRBRIDGE_DATA", str(settings.data))
    monkeypatch.setenv("FHIRBRIDGE_DATABASE", settings.database)
    app = create_app(settings)
    for name in ("beta", "alpha"):
        sender = Sender.at(app, name)
        sender.enrol("S-1", "4711")
        sender.push(person(), score(3, id="o1"), lesion(id="c1"))
        sender.push(score(4, id="o1"), score(5, subject={"reference": "Patient/nobody"}))
        sender.push(score(6, id="o2", effectiveDateTime="2026-04-01"))
        sender.push(score(6, id="o2", effectiveDateTime="2026-04-01", status="entered-in-error"))
        sender("POST", "/fhir", b"{broken")
    yield sender
    sender.service.registry.close()


def change(door: Sender, *statements: str) -> None:
    """As somebody does who writes into the database past the program."""
    with door.service.registry.engine.begin() as connection:
        for statement in statements:
            assert connection.exec_driver_sql(statement).rowcount > 0


def faults(said: Said) -> list[str]:
    return [line.split("fault: ")[1] for line in said.lines if "fault: " in line]


def test_a_registry_that_was_used_is_whole(door: Sender) -> None:
    said = typed("verify")
    assert (said.code, said.err, faults(said)) == (0, "", [])
    alpha = said.lines[1:4]
    assert said.lines[0] == "site alpha"
    assert said.lines[4] == "site beta"
    assert alpha[0].startswith("  ledger: 5 messages; 8 received = ")
    assert sum(int(word) for word in alpha[0].split(" = ")[1].split() if word.isdigit()) == 8
    assert "  projection: 4 records, " in alpha[2]
    with door.service.registry.read(door.site_id) as unit:
        chain = unit.trail.chain()
    assert alpha[1] == f"  audit: {chain.length} events; head {chain.head}"
    assert said.lines[-1] == "all is well"


def test_one_site_alone_may_be_looked_at(door: Sender) -> None:
    said = typed("verify", "--site", "beta")
    assert said.code == 0
    assert [line for line in said.lines if line.startswith("site ")] == ["site beta"]
    assert "no such site" in typed("verify", "--site", "gamma").err


OBSERVATION = "type = 'Observation' AND NOT deleted"
# How it was changed, and what must be told of it; {} stands for ids.
CHANGED: dict[str, tuple[tuple[str, ...], str]] = {
    "a receipt's counts": (
        ("UPDATE receipt SET counts = replace(counts, '\"received\":1', '\"received\":2')",),
        "the counts of receipt {} do not tie",
    ),
    "an entry's fate": (
        ("UPDATE receipt_entry SET fate = 'refused' WHERE fate = 'applied'",),
        "the counts of receipt {} are not those of its entries",
    ),
    "entries gone": (
        ("DELETE FROM receipt_entry",),
        "the counts of receipt {} are not those of its entries",
    ),
    "a receipt gone": (
        ("DELETE FROM receipt_entry", "DELETE FROM receipt"),
        "message {} has no receipt",
    ),
    "a resource's body": (
        (f"UPDATE resource SET body = replace(body, 'final', 'amended') WHERE {OBSERVATION}",),
        "Observation/{} is not what its hash says",
    ),
    "a resource's hash": (
        (f"UPDATE resource SET sha256 = '0' WHERE {OBSERVATION}",),
        "Observation/{} is not what the mapping makes of its record",
    ),
    "a record's value": (
        ("UPDATE record SET fields = replace(fields, ':4', ':5')",),
        "Observation/{} is not what the mapping makes of its record",
    ),
    "a record that cannot be": (
        ("UPDATE record SET fields = replace(fields, ':4', ':400')",),
        "record {} is not what the study definition allows",
    ),
    "a resource that came back": (
        ("UPDATE resource SET deleted = NOT deleted WHERE deleted",),
        "Observation/{} is there, though its record was withdrawn",
    ),
    "a resource that went": (
        (f"UPDATE resource SET deleted = NOT deleted WHERE {OBSERVATION}",),
        "record {} has no resource '{}'",
    ),
    "the search index": (
        ("DELETE FROM resource_token WHERE name = 'code'",),
        "Observation/{} is not found by what it says: its search index differs",
    ),
    "a date of the search index": (
        ("UPDATE resource_date SET low = '1999'",),
        "Observation/{} is not found by what it says: its search index differs",
    ),
    "the audit trail's head": (
        ("UPDATE audit_head SET hash = '0'",),
        "the trail ends at event {}, its head at event {}",
    ),
}


def like(fault: str, told: str) -> bool:
    parts = told.split("{}")
    return fault.startswith(parts[0]) and fault.endswith(parts[-1])


@pytest.mark.parametrize("how", CHANGED)
def test_u8_what_was_changed_past_the_program_is_told(door: Sender, how: str) -> None:
    statements, told = CHANGED[how]
    change(door, *statements)
    said = typed("verify", "--site", "alpha")
    assert said.code == 1
    assert any(like(fault, told) for fault in faults(said)), said.lines
    assert said.lines[-1].endswith(" faults")


def test_another_version_of_the_mapping_is_counted_and_no_fault(door: Sender) -> None:
    change(
        door,
        "UPDATE record SET mapping_version = 'older', fields = replace(fields, ':4', ':5')",
    )
    said = typed("verify", "--site", "alpha")
    assert said.code == 0
    assert said.lines[3].endswith("; 1 of another version of the mapping")


@pytest.mark.sqlite_only(reason="PostgreSQL cannot be told to forget its foreign keys by a pragma")
def test_what_sqlite_finds_itself_is_told(door: Sender) -> None:
    door.service.registry.close()
    with sqlite3.connect(door.service.settings.data / "registry.db") as raw:
        raw.execute("UPDATE revision SET message_id = 'nowhere' WHERE message_id IS NOT NULL")
    raw.close()
    said = typed("verify")
    assert said.code == 1
    assert "a row of revision belongs to a row of message that is not there" in faults(said)


def test_only_the_first_faults_are_told_one_by_one() -> None:
    finding = verify.Finding("ledger")
    for number in range(verify.MOST + 5):
        finding.fault(f"fault {number}")
    assert (finding.number, len(finding.faults)) == (verify.MOST + 5, verify.MOST)
