"""Sites, clients, connections and subjects."""

from __future__ import annotations

import pytest

from fhirbridge.outcome import BridgeError
from fhirbridge.registry import Registry

SYSTEM = "urn:oid:2.999.1"


def test_an_unknown_site_is_told_with_the_known_ones(
    registry: Registry, alpha: str, beta: str
) -> None:
    with registry.read() as unit, pytest.raises(BridgeError) as error:
        unit.sites.by_name("Gamma")
    assert error.value.issues[0].category == "not-found"
    assert error.value.issues[0].remedy == "use one of Alpha, Beta"


def test_names_and_prefixes_are_taken_once(registry: Registry, alpha: str, beta: str) -> None:
    with registry.unit() as unit, pytest.raises(BridgeError, match="site 'Alpha' already"):
        unit.sites.add("Alpha")
    with registry.unit(alpha) as unit:
        unit.clients.add("mirth", prefix="p1", secret_hash="h")
        unit.connections.add("hapi", "http://h/fhir")
        with pytest.raises(BridgeError, match="connection 'hapi' already"):
            unit.connections.add("hapi", "http://h/other")
        with pytest.raises(BridgeError, match="taken"):
            unit.clients.add("mirth", prefix="p2", secret_hash="h")
        unit.commit()
    with registry.unit(beta) as unit, pytest.raises(BridgeError, match="taken"):
        unit.clients.add("mirth", prefix="p1", secret_hash="h")


def test_a_revoked_client_is_not_found_and_keeps_its_time(registry: Registry, alpha: str) -> None:
    with registry.unit(alpha) as unit:
        unit.clients.add("mirth", prefix="p1", secret_hash="h")
        unit.clients.revoke("mirth")
        first = unit.clients.all()
        unit.clients.revoke("mirth")
        assert unit.clients.all() == first
        assert first[0].revoked_at is not None
        unit.commit()
    with registry.read() as unit:
        assert unit.clients.find("p1") is None


def test_a_connection_without_secret_has_none(registry: Registry, alpha: str) -> None:
    with registry.unit(alpha) as unit:
        made = unit.connections.add("hapi", "http://h/fhir")
        assert unit.connections.by_name("hapi") == made
        assert made.secret is None


def test_enrolling_again_adds_identities(registry: Registry, alpha: str) -> None:
    with registry.unit(alpha) as unit:
        first = unit.subjects.enrol("S-1", [(SYSTEM, "1")])
        assert unit.subjects.enrol("S-1", [(SYSTEM, "1"), (SYSTEM, "2")]) == first
        assert unit.subjects.identities(first.id) == [(SYSTEM, "1"), (SYSTEM, "2")]
        assert unit.subjects.by_identity(SYSTEM, "2") == first
        assert unit.subjects.by_identity(SYSTEM, "3") is None


def test_an_identity_of_somebody_else_is_a_conflict_that_does_not_name_it(
    registry: Registry, alpha: str
) -> None:
    with registry.unit(alpha) as unit:
        unit.subjects.enrol("S-1", [(SYSTEM, "canary-1")])
        with pytest.raises(BridgeError) as error:
            unit.subjects.enrol("S-2", [(SYSTEM, "2"), (SYSTEM, "canary-1")])
    assert error.value.issues[0].category == "conflict"
    assert "identifier 2 of 'S-2'" in str(error.value)
    assert "canary" not in str(error.value)
