"""The coverage forecast of sample files: what can be had of them, and what blocks, by the receipts
of a rehearsal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from fhirbridge.formats import fhir_json
from fhirbridge.library import Library
from fhirbridge.outcome import BridgeError
from fhirbridge.registry.sites import Site
from fhirbridge.registry.store import Registry
from fhirbridge.sync.forecast import report
from fhirbridge.sync.forecast.rehearse import forecast
from fhirbridge.sync.forecast.sample import File, kind_of
from fhirbridge.sync.forecast.told import Having, Told
from tests import databases
from tests.hl7v2 import world
from tests.hl7v2.test_listener import message
from tests.web.sender import LOINC, Resource, bundle, concept, lesion, person, score
from tests.web.test_rehearsals import only_the_trail_grows

TABLE = (
    b"study_id,assessed_on,pain_rest,ambulation\r\n"
    b"S-1,2026-03-01,4,Stock\r\n"
    b"S-1,2026-03-02,99,Stock\r\n"
    b"S-2,2026-03-02,,independent\r\n"
)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Of a site whose HL7 v2 feed is known, and whose codes are, but for some."""
    return world.library(tmp_path_factory.mktemp("site"), world.read(world.WORLD))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    made = Registry.open(databases.url(tmp_path), key=b"k" * 32)
    yield made
    made.close()


def site(registry: Registry, consent: str = "enrolment") -> Site:
    with registry.unit(None) as unit:
        made = unit.sites.add(world.SITE, consent=consent)  # type: ignore[arg-type]
        unit.commit()
    return made


def told(
    registry: Registry, library: Library, files: Sequence[File], consent: str = "enrolment"
) -> Told:
    """The forecast, of which nothing is kept."""
    known = site(registry, consent)
    with only_the_trail_grows(registry):
        return forecast(
            registry,
            known,
            lambda _: library.of_site(world.SITE),
            files,
            rows=100,
            by="command line",
        )


def having(one: Told, name: str) -> Having:
    return next(f for f in one.fields if f"{f.form}.{f.field}" == name)


def test_a_table_says_what_its_columns_give(registry: Registry, library: Library) -> None:
    made = told(registry, library, [File("a.csv", TABLE, "assessment")])
    rest = having(made, "assessment.pain_rest")
    assert (rest.sources, rest.had, rest.of, rest.why_not) == (("column pain_rest",), 1, 3, "")
    assert having(made, "assessment.assessed_on").had == 3
    assert having(made, "assessment.ecog").why_not == "nothing in the sample gives it"
    assert made.strangers == 2
    assert {one.form for one in made.fields} == {"assessment"}


def test_what_blocks_most_stands_first_with_what_lets_it_in(
    registry: Registry, library: Library
) -> None:
    first, second = told(registry, library, [File("a.csv", TABLE, "assessment")]).blocks
    assert (first.category, first.code, first.blocks) == ("unknown-code", "Stock", 2)
    assert first.places == ("a.csv D2", "a.csv D3")
    assert [line.partition(" TARGET")[0] for line in first.add] == [
        "fhirbridge crosswalk add ambulation 'words|Stock'"
    ]
    assert (second.blocks, second.code, second.places) == (1, "", ("a.csv C3",))


def sample() -> list[Resource]:
    local = {"system": "urn:local", "code": "X9"}
    return [
        person(id="p"),
        score(6, id="o1", subject={"reference": "Patient/p"}),
        lesion(id="c1", code={"coding": [local]}),
        lesion(id="c2", identifier=[{"system": "urn:l", "value": "2"}], code={"coding": [local]}),
        lesion(id="c3", identifier=[{"system": "urn:l", "value": "3"}]),
    ]


@pytest.mark.parametrize("form", ["push", "ndjson", "searchset", "collection"])
def test_fhir_says_by_which_element(registry: Registry, library: Library, form: str) -> None:
    if form == "ndjson":
        file = File("a.ndjson", b"\n".join(map(fhir_json.dump, sample())))
    else:
        made: Resource = bundle(*sample())
        if form != "push":
            given = [one["resource"] for one in made["entry"]]
            base = "https://hospital.example.org/fhir"
            entries = [
                {"fullUrl": f"{base}/{one['resourceType']}/{one['id']}", "resource": one}
                for one in given
            ]
            made = {**made, "type": form, "entry": entries}
        else:
            made = {**made, "type": "batch"}
        file = File("a.json", fhir_json.dump(made))
    one = told(registry, library, [file])
    rest = having(one, "assessment.pain_rest")
    assert (rest.sources, rest.had, rest.of) == (("Observation.valueInteger",), 1, 1)
    assert having(one, "lesion.bone").had == 1
    (block,) = one.blocks
    assert (block.code, block.blocks) == ("urn:local|X9", 2)
    assert "fhirbridge crosswalk add metastasis 'urn:local|X9' TARGET" in " ".join(block.add)


def test_hl7v2_says_by_which_segment(registry: Registry, library: Library) -> None:
    body = message("A", 4, 5) + message("B", 3, code="XPAIN") + message("C", 2, code="XPAIN")
    one = told(registry, library, [File("a.hl7", body)])
    rest = having(one, "assessment.pain_rest")
    assert (rest.had, rest.of) == (2, 2)
    assert [source.partition(" ")[0] for source in rest.sources] == ["OBX-5"]
    (block,) = one.blocks
    assert block.blocks == 2
    assert block.code.endswith("|XPAIN")
    assert one.strangers == 1


def test_several_files_are_one_sample(registry: Registry, library: Library) -> None:
    files = [File("a.hl7", message("A", 4)), File("a.csv", TABLE, "assessment")]
    one = told(registry, library, files)
    assert dict(one.files) == {"a.hl7": "hl7v2", "a.csv": "table"}
    assert len(having(one, "assessment.pain_rest").sources) == 2


def test_a_consent_that_must_come_first_is_taken_as_given(
    registry: Registry, library: Library
) -> None:
    one = told(registry, library, [File("a.csv", TABLE, "assessment")], consent="record")
    assert having(one, "assessment.pain_rest").had == 1
    assert "consent must come first" in one.notes[0]
    with registry.read(None) as unit:
        assert unit.sites.by_name(world.SITE).consent == "record"


def test_a_code_that_no_crosswalk_takes_has_no_line(registry: Registry, library: Library) -> None:
    slip = {**score(4), "code": concept(LOINC, "72514-4")}  # its check digit is 3
    (block,) = told(registry, library, [File("a.json", fhir_json.dump(slip))]).blocks
    assert "check digit" in block.cause
    assert block.add == ()


def test_what_is_no_sample_is_refused_with_its_place(registry: Registry, library: Library) -> None:
    known = site(registry)
    files = [File("a.bin", b"\x00\x01nothing")]
    with only_the_trail_grows(registry, events=0), pytest.raises(BridgeError) as refused:
        forecast(registry, known, lambda _: library.of_site("A"), files, rows=9, by="t")
    assert refused.value.issues[0].place == "a.bin"


def test_a_file_is_known_by_its_bytes() -> None:
    assert kind_of(File("x", b"\xef\xbb\xbfMSH|^~\\&|")) == "hl7v2"
    assert kind_of(File("x", b' {"resourceType"')) == "fhir"
    assert kind_of(File("x.ndjson", b'{"resourceType"')) == "ndjson"
    assert kind_of(File("x", b"study_id,a")) == "table"


def test_it_is_told_as_lines_json_and_markdown(registry: Registry, library: Library) -> None:
    one = told(registry, library, [File("a.csv", TABLE, "assessment")])
    text = "\n".join(report.lines(one))
    assert "assessment.pain_rest: 1 of 3 from column pain_rest" in text
    assert "$ fhirbridge crosswalk add ambulation" in text
    assert report.as_json(one)["blocks"][0]["blocks"] == 2
    page = report.markdown(one, registry.now())
    assert "| `assessment.pain_rest` | column pain_rest | 1 of 3 |" in page
