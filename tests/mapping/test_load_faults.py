"""Faults of mapping files: each is told with its file and line before any data moves."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import yaml

from fhirbridge.mapping import load
from fhirbridge.outcome import BridgeError
from tests.mapping.files import TEXTS, edited, faults, line_of, mappings

L, S, A, N = "lesion.yaml", "surgery.yaml", "assessment.yaml", "names.yaml"
BONE_ROW = "at: bodySite, by: code/bone, accepts"

# reason, file, old, new, a word on the line that is told, what the cause says, what the remedy says
FAULTS = [
    ("a word of the file", L, "resource: Cond", "resourse: Cond", "resourse", "'resourse'", "did you mean 'resource'"),
    ("a word of a row", L, "from source: true", "from sauce: true", "from sauce", "'from sauce'", "from source"),
    ("a word of the gate", S, "refuse: [not-done", "refuze: [not-done", "refuze", "'refuze'", "refuse"),
    ("a field", L, "field: laterality", "field: lateralty", "lateralty", "no field 'lateralty'", "laterality"),
    ("a form", L, "form: lesion", "form: leision", "form: leision", "no form 'leision'", "lesion"),
    ("a resource type", L, "resource: Condition", "resource: Conditoin", "Conditoin", "'Conditoin'", "Condition"),
    ("a codec", L, "by: text, from source", "by: txt, from source", "by: txt", "no codec 'txt'", "text"),
    ("a crosswalk", L, BONE_ROW, "at: bodySite, by: code/bones, accepts", "code/bones", "no crosswalk 'bones'", "bone"),
    ("an element", L, BONE_ROW, "at: bodySitte, by: code/bone, accepts", "bodySitte", "no element 'bodySitte'", "R4"),
    ("an element of R5", S, "performedDateTime", "occurrenceDateTime", "occurrenceDateTime", "no element 'occurrenceDateTime'", "R4"),
    ("a choice without its type", A, "at: valueInteger, by: number, acc", "at: value, by: number, acc", "pain_rest,", "no element 'value'", "R4"),
    ("a codec that does not read the type", L, BONE_ROW, "at: onsetDateTime, by: code/bone, accepts", "by: code/bone,", "does not read dateTime", "CodeableConcept"),
    ("a codec that does not give the field's type", L, BONE_ROW, "at: onsetDateTime, by: date, accepts", "onsetDateTime, by: date, acc", "'date' gives no choice", "date"),
    ("an element that cannot hold a time", L, 'at: "extension[url=$asserted].valueDateTime"', "at: \"extension[url=$asserted].valueDate\"", "diagnosed_on", "cannot hold", "dateTime"),
    ("an element that cannot hold every text", L, 'at: "identifier[system=$lesion].value"', 'at: "identifier[system=$lesion].use"', "lesion_id", "cannot hold", "string"),
    ("a second row at one place", L, "at: clinicalStatus, by: code/clinical-status", "at: verificationStatus, by: code/clinical-status", "rows:", "both write", "another place"),
    ("one place under two spellings", S, "at: bodySite, by: code/bone", 'at: "extension[url=http://hl7.org/fhir/us/mcode/StructureDefinition/mcode-procedure-intent].valueCodeableConcept", by: code/bone', "rows:", "both write", "another place"),
    ("what is written only, at a row's place", L, "at: category, value", "at: bodySite, value", "rows:", "both write bodySite", "take"),
    ("two rows of a field", A, "{ field: pain_activity,", "{ field: pain_rest,", "rows:", "pain_rest", "one row"),
    ("a choice without a way back", "crosswalks/laterality.csv", "left,equivalent", "left,equal", "", "no code for left", "equivalent"),
    ("a selector of what is no list", L, "at: onsetDateTime", 'at: "onsetDateTime[x=y]"', "onsetDateTime[", "no list", "take"),
    ("a selector by what is no element", L, "identifier[system=$lesion]", "identifier[sytem=$lesion]", "sytem", "sytem", "R4"),
    ("a name in a selector", L, "[system=$lesion]", "[system=$leison]", "$leison", "'$leison'", "lesion"),
    ("a name in a code", A, "$study|msts-form", "$stuudy|msts-form", "$stuudy", "'$stuudy'", "study"),
    ("a name in a profile", L, "profile: $secondary-cancer", "profile: $secondary-cancr", "$secondary-cancr", "'$secondary-cancr'", "secondary-cancer"),
    ("a path that ends in a dot", L, BONE_ROW, "at: bodySite., by: code/bone, accepts", "bodySite.,", "does not go on", "dot"),
    ("a check digit in a row", "lesion-size.yaml", "$loinc|33728-7", "$loinc|33728-8", "33728-8", "check digit", "copy"),
    ("a score without a code", "crosswalks/score.csv", "pain_rest,equivalent", "pain_rest,equal", "", "no code is written for 'pain_rest'", "equivalent"),
    ("accept", L, "accept: review", "accept: revue", "accept: revue", "'revue'", "review"),
    ("each", A, "each: field", "each: fields", "each: fields", "'fields'", "record or field"),
    ("a field that may be absent, at what the resource is known by", "study.yaml", "amputation, external_fixator, other], required: true, absent: false", "amputation, external_fixator, other], required: true", "", "procedure may be absent", "absent: false"),
    ("a field that may be absent, at a required code", "study.yaml", "resolved], absent: false", "resolved]", "", "clinical_status may be absent", "absent: false"),
    ("a doubt about a field that is not there", S, "doubt: [bone]", "doubt: [bonee]", "bonee", "bonee", "bone"),
    ("a status that R4 does not know", S, "hold: [in-progress", "hold: [in-progres", "gate:", "in-progres", "in-progress"),
    ("a gate that holds back what is written", S, "writes: completed", "writes: on-hold", "gate:", "on-hold", "pass"),
    ("a crosswalk's word that the field does not know", "crosswalks/bone.csv", "femur,wider", "femmur,wider", "femmur", "'femmur'", "femur"),
    ("a crosswalk's word that no row has", "crosswalks/score.csv", "ecog,equal", "ekog,equal", "ekog", "'ekog'", "ecog"),
    ("a grade that is no number", "crosswalks/ecog-grade.csv", ",4,equivalent", ",four,equivalent", "four", "'four'", "number"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "old", "new", "word", "cause", "remedy"),
    [row[1:] for row in FAULTS],
    ids=[row[0] for row in FAULTS],
)
def test_a_fault_is_told_with_file_and_line(
    name: str, old: str, new: str, word: str, cause: str, remedy: str
) -> None:
    texts = edited((name, old, new))
    told = faults(texts)
    fitting = [i for i in told if cause in i.cause and remedy in i.remedy]
    assert fitting, [issue.sentence() for issue in told]
    assert all(":" in issue.place for issue in told)
    if word:
        assert line_of(texts, name, word) in {issue.place for issue in fitting}


def test_a_field_that_nobody_maps_is_told_where_it_is_defined() -> None:
    line = "      stairs: { type: decimal, range: [0, 100] }\n"
    texts = edited(("study.yaml", "      ecog: {", f"{line}      ecog: {{"))
    (told,) = faults(texts)
    assert told.cause == "no row maps the field assessment.stairs"
    assert told.place == line_of(texts, "study.yaml", "stairs:")


@pytest.mark.parametrize(
    "name",
    ["bone.csv", "sites/bone.csv", "sites/north/lesion.yaml", "sites/north/systems.csv",
     "crosswalks/north/bone.csv", "forms/lesion.yaml"],
)  # fmt: skip
def test_a_file_where_nothing_is_read_is_told(name: str) -> None:
    (told,) = faults({**TEXTS, name: TEXTS["lesion.yaml"]})
    assert (told.place, told.cause) == (name, "the file stands where nothing is read")
    assert "sites/<site>/" in told.remedy


def test_a_form_that_two_files_map_is_told() -> None:
    (told,) = faults({**TEXTS, "wound.yaml": TEXTS[L]})
    assert told.place.startswith("wound.yaml:")
    assert "lesion" in told.cause


def test_the_faults_of_all_files_are_told_at_once() -> None:
    texts = edited(
        (L, "field: laterality", "field: lateralty"),
        (S, "by: text, from", "by: txt, from"),
        (A, "each: field", "each: field\neach: field"),
        (N, "asserted: http", "asserted: [http]\n#"),
        ("crosswalks/sex.csv", "male,equivalent", "male,equivalence"),
        ("crosswalks/bone.csv", "89546000", "89546001"),
    )
    files = {issue.place.split(":")[0] for issue in faults(texts)}
    assert files >= {L, S, A, N, "crosswalks/sex.csv", "crosswalks/bone.csv"}


CODES = "source_system,source_code,display,target,relationship,source,note\n"
TINY = {
    "study.yaml": """
id: tiny
title: A small study
canonical: http://tiny.example.org
forms:
  lump:
    title: Lump
    key: [lump_id]
    fields:
      lump_id: { type: text, required: true }
      side: { type: choice, choices: [left, right], meaning: Side }
  visit:
    key: [day]
    fields:
      day: { type: datetime, required: true }
      score: { type: integer, range: [0, 9], better: lower }
""",
    "names.yaml": 'lump: "{canonical}/sid/lump"\nloinc: http://loinc.org\n',
    "lump.yaml": """
form: lump
resource: Condition
profile: $lump
patient: subject
recognise: { at: code, by: code/lump, writes: lump, doubt: [side] }
gate: { at: verificationStatus, pass: [confirmed], withdraw: [refuted], writes: confirmed }
rows:
  - { field: lump_id, at: "identifier[system=$lump].value", by: text, from source: true }
  - { field: side, at: bodySite, by: code/side, accepts: [ { at: code, accept: review } ] }
""",
    "visit.yaml": """
form: visit
resource: Observation
each: field
recognise: { at: code, by: code/score }
values: { integer: { at: valueInteger, by: number, accepts: [ { at: valueString, by: number-word } ] } }
absent: { at: dataAbsentReason, by: code/reason }
shared: [ { field: day, at: effectiveDateTime, by: date } ]
rows: [ { field: score, code: $loinc|89247-1 } ]
write only: [ { at: status, value: final } ]
""",
    "crosswalks/lump.csv": f"{CODES}urn:x,1,,lump,equivalent,,\n",
    "crosswalks/side.csv": f"{CODES}urn:x,2,,left,equivalent,,\nurn:x,3,,right,equivalent,,\n",
    "crosswalks/score.csv": CODES,
    "crosswalks/reason.csv": f"{CODES}urn:x,4,,unknown,equivalent,,\n",
}
JUNK: tuple[Any, ...] = (None, 5, "x", [], [["x"]], {"x": [1]})


def junk(value: Any) -> Iterator[Any]:
    """The value with each part in turn replaced by each junk."""
    yield from JUNK
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in keys:
        for made in junk(value[key]):
            whole = deepcopy(value)
            whole[key] = made
            yield whole


def category_of(texts: dict[str, str]) -> str:
    """Of the first fault; empty where the texts load."""
    try:
        load.load(texts)
    except BridgeError as fault:
        return fault.issues[0].category
    return ""


@pytest.mark.parametrize("name", sorted(n for n in TINY if n.endswith(".yaml")))
def test_a_file_of_any_shape_loads_or_is_told_about(name: str) -> None:
    assert category_of(TINY) == ""
    content = yaml.safe_load(TINY[name])
    categories = [category_of({**TINY, name: yaml.safe_dump(made)}) for made in junk(content)]
    assert set(categories) <= {"", "configuration"}
    assert categories.count("configuration") > len(categories) / 2


def test_the_files_of_this_repository_have_no_fault() -> None:
    assert {m.form.name for m in mappings().files.values()} == mappings().study.forms.keys()
