"""Resources as they really come, pushed over HTTP: each lands as the case says, and what waits for a
code is mended by a crosswalk line and read again, without being sent again.

The cases are those of tests/mapping/variation-cases.json, or of the file of `--variation-cases`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.app import create_app
from fhirbridge.formats import fhir_json
from fhirbridge.mapping.decode import decode
from fhirbridge.outcome import failed
from fhirbridge.study import records
from fhirbridge.study.records import Record
from fhirbridge.sync import additions
from fhirbridge.sync.replay import Report, Selection, replay
from fhirbridge.sync.said import Said, together
from tests import databases
from tests.mapping.files import mappings
from tests.mapping.test_variation import CASES
from tests.mapping.variation import completed
from tests.sync.ward import MAPPINGS
from tests.web.sender import SCT, Resource, Sender, person

FATES = {"record": "applied", "hold": "quarantined", "refuse": "refused", "withdraw": "unchanged"}
UNLISTED = re.compile(
    r"(?P<codes>\S+\|.+?) is (?:in none of the|not in the) crosswalks? (?P<walks>.+)"
)
# Of several crosswalks that a code could belong to, the hospital is taken to have meant the first.
MEANT = ("score", "procedure", "metastasis")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        given = metafunc.config.getoption("--variation-cases")
        cases = fhir_json.read(Path(given or CASES).read_bytes())
        metafunc.parametrize("case", cases, ids=[str(case["id"]) for case in cases])


class Ward:
    """One site; each resource is of a person of its own, so that no case disputes another."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self.numbers = count(1)

    def push(self, resource: Resource) -> tuple[int, Resource]:
        """The HTTP status and the receipt."""
        number = next(self.numbers)
        self.sender.enrol(f"S-{number}", str(number))
        assert self.sender.push(person(str(number), id=f"p{number}")).status_code == 200
        whole = completed(resource)
        whose = {"reference": f"Patient/p{number}"}
        whole |= {name: whose for name in ("subject", "patient") if name in whole}
        url = str(whole.get("resourceType", "Basic"))
        entry = {"resource": whole, "request": {"method": "POST", "url": url}}
        body = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
        answer = self.sender("POST", "/fhir", body)
        return answer.status_code, self.sender.receipt(answer)

    def receipt(self, id: str) -> Resource:
        told: Resource = self.sender("GET", f"/receipts/{id}").get_json()
        return told

    def add(self, crosswalk: str, code: str, target: str = "") -> None:
        system, _, value = code.rpartition("|")
        service = self.sender.service
        with service.registry.unit(self.sender.site_id) as unit:
            additions.add(
                unit,
                service.library,
                self.sender.site,
                crosswalk=crosswalk,
                system=system,
                code=value,
                target=target or a_word(crosswalk),
                by="nurse",
                reason="told by the hospital",
            )
            unit.commit()

    def replay(self, code: str) -> Report:
        service, site = self.sender.service, self.sender.site
        return replay(
            service.registry,
            self.sender.site_id,
            lambda unit: additions.mappings(service.library, unit, site),
            Selection(codes=frozenset({code})),
        )


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    app = create_app(databases.settings(tmp_path_factory.mktemp("variation"), kept=True, rate=""))
    made = Ward(Sender.at(app, "alpha"))
    yield made
    made.sender.service.registry.close()


def a_word(crosswalk: str) -> str:
    """A word that the study's own lines of the crosswalk read."""
    with (MAPPINGS / "crosswalks" / f"{crosswalk}.csv").open(encoding="utf-8") as file:
        return next(row["target"] for row in csv.DictReader(file) if row["target"])


def resources(case: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in (case, *case.get("more", ())) if one.get("resource")]


def issues(receipt: Resource) -> list[Resource]:
    return [*receipt["issues"], *(i for entry in receipt["entries"] for i in entry["issues"])]


def unlisted(receipt: Resource) -> Iterator[tuple[str, str]]:
    """Crosswalk and code of each whole entry that waits for a line."""
    for entry in receipt["entries"]:
        for issue in entry["issues"] if entry["fate"] == "quarantined" else ():
            told = UNLISTED.fullmatch(issue["cause"])
            if issue["category"] == "unknown-code" and told:
                walks = re.findall(r"[\w-]+", told["walks"])
                walk = next((name for name in MEANT if name in walks), walks[0])
                yield walk, told["codes"].split(", ")[0]


def test_a_case_lands_as_it_says(ward: Ward, case: dict[str, Any]) -> None:
    for one in resources(case):
        status, receipt = ward.push(one["resource"])
        fates = [entry["fate"] for entry in receipt["entries"]]
        print(case["id"], case["expected"], status, fates, *issues(receipt), sep="\n  ")
        assert status in (200, 400)
        if set(fates) - {"applied", "unchanged"}:
            assert [i for i in issues(receipt) if i["cause"] and i.get("remedy")]
        if "reads" in one:
            agrees(one, status, receipt)


def agrees(case: dict[str, Any], status: int, receipt: Resource) -> None:
    reads = case["reads"]
    fates = {entry["fate"] for entry in receipt["entries"]}
    if reads["judge"]:
        assert (status, receipt["state"], fates) == (400, "refused", {"refused"})
        return
    assert (status, receipt["state"]) == (200, "done")
    facts = decode(mappings(), completed(case["resource"]), source="")
    assert fates == {lands(said) for said in together(mappings(), facts)} | {
        FATES[fact["fate"]] for fact in reads["facts"] if fact["fate"] != "record"
    }
    told = {issue["cause"] for issue in issues(receipt)}
    for fact in reads["facts"]:
        for sentence in fact["says"] if fact["fate"] in ("hold", "refuse") else ():
            assert any(cause in sentence for cause in told), sentence


def lands(said: Said) -> str:
    """A record, where the study allows it; what a person looks at first counts for nothing yet, and
    a value that lacks another one waits alone (decision 0027)."""
    study = mappings().study
    seen = {n: v for n, v in said.fields.items() if not said.traces[n].review}
    wrong = records.check(study, Record("S-1", said.form, seen))
    lacking = {i.expression for i in wrong if i.category == "required"} - {
        *study.form(said.form).required
    }
    left = {n: v for n, v in seen.items() if n not in lacking}
    wrong = records.check(study, Record("S-1", said.form, left))
    return "quarantined" if failed(wrong) else "applied"


def test_what_waits_for_a_code_is_mended_without_sending_it_again(
    ward: Ward, case: dict[str, Any]
) -> None:
    for one in resources(case):
        _, receipt = ward.push(one["resource"])
        for walk, code in dict.fromkeys(unlisted(receipt)):
            if "check digit" in str(issues(receipt)):
                continue  # the code is wrong at its source: no line can mend it
            before = {entry["fate"] for entry in receipt["entries"]}
            assert before == {"quarantined"}
            ward.add(walk, code)
            report = ward.replay(code)
            assert receipt["message_id"] in [told.message_id for told in report.outcomes]
            after = ward.receipt(receipt["id"])
            assert code not in " ".join(issue["cause"] for issue in issues(after))


# Case, the line that the hospital would tell, and the date that the public excerpt leaves out.
MENDED = [
    ("V10", "score", "eq5d_vas", {"effectiveDateTime": "2026-03-01"}),
    ("V13", "score", "pain_rest", {"effectiveDateTime": "2026-03-01"}),
    ("V49", "procedure", "plate", {"performedDateTime": "2026-03-01"}),
]


@pytest.mark.parametrize(("id", "walk", "target", "date"), MENDED, ids=[m[0] for m in MENDED])
def test_a_resource_with_a_local_code_is_applied_after_its_line(
    tmp_path: Path, id: str, walk: str, target: str, date: dict[str, str]
) -> None:
    ward = Ward(Sender.at(create_app(databases.settings(tmp_path)), "alpha"))
    case = next(one for one in fhir_json.read(CASES.read_bytes()) if one["id"] == id)
    _, receipt = ward.push({**case["resource"], **date})
    ((_, code),) = dict.fromkeys(unlisted(receipt))
    assert ward.sender.records() == []
    ward.add(walk, code, target)
    (outcome,) = ward.replay(code).outcomes
    assert [(one.before, one.after) for one in outcome.entries] == [("quarantined", "applied")]
    (entry,) = ward.receipt(receipt["id"])["entries"]
    assert entry["fate"] == "applied"
    (made,) = ward.sender.records()
    assert target in made or made["procedure"] == target
    assert ward.sender.waiting() == 0
    ward.sender.service.registry.close()


# Case, which of its resources, the lines that the hospital would tell of codes that the study knows
# and cannot decide, and what the public excerpt leaves out.
DECIDED: list[tuple[str, int, list[tuple[str, str, str]], dict[str, Any]]] = [
    ("V01", 0, [("score", "http://loinc.org|72514-3", "pain_rest")], {"valueQuantity": {"value": 4}}),
    ("V02", 0, [("score", "http://loinc.org|38208-5", "pain_activity")], {}),
    ("V04", 0, [("score", "http://loinc.org|38208-5", "pain_rest")], {}),
    ("V05", 0, [("score", "http://loinc.org|98137-3", "pain_rest")], {"effectiveDateTime": "2026-03-01"}),
    ("V07", 0, [("score", f"{SCT}|1144798005", "pain_rest"), ("pain-grade", f"{SCT}|76948002", "8")], {}),
    ("V07", 1, [("pain-grade", f"{SCT}|76948002", "8")], {}),
    ("V31", 0, [("imaging-study", f"{SCT}|44491008", "imaging"), ("modality", f"{SCT}|44491008", "bone_scan")], {}),
    ("V40", 0, [("metastasis", "http://hl7.org/fhir/sid/icd-10-cm|M84.551A", "bone-metastasis")], {}),
    ("V41", 2, [("laterality", f"{SCT}|66459002", "right")], {}),
]  # fmt: skip


def ambiguous(receipt: Resource) -> list[str]:
    """Causes for which something waits: a code that the study knows and cannot decide."""
    waits = [i for i in issues(receipt) if i["category"] == "business-rule"]
    return [i["cause"] for i in waits if "does not say which" in i["cause"]]


@pytest.mark.parametrize(
    ("id", "number", "lines", "more"), DECIDED, ids=[f"{row[0]}-{row[1]}" for row in DECIDED]
)
def test_a_code_that_the_study_cannot_decide_is_decided_by_the_site(
    tmp_path: Path, id: str, number: int, lines: list[tuple[str, str, str]], more: dict[str, Any]
) -> None:
    ward = Ward(Sender.at(create_app(databases.settings(tmp_path)), "alpha"))
    case = next(one for one in fhir_json.read(CASES.read_bytes()) if one["id"] == id)
    _, receipt = ward.push({**resources(case)[number]["resource"], **more})
    assert ambiguous(receipt)
    assert ward.sender.waiting() == 1
    for walk, code, target in lines:
        ward.add(walk, code, target)
    for code in dict.fromkeys(code for _, code, _ in lines):
        ward.replay(code)
    after = ward.receipt(receipt["id"])
    assert after["entries"][0]["fate"] == "applied"
    assert [issue for issue in issues(after) if issue["severity"] == "error"] == []
    (made,) = ward.sender.records()
    told = [*made, *map(str, made.values())]
    kept = {"bone-metastasis", "imaging"}  # what makes a resource one of the study is no field
    assert {target for _, _, target in lines} - kept <= set(told)
    assert ward.sender.waiting() == 0
    ward.sender.service.registry.close()


def test_these_are_all_cases_that_the_study_cannot_decide(tmp_path: Path) -> None:
    ward = Ward(Sender.at(create_app(databases.settings(tmp_path, rate="")), "alpha"))
    found = {
        (case["id"], number)
        for case in fhir_json.read(CASES.read_bytes())
        for number, one in enumerate(resources(case))
        if ambiguous(ward.push(one["resource"])[1])
    }
    ward.sender.service.registry.close()
    assert found == {(id, number) for id, number, *_ in DECIDED}


def test_these_are_all_cases_that_wait_for_a_line(tmp_path: Path) -> None:
    ward = Ward(Sender.at(create_app(databases.settings(tmp_path, rate="")), "alpha"))
    waiting = {
        case["id"]
        for case in fhir_json.read(CASES.read_bytes())
        for one in resources(case)
        for receipt in [ward.push(one["resource"])[1]]
        if any(True for _ in unlisted(receipt)) and "check digit" not in str(issues(receipt))
    }
    ward.sender.service.registry.close()
    assert waiting == {id for id, *_ in MENDED}
