"""References between records: known by what the source has shown, never guessed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.fhir.bundle import Entry
from fhirbridge.formats import fhir_json
from fhirbridge.registry.receipts import Receipt
from fhirbridge.sync.ingest import Incoming, ingest
from fhirbridge.sync.references import targets_first
from tests.sync.ward import Ward, match, page, patient
from tests.web.sender import SCT, Resource, bundle, concept, lesion, whose

URN = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with Ward.open(tmp_path, patient()) as made:
        made.enrol()
        yield made


def operation(reason: str, **more: Any) -> Resource:
    return {
        "resourceType": "Procedure",
        "id": "op1",
        "status": "completed",
        "code": concept(SCT, "89344001"),
        "subject": whose(),
        "performedDateTime": "2026-02-10",
        "reasonReference": [{"reference": reason}],
        **more,
    }


def push(ward: Ward, made: Resource, key: str = "k") -> Receipt:
    with ward.registry.unit(ward.site_id) as unit:
        incoming = Incoming("client:engine", "push/Bundle", key, fhir_json.dump(made))
        receipt = ingest(unit, ward.hospital.mappings, incoming).receipt
        unit.commit()
    return receipt


def lesions(ward: Ward) -> list[Any]:
    return [one.get("lesions") for one in ward.records("surgery")]


def causes(receipt: Receipt) -> str:
    return " ".join(issue.cause for line in receipt.entries for issue in line.issues)


def test_a_target_later_in_the_bundle_is_read_before(ward: Ward) -> None:
    made = bundle(operation(URN), lesion())
    made["entry"][1]["fullUrl"] = URN
    receipt = push(ward, made)
    assert [line.fate for line in receipt.entries] == ["applied", "applied"]
    assert lesions(ward) == [["L-1"]]


@pytest.mark.parametrize("name", ["Condition/c1", "Condition/c1/_history/3"])
def test_a_target_of_an_earlier_message_is_known_by_its_id(ward: Ward, name: str) -> None:
    ward.push(lesion(id="c1"))
    ward.push(operation(name))
    assert lesions(ward) == [["L-1"]]


@pytest.mark.parametrize(
    "reason", ["Condition/77", "https://hospital.example.org/fhir/Condition/77"]
)
def test_a_target_of_the_same_bundle_is_known_by_its_full_url_and_its_id(
    ward: Ward, reason: str
) -> None:
    made = bundle(operation(reason), lesion(id="77"))
    for one in made["entry"]:
        name = f"{one['resource']['resourceType']}/{one['resource']['id']}"
        one["fullUrl"] = f"https://hospital.example.org/fhir/{name}"
    push(ward, made)
    assert lesions(ward) == [["L-1"]]


def test_a_target_of_our_own_view_is_known(ward: Ward) -> None:
    receipt = ward.push(lesion(id="c1"))
    with ward.registry.read(ward.site_id) as unit:
        own = unit.resources.of_record(receipt.entries[0].record_id or "")[0]
    ward.push(operation(f"Condition/{own.fhir_id}"))
    assert lesions(ward) == [["L-1"]]


def test_of_a_target_of_two_records_the_one_that_is_meant_is_taken(ward: Ward) -> None:
    codings = [{"system": SCT, "code": code} for code in ("254837009", "94222008")]
    ward.push(lesion(id="c1", identifier=[{"value": "1"}], code={"coding": codings}))
    assert len(ward.records("primary_cancer")) == 1
    ward.push(operation("Condition/c1"))
    assert lesions(ward) == [[ward.records("lesion")[0]["lesion_id"]]]


def test_an_unknown_target_waits_as_a_part_and_is_not_replayed_by_itself(ward: Ward) -> None:
    receipt = ward.push(operation("Condition/c1"))
    assert (receipt.entries[0].fate, lesions(ward)) == ("applied", [None])
    assert "Condition/c1 is not known here" in causes(receipt)
    ward.push(lesion(id="c1"))
    assert (lesions(ward), [held.part for held in ward.held()]) == ([None], [1])
    ward.push(operation("Condition/c1"), lesion(id="c1"))
    assert (lesions(ward), ward.held()) == ([["L-1"]], [])


def test_a_target_that_waits_itself_is_not_known(ward: Ward) -> None:
    ward.push(lesion(id="c1", code=concept("urn:local", "KM-FEM")))
    receipt = ward.push(operation("Condition/c1"))
    assert "is not known here" in causes(receipt)


def test_a_target_that_is_not_for_the_study_is_no_fault(ward: Ward) -> None:
    """An arthrosis, and a type that nobody reads."""
    ward.push(lesion(id="c1", code=concept(SCT, "94225005")))
    receipt = ward.push(operation("Condition/c1"))
    assert (receipt.entries[0].issues, lesions(ward), ward.held()) == ((), [None], [])
    receipt = ward.push(operation("DocumentReference/7"))
    assert (receipt.entries[0].fate, ward.held()) == ("unchanged", [])


def test_another_persons_lesion_is_never_this_persons(ward: Ward) -> None:
    ward.enrol("S-2", "4712")
    ward.push(lesion(id="c1", subject=whose("4712")))
    receipt = ward.push(operation("Condition/c1"))
    assert lesions(ward) == [None]
    assert "is not known here" in causes(receipt)


@pytest.mark.parametrize("base", ["", "HERE/", "https://elsewhere.example.org/fhir/"])
def test_a_pulled_reference_is_of_the_server_that_it_came_from(ward: Ward, base: str) -> None:
    reason = f"{base.replace('HERE', ward.hospital.base)}Condition/c1"
    of_p1 = {"subject": {"reference": "Patient/p1"}}
    ward.put({**lesion(id="c1"), **of_p1})
    ward.sandbox.fail("GET /fhir/Procedure", hook=page(match({**operation(reason), **of_p1})))
    assert ward.pull().state == "complete"
    assert lesions(ward) == ([None] if "elsewhere" in base else [["L-1"]])


def entry(position: int, id: str, *wanted: str) -> tuple[Entry, None]:
    made = {"resourceType": "Condition", "id": id}
    references = [{"reference": f"Condition/{name}"} for name in wanted]
    return Entry(position, {**made, "evidence": [{"detail": references}]}, ""), None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([("a", "b"), ("b", "c"), ("c",)], "cba"),
        ([("a",), ("b", "a"), ("c", "a", "b")], "abc"),
        ([("a", "c", "b"), ("b",), ("c",)], "bca"),
        ([("a", "elsewhere"), ("b",)], "ab"),
        ([("a", "a"), ("b",)], "ab"),
        ([("a", "b"), ("b", "a"), ("c", "a")], "bac"),
    ],
    ids=["a chain", "in order", "two targets", "nobody here", "itself", "a circle"],
)
def test_what_is_referred_to_comes_first(given: list[tuple[str, ...]], expected: str) -> None:
    pairs = [entry(n, id, *wanted) for n, (id, *wanted) in enumerate(given)]
    ordered = [one.resource["id"] for one, _ in targets_first(pairs) if one.resource]
    assert "".join(ordered) == expected


def test_a_chain_as_long_as_a_message_is_ordered() -> None:
    pairs = [entry(n, str(n), str(n + 1)) for n in range(5_000)]
    assert [one.position for one, _ in targets_first(pairs)] == [*reversed(range(5_000))]
