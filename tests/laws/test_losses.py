"""Law 6: every element that no row reads is told on request, and nothing else."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given

from fhirbridge.mapping.losses import losses
from fhirbridge.study.records import Record
from tests.laws import checkers
from tests.laws.strategies import filled
from tests.laws.test_laws import FORMS, steady
from tests.mapping.files import mappings
from tests.mapping.hospital import LOCAL, LOINC, SCT, STUDY, concept, condition, observation

FOREIGN = {"url": "https://hospital.example.org/more", "valueString": "more"}


@pytest.mark.parametrize("form", FORMS)
def test_of_what_we_wrote_nothing_is_lost_but_what_is_planted(form: str) -> None:
    @steady
    @given(record=filled(mappings().study.forms[form]))
    def holds(record: Record) -> None:
        for encoded in checkers.resources(mappings(), record):
            assert losses(mappings(), encoded.resource) == [], encoded.block
            made = deepcopy(encoded.resource)
            made.setdefault("extension", []).append(FOREIGN)
            place = f"{made['resourceType']}.extension[{len(made['extension']) - 1}]"
            assert losses(mappings(), made) == [f"{place}.url", f"{place}.valueString"]

    holds()


SIDE = {"system": SCT, "code": "94222008", "display": "Secondary malignant neoplasm of bone"}

# reason, resource, what is told
TOLD = [
    ("a note", condition(note=[{"text": "seen by a colleague"}]), ["Condition.note[0].text"]),
    ("a version of a code is read over, an extension on it is not", condition(code={"coding": [{**SIDE, "version": "2020", "extension": [FOREIGN]}]}), ["Condition.code.coding[0].extension[0].url", "Condition.code.coding[0].extension[0].valueString"]),
    ("a stage", condition(stage=[{"summary": concept((LOCAL, "IV"))}]), ["Condition.stage[0].summary.coding[0].system", "Condition.stage[0].summary.coding[0].code"]),
    ("a value and its words", observation(valueInteger=1, note=[{"text": "tired"}], method=concept((LOINC, "LA9623-5"))), ["Observation.note[0].text", "Observation.method.coding[0].system", "Observation.method.coding[0].code"]),
    ("an extension on a primitive", {**observation(valueInteger=1), "_valueInteger": {"extension": [FOREIGN]}}, ["Observation.valueInteger.extension[0].url", "Observation.valueInteger.extension[0].valueString"]),
    ("a component that is not known", observation(code=concept((LOCAL, "panel")), component=[{"code": concept((STUDY, "pain-nrs-rest")), "valueInteger": 3}, {"code": concept((LOCAL, "mood")), "valueInteger": 1}]), ["Observation.code.coding[0].system", "Observation.code.coding[0].code", "Observation.component[1].code.coding[0].system", "Observation.component[1].code.coding[0].code", "Observation.component[1].valueInteger"]),
    ("a resource that nobody knows", observation(code=concept((LOCAL, "x"))), ["Observation"]),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "told"), [r[1:] for r in TOLD], ids=[r[0] for r in TOLD])
def test_what_no_row_reads_is_told(resource: dict[str, object], told: list[str]) -> None:
    assert losses(mappings(), resource) == told
