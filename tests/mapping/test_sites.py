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
    ("another target than the study thinks of", "score", f"{SCT},165263003,,pain_rest,equal,,", "already mapped at crosswalks/score.csv"),
    ("a thing of its own without a decision", "score", f"{SCT},165263003,,,unmatched,,not sure", "already mapped at crosswalks/score.csv"),
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


LOINC = mappings().names["loinc"]
PAIN: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "code": concept((LOINC, "38208-5")),
    "subject": PATIENT,
    "effectiveDateTime": "2024-05-01",
    "valueInteger": 4,
}
WALKED = {**PAIN, "code": concept((SCT, "165263003")), "valueInteger": 310}

# reason, resource, line, what is read at the site
DECIDED: list[tuple[str, dict[str, Any], str, dict[str, Any] | str]] = [
    ("a pain score without its axis", PAIN, f"{LOINC},38208-5,,pain_rest,equal,told,", {"pain_rest": 4}),
    ("by an alias of the system", PAIN, "urn:oid:2.16.840.1.113883.6.1,38208-5,,pain_activity,equivalent,told,", {"pain_activity": 4}),
    ("certainly not meant there", PAIN, f"{LOINC},38208-5,,,disjoint,told,of another clinic", "refuse"),
    ("a target that the study is not sure of", WALKED, f"{SCT},165263003,,walk_6min_m,equal,told,", {"walk_6min_m": 310}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "line", "read"), [r[1:] for r in DECIDED], ids=[r[0] for r in DECIDED]
)
def test_a_site_decides_what_the_study_leaves_to_a_person(
    resource: dict[str, Any], line: str, read: dict[str, Any] | str
) -> None:
    texts = with_line(line, walk="score")
    (here,) = decode(load.load(texts, site="north"), resource, source="x")
    (elsewhere,) = decode(load.load(texts, site="south"), resource, source="x")
    assert elsewhere.fate == "hold"
    if isinstance(read, str):
        assert here.fate == read
    else:
        assert {n: v for n, v in here.fields.items() if n != "assessed_on"} == read


def test_a_site_decides_a_code_once() -> None:
    first = f"{LOINC},38208-5,,pain_rest,equal,told,"
    texts = with_line(f"{first}\n{first}\n{LOINC},38208-5,,pain_activity,equal,told,", walk="score")
    (issue,) = faults(texts, site="north")
    assert "already mapped at sites/north/score.csv:2" in issue.cause
    assert issue.place == "sites/north/score.csv:4"


def test_the_display_of_a_decided_code_is_still_compared() -> None:
    texts = with_line(f"{LOINC},38208-5,,pain_rest,equal,told,", walk="score")
    display = "Liver severity - Reported"
    resource = {
        **PAIN,
        "code": {"coding": [{"system": LOINC, "code": "38208-5", "display": display}]},
    }
    (here,) = decode(load.load(texts, site="north"), resource, source="x")
    assert [i.severity for i in here.issues] == ["warning"]
    assert "'liver' for 'pain'" in here.issues[0].cause


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
