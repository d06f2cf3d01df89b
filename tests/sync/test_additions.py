"""A site's own crosswalk lines, added while everything runs: as lines of a file would be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.app import create_app
from fhirbridge.library import Library
from fhirbridge.outcome import BridgeError
from fhirbridge.sync import additions
from fhirbridge.sync.ingest import work_off
from tests import databases
from tests.sync.ward import MAPPINGS, Ward, chart, patient
from tests.web.sender import SCT, Sender, concept, score

LOCAL = "https://hospital.example.org/catalogue"
SAYS: dict[str, str] = {
    "crosswalk": "score",
    "system": LOCAL,
    "code": "ECOG-KURZ",
    "target": "ecog",
    "by": "nurse",
    "reason": 'told by "IT", 2026',
}
UNKNOWN = score(2, id="u1", code=concept(LOCAL, "ECOG-KURZ"))


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with Ward.open(tmp_path, patient(), chart("c1")) as made:
        made.enrol()
        yield made


def add(ward: Ward, library: Library, **more: str) -> str:
    with ward.registry.unit(ward.site_id) as unit:
        line = additions.add(unit, library, "alpha", **{**SAYS, **more})  # type: ignore[arg-type]
        unit.commit()
    return line.id


def now(ward: Ward, library: Library) -> Any:
    with ward.registry.read(ward.site_id) as unit:
        return additions.mappings(library, unit, "alpha")


def test_a_line_is_seen_by_every_process_with_the_next_message(ward: Ward) -> None:
    one, other = Library(MAPPINGS), Library(MAPPINGS)
    before = now(ward, other)
    assert before is other.of_site("alpha"), "a site without lines of its own costs nothing"
    add(ward, one)
    after = now(ward, other)
    assert after.version != before.version
    assert now(ward, one).version == after.version
    assert now(ward, other) is after, "loaded once a version"


def test_a_line_is_as_one_of_a_file(ward: Ward, tmp_path: Path) -> None:
    library = Library(MAPPINGS)
    receipt = ward.push(UNKNOWN)
    add(ward, library)
    with ward.registry.unit(ward.site_id) as unit:
        message = unit.messages.get(receipt.message_id)
        assert message is not None
        mappings = additions.mappings(library, unit, "alpha")
        again = work_off(unit, mappings, message)
        unit.commit()
    (entry,) = again.entries
    assert (entry.fate, entry.mapping_version) == ("applied", mappings.version)
    assert ward.records() == [{"assessed_on": "2026-03-01", "ecog": 2}]


def test_a_withdrawn_line_is_read_no_more_and_may_be_added_again(ward: Ward) -> None:
    library = Library(MAPPINGS)
    plain = library.of_site("alpha").version
    id = add(ward, library)
    with ward.registry.unit(ward.site_id) as unit:
        unit.crosswalk_lines.withdraw(id, by="nurse", reason="wrong")
        unit.commit()
    assert now(ward, library).version == plain
    with ward.registry.unit(ward.site_id) as unit, pytest.raises(BridgeError, match="before"):
        unit.crosswalk_lines.withdraw(id, by="nurse", reason="wrong")
    assert add(ward, library) != id
    assert now(ward, library).version != plain
    with ward.registry.read(ward.site_id) as unit:
        told = [(one.withdrawn_by, one.withdrawn_reason) for one in unit.crosswalk_lines.all()]
    assert told == [("nurse", "wrong"), (None, None)]


# reason, what the line says, words of the cause
REFUSED: list[tuple[str, dict[str, str], str]] = [
    ("a crosswalk that the study has not", {"crosswalk": "scores"}, "no crosswalk 'scores'"),
    ("a name that is a path", {"crosswalk": "../bone"}, "no name of a crosswalk"),
    ("a target that the study has not", {"target": "ecgo"}, "no row has the field 'ecgo'"),
    ("no target", {"target": ""}, "the target is missing"),
    ("a contradiction", {"crosswalk": "bone", "system": SCT, "code": "71341001", "target": "humerus"}, "already mapped at crosswalks/bone.csv"),
    ("a contradiction of another spelling", {"crosswalk": "bone", "system": f" {SCT} ", "code": "71341001", "target": "humerus"}, "already mapped"),
    ("no code", {"code": " "}, "system or code is missing"),
    ("a check digit", {"system": SCT, "code": "71341002"}, "fails its check digit"),
    ("a line break", {"display": "a\nb"}, "control character"),
    ("a comment", {"system": "# x"}, "a comment"),
    ("no relationship", {"relationship": "like"}, "'like' is no relationship"),
]  # fmt: skip


@pytest.mark.parametrize(("says", "cause"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_a_line_that_a_file_could_not_have_is_refused(
    ward: Ward, says: dict[str, str], cause: str
) -> None:
    library = Library(MAPPINGS)
    with pytest.raises(BridgeError) as told:
        add(ward, library, **says)
    first = next(i for i in told.value.issues if cause in i.cause)
    assert first.policy.status == 422
    assert first.remedy
    assert first.place == "the new line"
    with ward.registry.read(ward.site_id) as unit:
        assert unit.crosswalk_lines.all() == []


def test_a_code_has_one_line(ward: Ward) -> None:
    library = Library(MAPPINGS)
    add(ward, library)
    with pytest.raises(BridgeError, match="has a line in 'score' already") as told:
        add(ward, library)
    assert told.value.policy.status == 409


def test_a_line_that_new_files_contradict_is_named(ward: Ward, tmp_path: Path) -> None:
    library = Library(MAPPINGS)
    id = add(ward, library)
    newer = Library(MAPPINGS)
    file = "source_system,source_code,display,target,relationship,source,note\n"
    newer._texts["sites/alpha/score.csv"] = f"{file}{LOCAL},ECOG-KURZ,,karnofsky,equal,,\n"
    with pytest.raises(BridgeError) as told:
        now(ward, newer)
    assert told.value.issues[0].place == f"crosswalk line {id}"
    with pytest.raises(BridgeError, match="crosswalk withdraw"):
        add(ward, newer, code="OTHER")
    with ward.registry.unit(ward.site_id) as unit:
        unit.crosswalk_lines.withdraw(id, by="nurse", reason="it stands in a file now")
        unit.commit()
    assert now(ward, newer).version != library.of_site("alpha").version


def test_a_line_of_one_site_is_not_that_of_another(tmp_path: Path) -> None:
    app = create_app(databases.settings(tmp_path / "data"))
    doors = [Sender.at(app, name) for name in ("alpha", "beta")]
    for door in doors:
        door.enrol("S-1", "4711")
    service = doors[0].service
    with service.registry.unit(doors[0].site_id) as unit:
        additions.add(unit, service.library, "alpha", **SAYS)  # type: ignore[arg-type]
        unit.commit()
    fates = [door.fates(door.push(UNKNOWN)) for door in doors]
    assert fates == [["applied"], ["quarantined"]]
    service.registry.close()
