"""Hospitals of three dialects in a server that is not ours: HAPI FHIR, pulled and scored."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from fhirbridge.formats import fhir_json
from fhirbridge.registry.store import Registry
from fhirbridge.sandbox.hospitals import DIALECTS, written
from fhirbridge.sandbox.score import table
from tests import databases
from tests.sandbox.hospitals import SITE, Server, enrolled, with_lines
from tests.sync.ward import joined

pytestmark = pytest.mark.hapi


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_a_dialect_is_right_when_it_comes_from_hapi(
    hapi_server: str, tmp_path: Path, dialect: str
) -> None:
    made = written(dialect, 10, seed=3)
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in made.resources()
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    headers = {"Content-Type": "application/fhir+json"}
    body = fhir_json.dump(bundle)
    answer = requests.post(hapi_server, data=body, headers=headers, timeout=180)
    assert answer.status_code == 200, answer.text[:2000]
    registry = Registry.open(databases.url(tmp_path), key=b"k" * 32)
    hospital = joined(registry, SITE, hapi_server, with_lines(tmp_path, dialect))
    try:
        there = enrolled(Server(hospital), made)
        assert there.pull() == "complete"
        scored = there.score()
        told = "\n".join([*table(scored), *(one.sentence() for one in scored.differences)])
        assert scored.differences == [], told
    finally:
        hospital.server.close()
        registry.close()
