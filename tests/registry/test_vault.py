"""The vault: nothing in the clear, nothing that opens elsewhere, one key for all processes."""

from __future__ import annotations

import base64
import multiprocessing
from pathlib import Path

import pytest
from sqlalchemy import text

from fhirbridge.outcome import BridgeError
from fhirbridge.registry import Registry, vault
from tests import databases

SYSTEM, VALUE = "urn:oid:2.999.1", "MRN-canary-7731"


def test_the_key_file_is_made_once_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "made" / "vault.key"
    first = vault.key(path)
    assert len(first) == 32
    assert vault.key(path) == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["vault.key"]


def test_processes_that_come_first_together_get_one_key(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        keys = pool.map(vault.key, [tmp_path / "vault.key"] * 16, chunksize=1)
    assert len(set(keys)) == 1


def test_a_key_file_of_another_length_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vault.key").write_bytes(b"short")
    with pytest.raises(BridgeError, match="5 bytes instead of 32"):
        vault.key(tmp_path / "vault.key")


def test_sealed_values_open_at_their_place_only(key: bytes) -> None:
    sealed = vault.Vault(key).seal(b"plain", place="subject_identity:a:1")
    assert vault.Vault(key).unseal(sealed, place="subject_identity:a:1") == b"plain"
    others = [(key, "subject_identity:a:2"), (bytes(32), "subject_identity:a:1")]
    for other_key, place in others:
        with pytest.raises(BridgeError, match="does not open"):
            vault.Vault(other_key).unseal(sealed, place=place)
    with pytest.raises(BridgeError, match="does not open"):
        vault.Vault(key).unseal(sealed[:-1] + b"!", place="subject_identity:a:1")


def test_hashes_tell_where_parts_end(key: bytes) -> None:
    assert vault.Vault(key).hash("a", "bc") != vault.Vault(key).hash("ab", "c")
    assert vault.Vault(key).hash("a", "bc") != vault.Vault(bytes(32)).hash("a", "bc")


def test_the_database_does_not_hold_identifiers_or_secrets(
    registry: Registry, alpha: str, tmp_path: Path
) -> None:
    with registry.unit(alpha) as unit:
        subject = unit.subjects.enrol("S-1", [(SYSTEM, VALUE)])
        unit.connections.add("hapi", "http://h/fhir", auth_kind="bearer", secret="token-canary")
        unit.commit()
    stored = databases.contents(tmp_path / "store")
    assert b"S-1" in stored  # the bytes are there to be searched
    for plain in (VALUE, SYSTEM, "token-canary"):
        assert plain.encode() not in stored
    with registry.read(alpha) as unit:
        assert unit.subjects.identities(subject.id) == [(SYSTEM, VALUE)]
        assert unit.connections.by_name("hapi").secret == "token-canary"
        assert "token-canary" not in repr(unit.connections.all())


def test_a_cipher_moved_to_another_subject_does_not_open(registry: Registry, alpha: str) -> None:
    with registry.unit(alpha) as unit:
        unit.subjects.enrol("S-1", [(SYSTEM, "1")])
        other = unit.subjects.enrol("S-2", [(SYSTEM, "2")])
        unit.commit()
    with registry.engine.begin() as connection:
        moved = text("UPDATE subject_identity SET subject_id = :id")
        connection.execute(moved, {"id": other.id})
    with registry.read(alpha) as unit, pytest.raises(BridgeError, match="does not open"):
        unit.subjects.identities(other.id)


def test_equal_identifiers_of_two_sites_do_not_show_as_equal(
    registry: Registry, alpha: str, beta: str
) -> None:
    for site in (alpha, beta):
        with registry.unit(site) as unit:
            unit.subjects.enrol("S-1", [(SYSTEM, VALUE)])
            unit.commit()
    with registry.engine.connect() as connection:
        hashes = connection.execute(text("SELECT hash FROM subject_identity")).scalars().all()
    assert len(set(hashes)) == 2


def test_another_key_is_noticed_when_the_registry_opens(
    registry: Registry, alpha: str, url: str
) -> None:
    with registry.unit(alpha) as unit:
        unit.subjects.enrol("S-1", [(SYSTEM, VALUE)])
        unit.commit()
    with pytest.raises(BridgeError, match="does not open with this vault key"):
        Registry.open(url, key=bytes(32))


def test_a_ticket_opens_at_its_place_with_its_key_and_unchanged() -> None:
    sealer = vault.Vault(bytes(32))
    text = sealer.ticket(b"told", place="a")
    assert sealer.read_ticket(text, place="a") == b"told"
    assert sealer.ticket(b"told", place="a") != text
    assert b"told" not in base64.urlsafe_b64decode(f"{text}==")
    others = [
        sealer.read_ticket(text, place="b"),
        vault.Vault(bytes(31) + b"1").read_ticket(text, place="a"),
    ]
    changed = ("B" if text[0] == "A" else "A") + text[1:]
    for wrong in (text[:-1], f"{text}A", changed, f"{text}!", "", "A", "ä", text.upper()):
        others.append(sealer.read_ticket(wrong, place="a"))
    assert others == [None] * len(others)


def test_a_sealed_value_is_no_ticket() -> None:
    sealer = vault.Vault(bytes(32))
    sealed = base64.urlsafe_b64encode(sealer.seal(b"told", place="a")).rstrip(b"=").decode()
    assert sealer.read_ticket(sealed, place="a") is None
