"""Each departure of a make has its evidence, with where and when."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from fhirbridge.options import ConnectionOptions
from fhirbridge.servers.connecting import Kept, connect
from fhirbridge.servers.quirks import GENERIC, MAKES, Quirks, named, software_of
from fhirbridge.settings import Settings

_ABOUT = ("name", "software", "evidence")


@pytest.mark.parametrize("make", MAKES)
def test_each_departure_has_its_evidence(make: str) -> None:
    quirks = MAKES[make]
    names = [f.name for f in fields(Quirks) if f.name not in _ABOUT]
    departs = {name for name in names if getattr(quirks, name) != getattr(GENERIC, name)}
    assert departs <= {one.quirk for one in quirks.evidence} <= {*names}
    for one in quirks.evidence:
        assert one.told
        assert one.source
        assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", one.month)


@pytest.mark.parametrize(
    ("software", "make"),
    [
        ("HAPI FHIR Server", "hapi"),
        ("Epic", "epic"),
        ("Cerner Millennium", "oracle"),
        ("Firely Server", "generic"),
        ("", "generic"),
    ],
)
def test_a_make_goes_by_the_software_unless_it_is_set(software: str, make: str) -> None:
    assert named("", software).name == make
    assert named("epic", software).name == "epic"


@pytest.mark.parametrize("statement", [{}, {"software": None}, {"software": {"name": 5}}])
def test_a_statement_that_does_not_say_is_of_no_make(statement: dict[str, object]) -> None:
    assert software_of(statement) == ""


def test_a_connection_has_the_quirks_that_were_learned_or_set() -> None:
    base = "https://hospital.example/fhir"
    with connect(Kept(base, "none", software="HAPI FHIR Server"), limits=Settings()) as learned:
        assert learned.quirks.stale_status == 409
    options = ConnectionOptions().changed({"quirks": "epic"})
    kept = Kept(base, "none", software="HAPI FHIR Server", options=options)
    with connect(kept, limits=Settings()) as told:
        assert not told.quirks.last_updated
