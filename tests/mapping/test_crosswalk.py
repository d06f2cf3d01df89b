"""Faults of crosswalk files, each with its file and line."""

from __future__ import annotations

import pytest

from fhirbridge.mapping import crosswalk
from tests.mapping.files import TEXTS, faults, mappings

HEADER = ",".join(crosswalk.COLUMNS)
BONE, SYSTEMS = "crosswalks/bone.csv", "crosswalks/systems.csv"
LAST = TEXTS[BONE].count("\n") + 1

# reason, a line at the end of bone.csv, words of the cause, words of the remedy
FAULTS = [
    ("a check digit of SNOMED CT", "http://snomed.info/sct,71341002,,femur,equal,,", "71341002 fails its check digit", "copy the code"),
    ("a check digit of LOINC", "http://loinc.org,89247-2,,femur,equal,,", "89247-2 fails its check digit", "copy the code"),
    ("a check digit under an alias", "http://snomed.info,71341002,,femur,equal,,", "fails its check digit", "copy the code"),
    ("a code with two meanings", "http://snomed.info/sct,71341001,,tibia,equal,,", "already mapped at crosswalks/bone.csv:21", "keep one"),
    ("two ways back", "urn:x,1,,femur,equivalent,,", "'femur' already has a way back at crosswalks/bone.csv:21", "write 'equal'"),
    ("a relationship", "urn:x,1,,femur,equals,,", "'equals' is no relationship", "did you mean 'equal'"),
    ("no target", "urn:x,1,,,equal,,", "the target is missing", "the study's word"),
    ("no reason", "urn:x,1,,,disjoint,,", "the reason is missing", "note"),
    ("no system", ",1,,femur,equal,,", "system or code is missing", "give both"),
    ("a comma too many", "urn:x,1,a, b,femur,equal,,", "8 cells under 7 columns", "in quotes"),
    ("an open quote", 'urn:x,1,"a,femur,equal,,', "no CSV", "quotes"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "cause", "remedy"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS]
)
def test_a_faulty_line_is_told_with_its_place(line: str, cause: str, remedy: str) -> None:
    told = faults({**TEXTS, BONE: TEXTS[BONE] + line + "\n"})
    (issue,) = [i for i in told if cause in i.cause and remedy in i.remedy]
    assert issue.place == f"{BONE}:{LAST}"


def test_a_missing_header_is_told() -> None:
    told = faults({**TEXTS, BONE: TEXTS[BONE].partition("\n")[2]})
    assert any(i.place == f"{BONE}:1" and "the header is not" in i.cause for i in told)


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("http://snomed.info,http://loinc.org,", "alias of another system"),
        ("urn:x,urn:y,dotles", "'dotles' is not known"),
        ("urn:x,urn:y", "2 cells under 3 columns"),
    ],
)
def test_a_faulty_line_of_the_systems_is_told(line: str, cause: str) -> None:
    told = faults({**TEXTS, SYSTEMS: TEXTS[SYSTEMS] + line + "\n"})
    (issue,) = [i for i in told if cause in i.cause]
    assert issue.place == f"{SYSTEMS}:{TEXTS[SYSTEMS].count(chr(10)) + 1}"


def test_a_byte_order_mark_and_comments_are_read_over() -> None:
    systems, _ = crosswalk.read_systems("alias,system,form\n", name="systems.csv")
    text = f"\ufeff{HEADER}\n# a comment\n\nurn:x,1,A femur,femur,equal,,\n"
    lines, wrong = crosswalk.read_lines(text, name="x.csv", systems=systems)
    assert wrong == []
    assert [(line.code, line.place) for line in lines] == [("1", "x.csv:4")]


def test_every_relationship_has_a_published_meaning() -> None:
    walks = {
        line.relationship
        for mapping in mappings().files.values()
        if mapping.recogniser
        for line in mapping.recogniser.codec.crosswalk.forward.values()
    }
    assert walks <= crosswalk.RELATIONSHIPS.keys()
    assert {"equivalent", "equal", "wider", "unmatched", "disjoint"} <= walks
