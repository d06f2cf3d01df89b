"""Selective replay: by cause, code or message; rehearsed first, with the difference."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fhirbridge.formats import fhir_json
from fhirbridge.library import Library
from fhirbridge.outcome import BridgeError
from fhirbridge.registry.receipts import Receipt
from fhirbridge.registry.unit import Unit
from fhirbridge.sync import additions
from fhirbridge.sync.ingest import Incoming, ingest
from fhirbridge.sync.replay import EntryChange, FieldChange, Report, Selection, replay
from tests.sync.test_consent import consent, everything
from tests.sync.ward import MAPPINGS, Ward, patient
from tests.web.sender import concept, score, whose

LOCAL = "https://hospital.example.org/catalogue"
DAY = "2026-03-02"


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with Ward.open(tmp_path, patient()) as made:
        made.enrol()
        yield made


@pytest.fixture
def library() -> Library:
    return Library(MAPPINGS)


@pytest.fixture
def waiting(ward: Ward) -> dict[str, Receipt]:
    """By what each message waits for."""
    return {
        "ecog": ward.push(score(3, id="o1"), score(2, id="u1", code=concept(LOCAL, "ECOG-KURZ"))),
        "pain": ward.push(score(4, id="u2", code=concept(LOCAL, "NRS"), effectiveDateTime=DAY)),
        "person": ward.push(score(5, id="o3", subject=whose("4712"))),
    }


def untold(dump: str) -> str:
    """Without the audit trail, which tells of rehearsals, too."""
    lines = dump.splitlines()
    return "\n".join(line for line in lines if not line.startswith("audit"))


def learn(ward: Ward, library: Library, code: str = "ECOG-KURZ", target: str = "ecog") -> None:
    says = {"crosswalk": "score", "system": LOCAL, "code": code, "target": target}
    with ward.registry.unit(ward.site_id) as unit:
        additions.add(unit, library, "alpha", **says, by="nurse", reason="told")  # type: ignore[arg-type]
        unit.commit()


def run(ward: Ward, library: Library, selection: Selection, *, rehearse: bool = False) -> Report:
    def mappings(unit: Unit):  # type: ignore[no-untyped-def]
        return additions.mappings(library, unit, "alpha")

    return replay(ward.registry, ward.site_id, mappings, selection, rehearse=rehearse)


# reason, selection, the messages that are read
CHOSEN: list[tuple[str, dict[str, frozenset[str]], list[str]]] = [
    ("all", {}, ["ecog", "pain", "person"]),
    ("of a cause", {"causes": frozenset({"unknown-code"})}, ["ecog", "pain"]),
    ("of another cause", {"causes": frozenset({"unknown-subject"})}, ["person"]),
    ("of a code", {"codes": frozenset({f"{LOCAL}|NRS"})}, ["pain"]),
    ("of a part of a code", {"codes": frozenset({f"{LOCAL}|NR"})}, []),
    ("of cause and code", {"causes": frozenset({"conflict"}), "codes": frozenset({f"{LOCAL}|NRS"})}, []),
]  # fmt: skip


@pytest.mark.parametrize(("words", "read"), [c[1:] for c in CHOSEN], ids=[c[0] for c in CHOSEN])
def test_only_what_was_asked_for_is_read_again(
    ward: Ward,
    library: Library,
    waiting: dict[str, Receipt],
    words: dict[str, frozenset[str]],
    read: list[str],
) -> None:
    report = run(ward, library, Selection(**words))  # type: ignore[arg-type]
    assert [one.message_id for one in report.outcomes] == [waiting[n].message_id for n in read]
    assert (report.waited, report.waits, report.failed) == (3, 3, ())


def test_a_message_may_be_named(ward: Ward, library: Library, waiting: dict[str, Receipt]) -> None:
    id = waiting["pain"].message_id
    report = run(ward, library, Selection(messages=(id, id)))
    assert [one.message_id for one in report.outcomes] == [id]
    both = Selection(causes=frozenset({"unknown-subject"}), messages=(id,))
    assert run(ward, library, both).outcomes == ()
    with pytest.raises(BridgeError, match="no message with this id"):
        run(ward, library, Selection(messages=(id, "unknown")))


def test_a_rehearsal_tells_the_difference_and_changes_nothing(
    ward: Ward, library: Library, waiting: dict[str, Receipt]
) -> None:
    learn(ward, library)
    before = everything(ward)
    rehearsed = run(ward, library, Selection(), rehearse=True)
    assert untold(everything(ward)) == untold(before)
    assert (rehearsed.waited, rehearsed.waits) == (3, 3)
    told = {one.message_id: (one.entries, one.fields) for one in rehearsed.outcomes}
    (record,) = {one.record_id for one in waiting["ecog"].entries if one.record_id}
    assert told == {
        waiting["ecog"].message_id: (
            (EntryChange(1, 0, "Observation", "quarantined", "applied"),),
            (FieldChange(record, "assessment", "ecog", None, 2),),
        ),
        waiting["pain"].message_id: ((), ()),
        waiting["person"].message_id: ((), ()),
    }
    done = run(ward, library, Selection())
    assert {one.message_id: (one.entries, one.fields) for one in done.outcomes} == told
    assert (done.waited, done.waits) == (3, 2)
    assert {"assessed_on": "2026-03-01", "pain_rest": 3, "ecog": 2} in ward.records()


def test_a_message_that_fails_does_not_stop_the_others(
    ward: Ward, library: Library, waiting: dict[str, Receipt]
) -> None:
    body = fhir_json.dump({"resourceType": "Bundle", "type": "searchset", "entry": [
        {"resource": score(1, id="x", code=concept(LOCAL, "ECOG-KURZ")), "search": {"mode": "match"}}
    ]})  # fmt: skip
    with ward.registry.unit(ward.site_id) as unit:
        lost = ingest(
            unit, ward.hospital.mappings, Incoming("connection:gone", "page", "k", body, "http://x")
        ).receipt
        unit.commit()
    learn(ward, library)
    report = run(ward, library, Selection(messages=(lost.message_id, waiting["ecog"].message_id)))
    failed, done = report.outcomes
    assert [issue.category for issue in failed.issues] == ["not-found"]
    assert report.failed == (failed,)
    assert [one.after for one in done.entries] == ["applied"]


def test_a_replay_respects_consent(
    ward: Ward, library: Library, waiting: dict[str, Receipt]
) -> None:
    ward.push(consent("inactive"))
    learn(ward, library)
    report = run(ward, library, Selection(causes=frozenset({"unknown-code"})))
    fates = [one.after for outcome in report.outcomes for one in outcome.entries]
    assert fates == ["refused", "refused"]
    assert "ECOG-KURZ" not in everything(ward).replace("'ECOG-KURZ'", "")


def test_progress_is_told_message_by_message(
    ward: Ward, library: Library, waiting: dict[str, Receipt]
) -> None:
    heard: list[str] = []
    mappings = library.of_site("alpha")
    report = replay(
        ward.registry,
        ward.site_id,
        lambda _: mappings,
        Selection(),
        tell=lambda one: heard.append(one.message_id),
    )
    assert heard == [one.message_id for one in report.outcomes] != []
