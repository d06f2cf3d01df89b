"""The fast verdict against the slow pass: it accepts nothing that has an error, and most of the rest."""

from __future__ import annotations

import json
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhirbridge.fhir import codings, definitions, narrative, packages, quick, quick_memory, verdict
from fhirbridge.fhir.compile_rules import MAY_BREAK
from fhirbridge.fhir.invariants import INVARIANTS
from fhirbridge.fhir.quick_narrative import plainly_allowed
from fhirbridge.fhir.validate import validate
from fhirbridge.formats import fhir_json
from fhirbridge.outcome import failed
from tests.fhir.mutations import MUTATIONS, Mutation
from tests.fhir.synthetic import BASES, DIV, GONE, TERM, changed, coded, deep_extension
from tests.fhir.test_second_judge import SUBSTITUTES, sweep
from tests.fhir.test_validate import VALID

FILES = sorted((Path(__file__).parent / "examples").glob("*.json"))
EXAMPLES = {path.stem: fhir_json.parse(path.read_bytes()) for path in FILES}
RESOURCES = {**EXAMPLES, **BASES}
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
MCODE = "http://hl7.org/fhir/us/mcode/StructureDefinition/"


def told_wrong(resource: dict[str, Any]) -> bool:
    """The verdict accepts what the slow pass refuses."""
    return verdict.accepts(resource) and failed(validate(resource))


# -- what is accepted


@pytest.mark.parametrize("name", RESOURCES)
def test_what_is_valid_is_accepted_at_once(name: str) -> None:
    assert not failed(validate(RESOURCES[name]))
    assert verdict.accepts(RESOURCES[name])


@pytest.mark.parametrize(("base", "changes", "reason"), VALID, ids=[row[2] for row in VALID])
def test_unusual_but_valid_resources_are_judged_alike(
    base: str, changes: dict[str, Any], reason: str
) -> None:
    made = changed(BASES[base], changes)
    assert verdict.judge(made) == [] or not failed(verdict.judge(made))


def test_most_of_what_is_unusual_is_accepted_at_once() -> None:
    taken = [verdict.accepts(changed(BASES[base], changes)) for base, changes, _ in VALID]
    assert sum(taken) > 0.8 * len(taken)


# -- what is not


@pytest.mark.parametrize("fault", MUTATIONS, ids=[f"{m.base}: {m.reason}" for m in MUTATIONS])
def test_no_fault_of_the_table_is_accepted(fault: Mutation) -> None:
    made = fault.apply()
    assert not verdict.accepts(made)
    assert verdict.judge(made) == validate(made)


BIRTH_TIME = {
    "url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime",
    "valueDateTime": "1960-02-01T10:00:00Z",
}
RACE = {"url": f"{US_CORE}us-core-race", "extension": [{"url": "text", "valueString": "x"}]}
BIRTH_SEX = {"url": f"{US_CORE}us-core-birthsex", "valueCode": "F"}
OF_CLAIMS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("Patient", {"meta.profile": ["http://hl7.org/fhir/StructureDefinition/actualgroup"]}, "another type's"),
    ("Patient", {"meta.profile": [f"{MCODE}mcode-cancer-patient|4.0.0"], "identifier": GONE}, "1..* identifier"),
    ("Patient", {"modifierExtension": [BIRTH_SEX]}, "no modifier"),
    ("Patient", {"extension.0": BIRTH_TIME}, "belongs beside birthDate"),
    ("Patient", {"extension.0": BIRTH_SEX | {"valueCode": "Q"}}, "value set of an extension"),
    ("Patient", {"extension.0": BIRTH_SEX | {"valueCode": GONE, "valueString": "F"}}, "type of an extension"),
    ("Patient", {"extension.0": RACE | {"extension": [{"url": "txt", "valueString": "x"}]}}, "no such part"),
    ("Observation", {"extension": [RACE]}, "belongs to a Patient"),
    ("Observation", {"code": coded("http://loinc.org", "29463-7"), "component": GONE}, "a body weight unclaimed"),
    ("Condition", {"meta": {"profile": [f"{US_CORE}us-core-condition-encounter-diagnosis"]}}, "category missing"),
    ("Condition", {"code.coding.1": {"system": f"{TERM}condition-clinical", "code": "x"}}, "unknown HL7 code"),
)  # fmt: skip


def without_gone(value: Any) -> Any:
    """GONE within a new value means the same as at the end of a path."""
    if isinstance(value, dict):
        return {name: without_gone(one) for name, one in value.items() if one is not GONE}
    return [without_gone(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("base", "changes", "reason"), OF_CLAIMS, ids=[row[2] for row in OF_CLAIMS]
)
def test_no_fault_by_a_profile_or_extension_is_accepted(
    base: str, changes: dict[str, Any], reason: str
) -> None:
    made = without_gone(changed(BASES[base], changes))
    assert failed(validate(made))
    assert not verdict.accepts(made)


def test_a_technique_of_another_modality_is_not_accepted() -> None:
    made = deepcopy(EXAMPLES["mcode-Procedure-radiotherapy-treatment-summary-chest-wall-jenny-m"])
    assert verdict.accepts(made)
    course = next(e for e in made["extension"] if e["url"].endswith("modality-and-technique"))
    technique = next(e for e in course["extension"] if e["url"].endswith("-technique"))
    technique["valueCodeableConcept"] = coded("http://snomed.info/sct", "113120007")
    assert failed(validate(made))
    assert not verdict.accepts(made)


def test_extensions_in_their_place_are_accepted() -> None:
    given = {
        "extension": [RACE, BIRTH_SEX],
        "_birthDate": {"extension": [BIRTH_TIME]},
        "birthDate": "1960-02-01",
    }
    assert verdict.accepts({**BASES["Patient"], **given})


@pytest.mark.parametrize("name", RESOURCES)
def test_no_value_can_be_spoilt_unseen(name: str) -> None:
    wrong = [place for place, made in sweep(RESOURCES[name]) if told_wrong(made)]
    assert wrong == []


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where a value stands, of each in the tree."""
    members = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for name, one in members:
        found.append((*path, name))
        if isinstance(one, (dict, list)):
            found += paths(one, (*path, name))
    return found


PLACES = {name: paths(resource) for name, resource in RESOURCES.items()}
NAMES = sorted({p[-1] for found in PLACES.values() for p in found if isinstance(p[-1], str)})
VALUES = [
    *(v for v in SUBSTITUTES if isinstance(v, (str, int, float, bool, list, dict, type(None)))),
    "2021-02-29", "2020-02-29", "2021-04-31T10:00:00Z", "0000-01-01", "#", "#o1", "Patient/1", "a b",
    "http://loinc.org", "urn:oid:1.2.3", "urn:uuid:x", "final", "F", "\u00a0", " x", Decimal("1.5"),
    Decimal("NaN"), float("inf"), 2**31, 0, DIV, "<div/>", {"id": "a"}, {"text": "x"},
    {"coding": [{"system": "http://loinc.org", "code": "8302-2"}]}, {"reference": "#"},
    {"url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime", "valueDateTime": "2020"},
    {"extension": [{"url": "http://example.org/x", "valueCode": "a"}]},
    [{"url": f"{US_CORE}us-core-race", "extension": [{"url": "text", "valueString": "x"}]}],
    [{"url": f"{US_CORE}us-core-birthsex", "valueCode": "Q"}],
    [f"{US_CORE}us-core-patient"], [f"{MCODE}mcode-cancer-patient|4.0.0"], ["urn:x"],
]  # fmt: skip
OTHER = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=2)
    ),
    max_leaves=4,
)


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, Any]:
    """A valid resource in which one to three values are replaced, removed, moved or added."""
    name = draw(st.sampled_from(sorted(RESOURCES)))
    made = deepcopy(RESOURCES[name])
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(PLACES[name]))
        place: Any = made
        try:
            for step in way:
                place = place[step]
            kind = draw(st.sampled_from(("put", "take", "add", "copy")))
            if kind == "take":
                del place[last]
            elif kind == "put":
                place[last] = deepcopy(draw(st.sampled_from(VALUES) | OTHER))
            elif isinstance(place, list):
                place.append(deepcopy(place[0]))
            else:
                key = draw(st.sampled_from(NAMES)) if kind == "add" else f"_{last}"
                place[key] = deepcopy(draw(st.sampled_from(VALUES) | OTHER))
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    return made


@settings(max_examples=600, deadline=None)
@given(damaged())
def test_what_the_verdict_accepts_the_slow_pass_finds_without_error(made: dict[str, Any]) -> None:
    assert not told_wrong(made)


# -- its parts


KEYS = [
    *definitions.shape_paths(),
    *packages.extensions(),
    *definitions.content("profiles.json")["profiles"],
]


@pytest.mark.parametrize("part", range(8))
def test_every_type_profile_and_extension_compiles(part: int) -> None:
    for key in KEYS[part::8]:
        compile(verdict.source(key), key, "exec")


def test_no_name_means_two_things_in_two_functions() -> None:
    meanings: dict[str, Any] = {}
    for key in KEYS:
        for name, value in verdict.constants(key).items():
            assert meanings.setdefault(name, value) == value, (name, key)


def test_the_source_is_readable() -> None:
    told = verdict.source("Coding")
    assert "def Coding(v, s):" in told
    assert 'x = v["system"]' in told


def test_every_shortcut_belongs_to_an_invariant() -> None:
    keys = {rule.key for rules in INVARIANTS.values() for rule in rules}
    assert set(MAY_BREAK) <= keys


def test_the_systems_that_are_not_looked_at_twice_are_in_order() -> None:
    alone = definitions.element("Meta", "tag")
    assert alone is not None
    for system in quick_memory.KNOWN_URIS:
        assert not failed(codings.check_element(alone, {"system": system}, ""))


def test_a_path_of_types_stays_below_the_depth_of_the_slow_pass() -> None:
    """Between two of what is counted as nested there are fewer levels than the limit allows."""
    assert (quick.DEEPEST_NEST + 1) * (_longest("Bundle", set()) + 1) <= 64
    longest = max(_longest(name, set()) for name in definitions.resource_types())
    assert (quick.DEEPEST_NEST + 1) * (longest + 1) <= 64 + longest


def _longest(at: str, above: set[str]) -> int:
    shape = definitions.shape(at)
    assert at not in above, f"{at} can hold itself, and is not counted"
    below = [
        e
        for e in (shape.properties.values() if shape else ())
        if definitions.shape(e.path)
        and e.type != "Extension"
        and not (e.type == "" and e.path != f"{at}.{e.name}")
        and (at, e.name) != ("Reference", "identifier")
    ]
    return 1 + max((_longest(e.path, above | {at}) for e in below), default=0)


@pytest.mark.parametrize("levels", [1, 4, 20, 60, 64, 400])
def test_depth_is_left_to_the_slow_pass(levels: int) -> None:
    made = changed(BASES["Observation"], {"extension": [deep_extension(levels)]})
    assert verdict.accepts(made) == (levels < quick.DEEPEST_NEST)


MARKUP = st.lists(
    st.sampled_from(
        ("<p>", "</p>", "<b>", "</b>", "<br/>", "<hr />", "<tr>", "</tr>", "<td>", "</td>", "text", " ", ">", '"', "]]>", "\x01",
         '<p class="a">', '<p class="a" class="b">', '<p class="a" title="x > y">', '<a href="x">', "</a>",
         '<a href="javascript:x">', '<a name="x">', '<p href="x">', "<script>", "</script>", "<!-- x -->",
         "&amp;", "&nbsp;", "&#160;", "&#1;", "\ud800", "\uffff", '<p onclick="x">', "<i/>", "<img/>", "\u00e9")
    ),
    max_size=8,
)  # fmt: skip


@settings(max_examples=1500, deadline=None)
@given(MARKUP, st.booleans())
def test_a_plain_narrative_is_an_allowed_one(parts: list[str], is_whole: bool) -> None:
    div = (
        f'<div xmlns="http://www.w3.org/1999/xhtml">{"".join(parts)}</div>'
        if is_whole
        else "".join(parts)
    )
    assert not plainly_allowed(div) or narrative.allowed(div)


@pytest.mark.parametrize(
    "inner",
    ["A <b>lesion</b>", '<p class="a" title="b">x</p>', "<hr/><ul><li>x&#160;</li></ul>", "\u00e9"],
)
def test_a_usual_narrative_is_plain(inner: str) -> None:
    assert plainly_allowed(f'<div xmlns="http://www.w3.org/1999/xhtml">{inner}</div>')


TAGS = ("p", "b", "span", "a", "i", "code", "h3", "ul", "li", "table", "tbody", "thead", "tr", "td",
        "th", "blockquote", "br", "hr", "div", "script", "font", "bb", "h33")  # fmt: skip
ATTRIBUTES = ("", "", "", ' class="a"', ' style="a" title="b > c"', ' href="x"', ' href="javascript:x"',
              ' name="a"', ' title="a" title="b"', ' onclick="x"', ' title="a&b"', ' title="a<b"')  # fmt: skip
WORDS = st.sampled_from(
    ("", "", "a", " \n", "&amp;", "&", "&nbsp;", "]]>", "\x02", "\ufffe", "\ud800", "<br/>", "…")
)
NESTED = st.recursive(
    WORDS,
    lambda inner: st.builds(
        "<{0}{1}>{2}</{0}>{3}".format,
        st.sampled_from(TAGS),
        st.sampled_from(ATTRIBUTES),
        st.lists(inner, max_size=3).map("".join),
        WORDS,
    ),
    max_leaves=12,
)


@settings(max_examples=500, deadline=None)
@given(st.lists(NESTED, max_size=4).map("".join), st.sampled_from(ATTRIBUTES))
def test_what_nests_well_is_plain_only_where_it_is_allowed(inner: str, more: str) -> None:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"{more}>{inner}</div>'
    assert not plainly_allowed(div) or narrative.allowed(div)


PUT_IN = (
    *(f"<{tag}>x</{tag}>" for tag in TAGS),
    *(f"<{tag}/>" for tag in TAGS),
    *ATTRIBUTES,
    *("</p>", "<!-- x -->", "&nbsp;", "&#1;", "]]>", "\x02", "\ufffe", "\ud800", "<p><p>x</p></p>"),
)


@pytest.mark.parametrize("broken", ["<table><tr><td>x</td></tr></table>", "<p><b>x</b>: <a href=\"y\">z</a></p>",
    "<blockquote><ul><li>x</li></ul></blockquote>", "<table><tbody><tr><td>a</td></tr></tbody></table>"])  # fmt: skip
def test_no_letter_of_a_published_narrative_can_go_unseen(broken: str) -> None:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{broken}</div>'
    assert plainly_allowed(div)
    for at in range(len(div)):
        letters = [div[:at] + put + div[at + 1 :] for put in ("", "<", ">", "&", '"', "q")]
        for made in letters + [div[:at] + put + div[at:] for put in PUT_IN]:
            assert not plainly_allowed(made) or narrative.allowed(made)


def test_a_coding_that_was_seen_opens_the_door_to_no_other() -> None:
    right = {"system": f"{TERM}observation-category", "code": "survey", "display": "Survey"}
    for kept in (right, {name: right[name] for name in ("system", "code")}):
        assert verdict.accepts(
            changed(BASES["Observation"], {"category": [{"coding": [{**kept}]}]})
        )
        for name, value in (("display", "Vital Signs"), ("display", None), ("display", ["Survey"]),
                            ("colour", "red"), ("code", ["survey"]), ("userSelected", "yes")):  # fmt: skip
            wrong = {"category": [{"coding": [{**kept, name: value}]}]}
            assert not verdict.accepts(changed(BASES["Observation"], wrong)), (name, value)


def test_a_coding_is_remembered_as_it_was() -> None:
    coding = {"system": f"{TERM}observation-category", "code": "therapy", "display": "Therapy"}
    made = changed(BASES["Observation"], {"category": [{"coding": [coding]}]})
    assert verdict.accepts(made)
    made["category"][0]["coding"][0]["display"] = "Imaging"
    assert not verdict.accepts(made)


POINTING: tuple[tuple[dict[str, Any], bool], ...] = (
    ({"reference": "Patient/1"}, True),
    ({"reference": "https://example.org/fhir/Patient/1"}, True),
    ({"reference": "Practitioner/1"}, False),
    ({"reference": "https://example.org/fhir/Practitioner/1"}, False),
    ({"reference": "Patient/1 "}, False),
    ({"reference": "Patient/1", "type": "Device"}, False),
    ({"reference": ["Patient/1"]}, False),
    ({"reference": "Patient/1", "colour": "red"}, False),
    ({"type": "Patient", "identifier": {"value": "1"}}, True),
    ({"type": "Practitioner", "identifier": {"value": "1"}}, True),
    ({"colour": "red"}, False),
)


@pytest.mark.parametrize(("subject", "taken"), POINTING)
def test_a_reference_alone_is_judged_like_any_other(subject: dict[str, Any], taken: bool) -> None:
    made = changed(BASES["Observation"], {"subject": subject})
    assert verdict.accepts(made) == taken
    assert failed(validate(made)) != taken


def test_the_examples_are_json_to_begin_with() -> None:
    assert all(json.loads(path.read_bytes())["resourceType"] for path in FILES)
