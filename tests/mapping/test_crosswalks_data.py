"""The study's code lists as tables: what stands in them, and what must not.

Facts about value sets are those of mCODE 4.0.0 (hl7.fhir.us.mcode), whose file is named beside each.
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterator

import pytest

from fhirbridge.mapping import crosswalk
from fhirbridge.mapping.crosswalk import Crosswalk, Line
from tests.mapping.code_book import CODES, CPT, ICD10CM, LOINC, PCS, RXNORM, SNOMED, WORDS
from tests.mapping.files import TEXTS

STUDY = "https://fhirbridge.example.org/fhir/CodeSystem/mbd-study"
ICD10 = "http://hl7.org/fhir/sid/icd-10"
NULL_FLAVOR = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"
FOLDER = "crosswalks/"
NAMES = sorted(
    name.removeprefix(FOLDER).removesuffix(".csv")
    for name in TEXTS
    if name.startswith(FOLDER) and not name.endswith("/systems.csv")
)
SYSTEMS, _ = crosswalk.read_systems(TEXTS[f"{FOLDER}systems.csv"], name="systems.csv")


def lines(name: str) -> list[Line]:
    path = f"{FOLDER}{name}.csv"
    read, faults = crosswalk.read_lines(TEXTS[path], name=path, systems=SYSTEMS)
    assert faults == []
    return read


def walk(name: str) -> Crosswalk:
    made, faults = crosswalk.build(name, lines(name), (), SYSTEMS)
    assert faults == []
    return made


ALL = [(name, line) for name in NAMES for line in lines(name)]


def sources() -> Iterator[tuple[str, str]]:
    for name in NAMES:
        rows = csv.DictReader(io.StringIO(TEXTS[f"{FOLDER}{name}.csv"]))
        yield from ((f"{name}.csv|{row['source_code']}", row["source"]) for row in rows)


# --------------------------------------------------------------------------- every line


@pytest.mark.parametrize("name", NAMES)
def test_a_file_alone_has_no_fault_and_one_way_back_for_each_word(name: str) -> None:
    assert walk(name).forward


def test_every_line_names_its_source() -> None:
    assert [place for place, source in sources() if not source] == []


def test_cpt_has_numbers_and_no_names() -> None:
    ours = [line for _, line in ALL if line.system == CPT]
    assert ours
    assert [(line.code, line.display) for line in ours if line.display] == []


def test_a_code_has_one_name_everywhere() -> None:
    told: dict[tuple[str, str], set[str]] = defaultdict(set)
    for _, line in ALL:
        told[SYSTEMS.normal(line.system, line.code)] |= {line.display} - {""}
    assert {code: names for code, names in told.items() if len(names) > 1} == {}


def test_a_code_of_the_study_has_a_name_of_its_own_in_plain_words() -> None:
    told = {line.code: line.display for _, line in ALL if line.system == STUDY}
    assert [code for code in told if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)] == []
    assert "" not in told.values()
    shared = defaultdict(set)
    for code, display in told.items():
        shared[display].add(code)
    assert {display: codes for display, codes in shared.items() if len(codes) > 1} == {}


def test_what_is_held_or_refused_says_why() -> None:
    silent = ("unmatched", "disjoint", "inexact", "narrower")
    assert [line.place for _, line in ALL if line.relationship in silent and not line.note] == []


# --------------------------------------------------------------------------- the code book

NO_FIELD = {  # codes of the code book that stand in no crosswalk
    "pain as a diagnosis is no field": {
        SNOMED: "12584003 282743009 301773003 49218002 297217002", ICD10CM: "G89.3"},
    "cord compression and hypercalcaemia are no fields": {SNOMED: "71286001", ICD10CM: "G95.29 E83.52"},
    "a status, and no medication": {ICD10CM: "Z79.83"},
    "palliative care is no field": {ICD10CM: "Z51.5"},
    "the study knows its participants": {SNOMED: "428024001"},
    "death is Patient.deceased; its cause keeps the source's codes": {SNOMED: "419099009"},
    "a component, which a path names": {LOINC: "33728-7"},
}  # fmt: skip


def test_no_code_of_the_code_book_is_forgotten() -> None:
    known = {(line.system, part) for _, line in ALL for part in line.code.split("+")}
    left = list(NO_FIELD.values())
    excused = {
        (url, code) for table in left for url, codes in table.items() for code in codes.split()
    }
    book = {(url, code) for url, codes in CODES.items() for code in codes.split()}
    assert len(book) > 600
    assert book - known - excused == set()


def test_no_exception_is_out_of_date() -> None:
    known = {(line.system, line.code) for _, line in ALL}
    excused = {
        (u, code) for t in NO_FIELD.values() for u, codes in t.items() for code in codes.split()
    }
    assert excused & known == set()


# --------------------------------------------------------------------------- ways back


@pytest.mark.parametrize("name", WORDS)
def test_every_word_has_a_way_back_and_no_line_another_word(name: str) -> None:
    made, words = walk(name), set(WORDS[name].split())
    assert made.back.keys() == words
    assert {line.target for line in made.forward.values()} - {""} <= words


PAIRS = [  # a recogniser and a field that are read from, and written to, one element
    ("primary-cancer", "primary-site"),
    ("imaging-study", "modality"),
    ("complication", "complication-kind"),
]


@pytest.mark.parametrize(("recogniser", "field"), PAIRS)
def test_what_a_field_writes_its_recogniser_reads(recogniser: str, field: str) -> None:
    known = walk(recogniser)
    for line in walk(field).back.values():
        found = known.find(line.system, line.code)
        assert found is not None, line.code
        assert found.reads, line.code


@pytest.mark.parametrize(
    ("part", "whole"),
    [("region-within-site", "bone"), ("vertebral-level", "bone"), ("vertebral-level", "imaging-region")],
)  # fmt: skip
def test_a_site_that_says_a_part_says_its_bone_too(part: str, whole: str) -> None:
    known = walk(whole)
    for line in lines(part):
        if line.reads:
            found = known.find(line.system, line.code)
            assert found is not None, line.code
            assert found.reads, line.code


# --------------------------------------------------------------------------- mCODE's required value sets

REQUIRED = {
    # ValueSet-mcode-laterality-qualifier-vs
    "laterality": {SNOMED: "51440002 399488007 24028007 7771000"},
    # ValueSet-mcode-body-location-qualifier-vs; listed in ...-radiotherapy-treatment-location-qualifier-vs
    "bone-region": {SNOMED: "40415009 260528009 46053002"},
    # ValueSet-mcode-teleradiotherapy-modality-vs, -brachytherapy-modality-vs, -radiotherapy-modality-vs
    "rt-modality": {
        SNOMED: "10611004 45643008 80347004 1156505006 1156506007 1156708005 169359004 1156384006"
                " 394902000 438629002 440252007",
        NULL_FLAVOR: "UNC"},
    # ValueSet-mcode-teleradiotherapy-*-technique-vs
    "rt-technique": {
        SNOMED: "441799006 1156530009 1162782007 1156526006 168524008 1163157007",
        NULL_FLAVOR: "UNC"},
    # ValueSet-mcode-condition-status-trend-vs
    "disease-status": {SNOMED: "268910001 359746009 271299001 709137006"},
    # ValueSet-mcode-cancer-disease-status-evidence-type-vs, the roots of its is-a
    "evidence": {
        SNOMED: "714797009 116147009 108257001 386344002 5880005 363679005 250724005"},
    # ValueSet-mcode-procedure-intent-vs
    "intent": {SNOMED: "373808002 363676003 129428001"},
    "rt-intent": {SNOMED: "373808002 363676003 129428001 399707004"},
    "medication-intent": {SNOMED: "373808002 363676003 129428001 399707004"},
}  # fmt: skip


@pytest.mark.parametrize("name", REQUIRED)
def test_only_codes_of_the_required_value_set_are_written(name: str) -> None:
    allowed = {(url, code) for url, codes in REQUIRED[name].items() for code in codes.split()}
    written = {(line.system, line.code) for line in walk(name).back.values()}
    assert written - allowed == set()


# --------------------------------------------------------------------------- known traps

TRAPS = [  # crosswalk, system, code, relationship, target
    ("metastasis", SNOMED, "314990009", "disjoint", ""),
    ("metastasis", SNOMED, "94480000", "unmatched", ""),
    ("metastasis", SNOMED, "443165006", "disjoint", ""),
    ("metastasis", ICD10CM, "M84.48XA", "disjoint", ""),
    ("metastasis", SNOMED, "109989006", "disjoint", ""),
    ("metastasis", SNOMED, "712849003", "equal", "bone-metastasis"),
    ("primary-site", SNOMED, "712849003", "wider", "prostate"),
    ("primary-site", SNOMED, "424887002", "wider", "thyroid"),
    ("primary-cancer", ICD10CM, "Z85.3", "narrower", "primary-cancer"),
    ("primary-cancer", ICD10CM, "C22.9", "unmatched", ""),
    ("bone", SNOMED, "73438004", "disjoint", ""),
    ("imaging-study", SNOMED, "44491008", "unmatched", ""),
    ("procedure", SNOMED, "1217123003", "disjoint", ""),
    ("procedure", PCS, "DP091ZZ", "disjoint", ""),
    ("procedure", PCS, "BQ03ZZZ", "disjoint", ""),
    ("procedure", CPT, "24516", "inexact", "intramedullary_nail"),
    ("radiotherapy", SNOMED, "33195004", "wider", "radiotherapy"),
    ("laterality", SNOMED, "66459002", "unmatched", ""),
    ("laterality", SNOMED, "419161000", "equal", "left"),
    ("fracture-within-diagnosis", ICD10CM, "M84.551A", "equal", "actual"),
    ("fracture-within-diagnosis", ICD10CM, "M84.551K", "wider", "actual"),
    ("fracture-within-diagnosis", ICD10CM, "M84.551S", "unmatched", ""),
    ("side-within-diagnosis", ICD10CM, "M84.552A", "equal", "left"),
    ("bone-within-diagnosis", ICD10CM, "M84.550A", "equal", "pelvis"),
    ("medication-agent", RXNORM, "993452", "narrower", "denosumab"),
    ("medication-agent", RXNORM, "46041", "unmatched", ""),
    ("pain-grade", SNOMED, "301379001", "equal", "0"),
    ("pain-grade", SNOMED, "76948002", "unmatched", ""),
    ("pain-grade", SNOMED, "67849003", "equal", "10"),
    ("evidence", SNOMED, "252416005", "inexact", "histology"),
    ("score", LOINC, "38208-5", "unmatched", ""),
    ("complication", SNOMED, "233604007", "narrower", "complication"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "system", "code", "relationship", "target"), TRAPS)
def test_a_known_trap_is_in_the_data(
    name: str, system: str, code: str, relationship: str, target: str
) -> None:
    line = walk(name).find(system, code)
    assert line is not None
    assert (line.relationship, line.target) == (relationship, target)


def test_every_pathological_fracture_in_neoplastic_disease_is_known() -> None:
    """ICD-10-CM 2026: 32 stems of M84.5, each with the letters A, D, G, K, P and S."""
    for name in ("metastasis", "fracture-within-diagnosis"):
        codes = {line.code for line in lines(name) if line.code.startswith("M84.5")}
        assert len({code[:-1] for code in codes}) == 32
        assert {code[-1] for code in codes} == set("ADGKPS")
        assert len(codes) == 32 * 6


def test_what_is_past_is_neither_a_broken_bone_nor_a_complication() -> None:
    for name in ("fracture-within-diagnosis", "complication"):
        late = [line for line in lines(name) if re.fullmatch(r"[MT]8.*S", line.code)]
        assert len(late) > 30
        assert [line.place for line in late if line.reads] == []


def test_the_same_code_means_the_same_under_every_alias() -> None:
    for alias, code in [
        ("http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-diagnosis-icd10", "C7951"),
        ("urn:oid:2.16.840.1.113883.6.90", "c79.51"),
        ("http://terminology.hl7.org/CodeSystem/icd10CM", "C79.51"),
    ]:
        line = walk("metastasis").find(alias, code)
        assert line is not None
        assert line.target == "bone-metastasis"
    pcs = walk("procedure").find("urn:oid:2.16.840.1.113883.6.4", "0QH606Z")
    assert pcs is not None
    assert pcs.target == "intramedullary_nail"
    who = walk("metastasis").find("urn:oid:2.16.840.1.113883.6.3", "C79.5")
    assert who is not None
    assert who.system == ICD10
