"""A site is a dialect: its lines add codes for reading, and change nothing that is written."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import pytest

from fhirbridge.mapping import load
from fhirbridge.mapping.decode import decode
from fhirbridge.mapping.encode import encode
from fhirbridge.study.records import Record
from tests.mapping.files import TEXTS, faults, mappings
from tests.mapping.hospital import LOCAL, SCT, concept, condition

HEADER = "source_system,source_code,display,target,relationship,source,note\n"
PATIENT = {"reference": "Patient/1"}
SURGERY = Record(
    "S-1", "surgery", {"surgery_id": "1", "performed_on": "2024-05-01", "procedure": "plate"}
)


def with_line(line: str, *, walk: str = "metastasis", site: str = "north") -> dict[str, str]:
    return {**TEXTS, f"sites/{site}/{walk}.csv": f"{HEADER}{line}\n"}


def test_a_line_of_a_site_is_read_at_that_site_alone() -> None:
    texts = with_line(f"{LOCAL},KM-HUM,,bone-metastasis,equal,catalogue 2024,")
    resource = condition(code=concept((LOCAL, "KM-HUM")))
    fates = [decode(load.load(texts, site=s), resource, source="x")[0].fate for s in ("north", "")]
    assert fates == ["record", "hold"]


def test_a_line_of_a_site_changes_nothing_that_is_written() -> None:
    texts = with_line(f"{LOCAL},OP-PL,,plate,equivalent,catalogue 2024,", walk="procedure")
    north = load.load(texts, site="north")
    assert "procedure" in {row.field.name for row in north.files["surgery"].blocks[0].rows}
    (ours,) = encode(mappings("north"), SURGERY, patient=PATIENT)
    (theirs,) = encode(north, SURGERY, patient=PATIENT)
    assert ours == theirs


def test_a_system_of_a_site_alone_does_not_refuse_its_other_codes() -> None:
    texts = with_line(f"{LOCAL},KM-HUM,,bone-metastasis,equal,catalogue 2024,")
    resource = condition(code=concept((LOCAL, "other")))
    assert decode(load.load(texts, site="north"), resource, source="x")[0].fate == "hold"


# reason, crosswalk, line, words of the cause
REFUSED = [
    ("a contradiction", "metastasis", f"{SCT},94225005,,bone-metastasis,equal,,", "already mapped at crosswalks/metastasis.csv:36"),
    ("another word for a known code", "bone", f"{SCT},71341001,,humerus,equal,,", "already mapped at crosswalks/bone.csv"),
    ("a code of a row", "score", f"{mappings().names['loinc']},91721-1,,ecog,equal,,", "already mapped"),
    ("a crosswalk that the study has not", "metastases", f"{LOCAL},1,,bone-metastasis,equal,,", "no crosswalk 'metastases'"),
    ("a word that the field does not know", "bone", f"{LOCAL},1,,femmur,equal,,", "no choice 'femmur'"),
    ("a score that has no row", "score", f"{LOCAL},1,,pain,equal,,", "no row has the field 'pain'"),
    ("a check digit", "bone", f"{SCT},71341002,,femur,equal,,", "fails its check digit"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("walk", "line", "cause"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_a_site_cannot_contradict(walk: str, line: str, cause: str) -> None:
    texts = with_line(line, walk=walk)
    told = faults(texts, site="north")
    assert [i for i in told if cause in i.cause], [i.sentence() for i in told]
    assert load.load(texts, site="south").version == mappings("south").version


def test_the_version_follows_the_content() -> None:
    whole = mappings().version
    for name in ("study.yaml", "names.yaml", "lesion.yaml", "crosswalks/bone.csv"):
        assert load.load({**TEXTS, name: TEXTS[name] + "\n"}).version != whole, name


def test_the_version_of_a_site_follows_its_own_lines_alone() -> None:
    texts = with_line(f"{LOCAL},KM-HUM,,bone-metastasis,equal,catalogue 2024,")
    before = mappings().version
    versions = {site: load.load(texts, site=site).version for site in ("", "north", "south")}
    assert versions["south"] == versions[""] == before
    assert versions["north"] != before


def test_derived_ids_are_the_same_for_ever() -> None:
    # Written down once: a change of these would make every hospital's copy another resource.
    (written,) = encode(mappings("north"), SURGERY, patient=PATIENT)
    score: dict[str, Any] = {"assessed_on": "2024-05-01", "promis_pf_t": Decimal("38.10")}
    score["promis_pf_version"] = "v2_0"
    (scored,) = encode(mappings(), Record("S-1", "assessment", score), patient=PATIENT)
    assert written.id == "54db01b0-6053-5d41-b0fd-469f07940576"
    assert scored.id == "54cf2a46-420b-5212-b79e-9c15d4f006b8"


def test_the_same_key_is_another_id_elsewhere() -> None:
    given = [("surgery", "S-1", "1"), ("lesion", "S-1", "1"), ("surgery", "S-2", "1")]
    given += [("surgery", "S-1", "2")]
    made = {mappings(site).derived_id(*parts) for site in ("", "north") for parts in given}
    assert len(made) == 8
    assert {uuid.UUID(id).version for id in made} == {5}
