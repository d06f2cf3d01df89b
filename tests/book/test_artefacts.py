"""Every artefact is valid R4, and says what the mapping says."""

from __future__ import annotations

from typing import Any

import pytest

from fhirbridge.book import artefacts, naming
from fhirbridge.book.terminology import EQUIVALENCES
from fhirbridge.fhir.validate import validate
from fhirbridge.formats import fhir_json
from fhirbridge.mapping import load
from fhirbridge.mapping.crosswalk import RELATIONSHIPS
from fhirbridge.mapping.decode import decode
from fhirbridge.outcome import BridgeError
from tests.book import printed
from tests.mapping.files import TEXTS, edited, mappings

MADE = printed.made()
STUDY = mappings().study
STUDY_CODES = f"{STUDY.canonical}/CodeSystem/mbd-study"


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in MADE.values() if one["resourceType"] == kind}


@pytest.mark.parametrize("name", [n for n in MADE if not n.startswith("ViewDefinition")])
def test_it_is_valid(name: str) -> None:
    assert [
        issue.sentence() for issue in validate(fhir_json.parse(fhir_json.dump(MADE[name])))
    ] == []


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("ConceptMap-bone.json", {"status": "printed"}),
        ("Questionnaire-assessment.json", {"item": [{"linkId": "a", "type": "number"}]}),
        ("StructureDefinition-form-lesion.json", {"kind": None}),
    ],
)
def test_an_artefact_that_is_not_valid_is_seen(name: str, change: dict[str, Any]) -> None:
    assert validate({**MADE[name], **change})


def test_names_ids_and_urls_are_sound_and_there_once() -> None:
    assert all(len(one["id"]) <= 64 for one in MADE.values())
    urls = [one["url"] for one in MADE.values()]
    assert len(urls) == len({*urls})
    assert {one["version"] for one in MADE.values()} == {mappings().version}
    assert {one["url"] for one in MADE.values() if not one["url"].endswith(one["id"])} == set()


def test_two_runs_give_the_same_bytes_and_the_index_lists_them() -> None:
    again = artefacts.artefacts(printed.of(dict(reversed([*TEXTS.items()]))))
    assert [*again] == sorted(again)
    assert fhir_json.dump(again) == fhir_json.dump(dict(MADE))
    index = artefacts.index(printed.told(), MADE)
    assert [one["file"] for one in index["artefacts"]] == [*MADE]
    assert index["version"] == mappings().version


def test_a_logical_model_has_each_field_of_its_form() -> None:
    for form in STUDY.forms.values():
        model = MADE[f"StructureDefinition-{naming.id_of('form', form.name)}.json"]
        elements = {e["path"]: e for e in model["differential"]["element"]}
        assert [*elements] == [form.name, *(f"{form.name}.{name}" for name in form.fields)]
        for field in form.fields.values():
            element = elements[f"{form.name}.{field.name}"]
            assert (element["max"] == "*") == (field.many or field.type in ("ids", "codes"))
            assert element["mapping"], "a field that is written nowhere"


def test_a_choice_has_a_value_set_of_what_is_written_for_each_word() -> None:
    made = of_kind("ValueSet")
    for form in STUDY.forms.values():
        for field in form.fields.values():
            if not field.choices:
                continue
            concepts = [
                concept
                for include in made[naming.id_of(form.name, field.name)]["compose"]["include"]
                for concept in include["concept"]
            ]
            words = {
                c.get("designation", [{"value": c.get("display")}])[0]["value"] for c in concepts
            }
            assert words == {*field.choices}
    assert len(made) == sum(
        bool(f.choices) for x in STUDY.forms.values() for f in x.fields.values()
    )


def test_a_concept_map_has_each_line_of_its_crosswalk() -> None:
    made = of_kind("ConceptMap")
    for name, entries in printed.told().walks.items():
        told = {
            (group["source"], element["code"]): element["target"][0]
            for group in made[naming.id_of(name)].get("group", ())
            for element in group["element"]
        }
        assert len(told) == len(entries)
        for entry in entries:
            line = entry.line
            target = told[line.system, line.code]
            assert target.get("code", "") == line.target
            assert target["equivalence"] == EQUIVALENCES[line.relationship]
            assert line.note.rstrip(".") in target.get("comment", "")


def test_every_relationship_has_its_equivalence_and_the_withdrawn_is_told() -> None:
    same = {relationship: relationship for relationship in RELATIONSHIPS}
    assert same | {"deprecated": "equal"} == EQUIVALENCES
    text = TEXTS["crosswalks/sex.csv"].replace("female,equivalent,", "female,deprecated,")
    text += "http://loinc.org,2160-0,,female,equivalent,made up,\n"
    edited = artefacts.artefacts(printed.of({**TEXTS, "crosswalks/sex.csv": text}))
    groups = edited["ConceptMap-sex.json"]["group"]
    target = next(e["target"][0] for g in groups for e in g["element"] if e["code"] == "female")
    assert target == {
        "code": "female", "display": "female", "equivalence": "equal",
        "comment": "The code is withdrawn",
    }  # fmt: skip


def test_codes_that_count_together_are_told_so() -> None:
    groups = of_kind("ConceptMap")["procedure"]["group"]
    combined = [e for g in groups for e in g["element"] if "+" in e["code"]]
    assert combined
    assert all(" and " in e["target"][0]["comment"] for e in combined)


def test_the_code_system_has_every_code_of_the_study_with_a_display() -> None:
    system = next(s for s in of_kind("CodeSystem").values() if s["url"] == STUDY_CODES)
    displays = {c["code"]: c["display"] for c in system["concept"]}
    lines = [e.line for entries in printed.told().walks.values() for e in entries]
    assert {line.code for line in lines if line.system == STUDY_CODES} <= displays.keys()
    assert displays["mirels-site"] == "Mirels, site"
    assert displays["msts-handpos"] == "MSTS, hand positioning"
    assert system["count"] == len(displays)


def test_every_code_that_a_concept_map_leads_to_is_a_word_of_the_study() -> None:
    words = next(s for s in of_kind("CodeSystem").values() if s["id"].endswith("-words"))
    known = {c["code"] for c in words["concept"]}
    for one in of_kind("ConceptMap").values():
        for group in one.get("group", ()):
            assert group["target"] == words["url"]
            found = {t["code"] for e in group["element"] for t in e["target"] if "code" in t}
            assert found <= known


def test_each_extension_of_the_study_says_where_it_stands_and_what_it_holds() -> None:
    made = {one["url"]: one for one in of_kind("StructureDefinition").values()}
    own = f"{STUDY.canonical}/StructureDefinition/"
    extensions = {u: one for u, one in made.items() if one["type"] == "Extension"}
    level = extensions[f"{own}vertebral-level"]
    assert [c["expression"] for c in level["context"]] == [
        "Condition.bodySite",
        "Observation.bodySite",
        "Procedure.bodySite",
    ]
    value = level["differential"]["element"][-1]
    assert [t["code"] for t in value["type"]] == ["CodeableConcept"]
    assert value["binding"]["valueSet"] == f"{STUDY.canonical}/ValueSet/lesion-vertebral-level"
    used = {
        step.selector.value
        for mapping in mappings().files.values()
        for block in mapping.blocks
        for row in block.rows
        for reading in row.readings
        for step in reading.path.steps
        if step.selector is not None and step.selector.value.startswith(own)
    }
    assert used == {*extensions}


def test_a_questionnaire_asks_each_field() -> None:
    made = of_kind("Questionnaire")
    for form in STUDY.forms.values():
        items = {item["linkId"]: item for item in made[naming.id_of(form.name)]["item"]}
        assert [*items] == [*form.fields]
        for field in form.fields.values():
            item = items[field.name]
            assert item["required"] == field.required
            assert len(item.get("answerOption", ())) == len(field.choices)
    pain = next(i for i in made["assessment"]["item"] if i["linkId"] == "pain_rest")
    ends = [e.get("valueInteger") for e in pain["extension"]]
    assert ends == [None, 0, 10]
    assert pain["code"][0]["code"] == "pain-nrs-rest"


def test_our_mapping_knows_the_questionnaire_of_assessments() -> None:
    recogniser = mappings().files["assessment.answers"].recogniser
    assert recogniser is not None
    assert recogniser.codec.read(of_kind("Questionnaire")["assessment"]["url"]) == "answers"
    assert "EORTC" in of_kind("Questionnaire")["assessment"]["copyright"]


def answered(questionnaire: dict[str, Any], **others: dict[str, Any]) -> dict[str, Any]:
    """A made-up response: the last option of each of these choices, and other answers."""
    items = {item["linkId"]: item for item in questionnaire["item"]}
    chosen = {
        name: items[name]["answerOption"][-1] for name in ("visit", "mode", "administered_by")
    }
    return {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": questionnaire["url"],
        "status": "completed",
        "subject": {"reference": "Patient/1"},
        "authored": "2024-05-01",
        "item": [{"linkId": n, "answer": [a]} for n, a in {**chosen, **others}.items()],
    }


def test_answers_to_our_questionnaire_are_read() -> None:
    response = answered(of_kind("Questionnaire")["assessment"])
    assert validate(response) == []
    (decoded,) = decode(mappings(), response, source="x")
    told = {"visit": "unscheduled", "mode": "telephone", "administered_by": "proxy"}
    assert decoded.fields == {"assessed_on": "2024-05-01", **told}


def test_scores_in_answers_are_read_where_the_crosswalk_knows_their_link_ids() -> None:
    url = of_kind("Questionnaire")["assessment"]["url"]
    line = f"{url},pain_rest,,pain_rest,equivalent,made up,\n"
    header = TEXTS["crosswalks/score.csv"].splitlines()[0]
    north = load.load({**TEXTS, "sites/north/score.csv": f"{header}\n{line}"}, site="north")
    response = answered(of_kind("Questionnaire")["assessment"], pain_rest={"valueInteger": 3})
    _, score = decode(north, response, source="x")
    assert score.fields == {"assessed_on": "2024-05-01", "pain_rest": 3}


def test_no_artefact_names_an_identifier_of_a_person() -> None:
    columns = [
        c["name"] for v in of_kind("ViewDefinition").values() for c in v["select"][0]["column"]
    ]
    assert "hospital_ids" not in columns
    assert "sex" in columns


def test_the_codes_of_a_site_are_told_as_its_own() -> None:
    line = "urn:oid:1.2.3.4,FEMALE_X,Made up,female,equivalent,made up,\n"
    header = TEXTS["crosswalks/sex.csv"].splitlines()[0]
    texts = {**TEXTS, "sites/north/sex.csv": f"{header}\n{line}"}
    made = artefacts.artefacts(printed.of(texts, site="north"))
    group = next(
        g for g in made["ConceptMap-sex.json"]["group"] if g["source"] == "urn:oid:1.2.3.4"
    )
    assert group["element"][0]["target"][0]["equivalence"] == "equal"
    assert group["element"][0]["target"][0]["comment"] == "A code of the site"
    assert "urn:oid:1.2.3.4" not in fhir_json.dump(dict(MADE)).decode()


def test_no_artefact_takes_the_place_of_another() -> None:
    texts = edited(("crosswalks/bone_region.csv", "", TEXTS["crosswalks/bone-region.csv"]))
    with pytest.raises(BridgeError, match="two artefacts have one id") as told:
        artefacts.artefacts(printed.of(texts))
    assert [issue.place for issue in told.value.issues] == ["ConceptMap-bone-region.json"]
