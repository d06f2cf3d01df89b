"""The public API, as a program would use it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from fhir.resources.R4B.observation import Observation

import fhirbridge
from fhirbridge.outcome import BridgeError, failed

FOLDER = Path(__file__).resolve().parents[1] / "mappings"
PATIENT = {"reference": "Patient/1"}


def test_a_record_goes_out_as_dicts_or_models_and_comes_back() -> None:
    study = fhirbridge.load(FOLDER)
    fields = {"assessed_on": "2024-05-01", "promis_gmh_t": Decimal("38.10"), "pain_rest": 0}
    record = fhirbridge.Record("S-1", "assessment", fields)
    plain = fhirbridge.encode(study, record, patient=PATIENT)
    assert not any(failed(fhirbridge.validate(one)) for one in plain)
    read = [fact.fields for one in plain for fact in fhirbridge.decode(study, one)]
    assert {name: value for part in read for name, value in part.items()} == fields
    assert [fhirbridge.losses(study, one) for one in plain] == [[], []]
    made = fhirbridge.encode(study, record, patient=PATIENT, as_models=True)
    assert all(isinstance(one, Observation) for one in made)
    assert {one.valueQuantity.value for one in made if one.valueQuantity} == {Decimal("38.10")}


def test_what_the_study_does_not_allow_is_refused() -> None:
    study = fhirbridge.load(FOLDER)
    record = fhirbridge.Record("S-1", "assessment", {"assessed_on": "2024", "pain_rest": 11})
    with pytest.raises(BridgeError) as told:
        fhirbridge.encode(study, record, patient=PATIENT)
    assert {issue.expression for issue in told.value.issues} == {"assessed_on", "pain_rest"}


def test_an_unknown_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'encoode'"):
        _ = fhirbridge.encoode
