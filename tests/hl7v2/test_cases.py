"""The cases of `cases.json` and `more-cases.json` (or of the file of `--hl7v2-cases`), over MLLP: what is answered, what
becomes of the message, what the registry then says, and what waits and where.

What a person would decide is decided: "records" are those with every proposal accepted.
"""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.formats import hl7v2
from fhirbridge.formats.fhir_json import canonical
from fhirbridge.registry.receipts import Receipt
from fhirbridge.sync import hl7v2_door, hl7v2_files, visits
from tests.hl7v2.conftest import Open
from tests.hl7v2.world import HERE, World, identity, read

Case = dict[str, Any]
SYSTEMS = {"I10P": "http://www.cms.gov/Medicare/Coding/ICD10", "C4": "http://www.ama-assn.org/go/cpt",
           "CPTM": "http://www.ama-assn.org/go/cpt-modifiers"}  # fmt: skip


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        given = metafunc.config.getoption("--hl7v2-cases")
        files = [Path(given)] if given else [HERE / "cases.json", HERE / "more-cases.json"]
        cases = [case for file in files for case in read(file)]
        metafunc.parametrize("case", cases, ids=[str(case["id"]) for case in cases])


def test_a_case_does_what_it_expects(case: Case, play: Open) -> None:
    expected = case["expected"]
    with play(case.get("world")) as here:
        codec = case.get("encoding", "utf-8")
        for message in case.get("before", ()):
            here.send(message.encode(codec))
        before = len(here.receipts())
        body = case["message"].encode(codec)
        answers, receipts, reasons = _played(here, body)
        fates = [hl7v2_door.fate(one, fresh=len(here.receipts()) > before) for one in receipts]
        wrong = [*_answered(expected, answers), *_fates(expected, fates)]
        wrong += [*_waits(expected, receipts), *_recorded(expected, here)]
        wrong += [*_told(expected, receipts), *_proposed(expected, here, receipts)]
        if "run" in expected:
            wrong += [] if reasons and reasons[0] in expected["run"] else [f"run: {reasons}"]
    print(f"{case['id']} {case['title']}: {'as expected' if not wrong else '; '.join(wrong)}")
    assert not wrong


def _played(here: World, body: bytes) -> tuple[list[bytes], list[Receipt], tuple[str, ...]]:
    """A message over the socket; a file with a batch by the door of files."""
    if not body.startswith((b"FHS", b"BHS")):
        answers = here.send(body)
        return answers, [_receipt_of(here, body)], ()
    batch = hl7v2_files.read(body)
    receipts = []
    for message in batch.messages:
        with here.registry.unit(here.site_id) as unit:
            mappings = here.library.of_site("A")
            receipts.append(hl7v2_door.take(unit, mappings, here.feed.source, message).receipt)
            unit.commit()
    return [], receipts, batch.reasons


def _receipt_of(here: World, body: bytes) -> Receipt:
    with here.registry.read(here.site_id) as unit:
        _, key = hl7v2_door.key(body)
        message = unit.messages.by_key(here.feed.source, key)
        assert message is not None, "nothing of it is kept"
        receipt = unit.receipts.of_message(message.id)
    assert receipt is not None
    counts = dict(receipt.counts)
    assert counts.pop("received") == sum(counts.values()), "the counts must tie"
    return receipt


def _answered(expected: Case, answers: list[bytes]) -> list[str]:
    wanted = expected["ack"]
    if wanted is None:
        return [f"{len(answers)} answers"] if answers else []
    if len(answers) != 1:
        return [f"{len(answers)} answers"]
    told = hl7v2.decode(answers[0])
    msa = told.one("MSA")
    found = {"code": msa.raw(1), "msa2": msa.raw(2)}
    wrong = [f"{n}: {found[n]}" for n in found if n in wanted and found[n] != wanted[n]]
    errors = [{"loc": e.raw(2), "code": e.text(3), "severity": e.raw(4)} for e in told.every("ERR")]
    wrong += [f"no ERR {one} in {errors}" for one in wanted.get("err", ()) if one not in errors]
    return wrong


def _fates(expected: Case, fates: list[str]) -> list[str]:
    return [f"fate {fates}" for _ in "1" if {*fates} != {expected["fate"]}]


def _waits(expected: Case, receipts: list[Receipt]) -> list[str]:
    """Each thing that is expected to wait does, at its place, and nothing else does."""
    found = {
        issue.place
        for receipt in receipts
        for entry in receipt.entries
        for issue in entry.issues
        if issue.severity == "error" and issue.category != "review" and entry.fate != "refused"
    }
    wanted = {one["at"] for one in expected.get("quarantine", ())}
    wrong = [f"waits not: {at}" for at in sorted(wanted - found)]
    return wrong + [f"waits: {at}" for at in sorted(found - wanted)]


def _recorded(expected: Case, here: World) -> list[str]:
    with here.registry.read(here.site_id) as unit:
        names = {one.id: one.study_id for one in unit.subjects.all()}
        numbers = {one.id: unit.subjects.told(one.id) for one in unit.subjects.all()}
    forms = here.library.of_site("A").study.forms
    left = [
        one
        for one in here.records()
        if identity(one) not in here.seeded and one.fields.keys() - {*forms[one.form].key}
    ]
    wanted = list(expected.get("records", ()))
    ids = {
        f"{system}|{value} ({'old' if old else 'current'})": names[id]
        for id, pairs in numbers.items()
        for system, value, old in pairs
    }
    study, held = here.library.of_site("A").study, here.records()
    courses = {
        id: visits.course(study, [one for one in held if one.subject_id == id]) for id in names
    }
    wrong = []
    for one in wanted:
        found = next((r for r in left if _fits(one, r, names, courses)), None)
        held = one["fields"].get("hospital_ids")
        if held is not None:
            wrong += [f"no number {n}" for n in held if ids.get(n) != one["subject"]]
        elif found is None:
            wrong.append(
                f"no {one['form']} {one.get('fields')} in {[dict(r.fields) for r in left]}"
            )
        else:
            left.remove(found)
    # What of a subject the message says besides, and records of messages before, may stand.
    extra = [r for r in left if r.form != "subject" and not _of_before(expected, r)]
    return wrong + [f"and {r.form} {dict(r.fields)}" for r in extra]


def _of_before(expected: Case, record: Any) -> bool:
    """Another day's assessment, where the case is about one day."""
    days = {str(o["fields"].get("assessed_on")) for o in expected["records"]}
    return record.form == "assessment" and str(record.fields.get("assessed_on"))[:10] not in days


def _fits(
    wanted: Case, record: Any, names: dict[str, str], courses: dict[str, visits.Course]
) -> bool:
    if record.form != wanted["form"] or names[record.subject_id] != wanted["subject"]:
        return False
    fields = dict(courses[record.subject_id].fields(record))
    absent = wanted.get("absent", {})
    values = all(_equal(n, v, fields) for n, v in wanted["fields"].items())
    return values and all(fields.get(n) == {"absent": why} for n, why in absent.items())


def _equal(name: str, value: Any, fields: dict[str, Any]) -> bool:
    held = fields.get(name)
    if name == "dose" and isinstance(value, str):
        return value == f"{held} {fields.get('dose_unit')}"
    if isinstance(held, list):
        codes = {f"{_short(one['system'])}|{one['value']}" for one in held}
        return codes >= {*value} if isinstance(value, list) else value in {o["value"] for o in held}
    if isinstance(held, Decimal | int) and not isinstance(held, bool):
        return str(held) == str(value)
    plain = str(held).replace("_", " ").lower()
    return plain == str(value).replace("_", " ").lower() or _same_day(value, held)


def _same_day(value: Any, held: Any) -> bool:
    day = re.fullmatch(r"\d{4}-\d\d-\d\d", str(value))
    return bool(day) and str(held).startswith(f"{value}T")


def _short(system: str) -> str:
    return next((name for name, uri in SYSTEMS.items() if uri == system), system)


def _told(expected: Case, receipts: list[Receipt]) -> list[str]:
    """Each warning and each thing that is not read has a line in the receipt."""
    issues = [i for r in receipts for e in r.entries for i in e.issues]
    told = [f"{issue.place} {issue.cause}" for issue in issues]
    wrong = []
    for text in (*expected.get("warnings", ()), *expected.get("unread", ())):
        places = re.findall(r"[A-Z][A-Z0-9]{2}\[\d+\]|(?<![A-Z])[A-Z][A-Z0-9]{2}(?![A-Z0-9])", text)
        words = places or re.findall(r"[A-Z]{2}|\w+ id", text)
        if words and not any(word in line for word in words[:1] for line in told):
            wrong.append(f"nothing told of '{text}'")
    return wrong


def _proposed(expected: Case, here: World, receipts: list[Receipt]) -> list[str]:
    with here.registry.read(here.site_id) as unit:
        waiting = {(p.field, canonical({"v": p.value})) for p in unit.proposals.waiting()}
    wanted = {
        (one["field"].partition(".")[2], canonical({"v": one["value"]}))
        for one in expected.get("proposals", ())
    }
    return [f"not proposed: {name}" for name, value in wanted if (name, value) not in waiting]
