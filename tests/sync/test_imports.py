"""Files of tables through the one door: what a second file changes, what waits, what is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event

from fhirbridge.formats import csv_records
from fhirbridge.outcome import BridgeError
from fhirbridge.registry import upload_tables
from fhirbridge.registry.unit import Unit
from fhirbridge.study.records import Record, value_from_json
from fhirbridge.sync import additions, imports, ingest, sent_tables
from fhirbridge.sync.erase import erase
from fhirbridge.sync.sent_tables import Sent
from tests.sync import door
from tests.sync.door import Door

HEAD = "study_id,assessed_on,pain_rest,pain_activity\n"
ONE = HEAD + "MBD-A-001,2026-03-01,2,7\nMBD-A-002,2026-03-03,4,5\n"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Door]:
    with door.opened(tmp_path) as made:
        yield made


def sent(text: str, form: str = "assessment") -> Sent:
    return Sent("scores.csv", text.encode(), form)


def pains(here: Door, field: str = "pain_rest") -> dict[str, object]:
    rows = [one for one in here.export() if one["form"] == "assessment"]
    return {one["subject"]: one["fields"].get(field) for one in rows}


def test_a_rehearsal_changes_nothing_and_tells_each_row(here: Door) -> None:
    done = here.desk.rehearse(sent(ONE), here.see)
    assert [row.fate for row in here.rows] == ["create", "create"]
    assert (done.counts["rows"], done.counts["create"], done.upload.state) == (2, 2, "rehearsed")
    assert pains(here) == {}


def test_the_same_file_again_changes_nothing(here: Door) -> None:
    here.play(sent(ONE))
    first = here.last
    again = here.desk.rehearse(sent(ONE), here.see)
    assert first is not None
    assert again.upload.id == first.upload.id
    assert (again.counts["unchanged"], again.counts["rows"]) == (2, 2)
    assert here.desk.apply(again.upload.id).fresh is False


def test_a_file_that_a_later_one_corrected_does_not_turn_it_back(here: Door) -> None:
    here.play(sent(ONE))
    here.play(sent(HEAD + "MBD-A-001,2026-03-01,3,7\n"))
    again = here.desk.rehearse(sent(ONE), here.see)
    assert [row.fate for row in here.rows[-2:]] == ["superseded", "unchanged"]
    here.desk.apply(again.upload.id)
    assert pains(here)["MBD-A-001"] == 3


def test_the_same_rows_in_other_bytes_are_unchanged(here: Door) -> None:
    here.play(sent(ONE))
    first, second = ONE.removeprefix(HEAD).splitlines()
    here.play(sent(f"{HEAD}{second}\n{first}\n"))
    assert {row.fate for row in here.rows} == {"unchanged"}


def test_a_change_tells_old_and_new(here: Door) -> None:
    here.play(sent(ONE))
    here.play(sent(HEAD + "MBD-A-001,2026-03-01,2,6\n"))
    (change,) = here.rows[0].changes
    assert (change.field, change.cell, change.old, change.new) == ("pain_activity", "D2", 7, 6)


def test_applying_is_refused_where_the_mapping_has_changed_since(here: Door) -> None:
    done = here.desk.rehearse(sent(ONE))
    with here.registry.unit(here.site_id) as unit:
        line = {"crosswalk": "sex", "system": "words", "code": "w", "target": "female"}
        additions.add(unit, here.library, door.SITE, **line, by="nurse", reason="told")
        unit.commit()
    with pytest.raises(BridgeError, match="mapping has changed"):
        here.desk.apply(done.upload.id)
    assert pains(here) == {}


def test_a_word_that_is_mapped_later_is_read_by_a_replay(here: Door) -> None:
    here.play(sent("study_id,sex\nMBD-A-001,w\n", "subject"))
    assert [fault.category for fault in here.faults] == ["unknown-code"]
    with here.registry.unit(here.site_id) as unit:
        line = {"crosswalk": "sex", "system": "words", "code": "w", "target": "female"}
        additions.add(unit, here.library, door.SITE, **line, by="nurse", reason="told")
        unit.commit()
    with here.registry.unit(here.site_id) as unit:
        mappings = additions.mappings(here.library, unit, door.SITE)
        (held,) = unit.quarantine.waiting()
        message = unit.messages.get(held.message_id)
        assert message is not None
        ingest.replay(unit, mappings, message, actor="person:nurse")
        assert unit.quarantine.count_waiting() == 0
        unit.commit()
    (one,) = [o for o in here.export() if o["subject"] == "MBD-A-001"]
    assert one["fields"]["sex"] == "female"


def test_a_corrected_row_settles_what_waited(here: Door) -> None:
    here.play(sent(HEAD + "MBD-A-001,2026-03-01,11,7\n"))
    with here.registry.read(here.site_id) as unit:
        assert unit.quarantine.count_waiting() == 1
    here.play(sent(HEAD + "MBD-A-001,2026-03-01,1,7\n"))
    with here.registry.read(here.site_id) as unit:
        assert unit.quarantine.count_waiting() == 0
    assert pains(here)["MBD-A-001"] == 1


def test_a_value_is_taken_back_by_a_word_and_a_reason(here: Door) -> None:
    here.play(sent(ONE))
    file = sent(HEAD + "MBD-A-001,2026-03-01,withdraw,\n")
    done = here.desk.rehearse(file)
    assert done.counts["withdrawals"] == 1
    with pytest.raises(BridgeError, match="takes back 1"):
        here.desk.apply(done.upload.id)
    here.desk.apply(done.upload.id, reason="typed into the wrong row")
    assert (pains(here)["MBD-A-001"], pains(here, "pain_activity")["MBD-A-001"]) == (None, 7)


def test_what_another_source_says_waits_for_a_person(here: Door) -> None:
    """A field belongs to whom it was accepted from: to a file, as to a server."""
    here.play(sent(ONE))
    with here.registry.unit(here.site_id) as unit:
        record = unit.records.find(_whose(unit, "MBD-A-001"), "assessment", "2026-03-01")
        assert record is not None
        owner = unit.proposals.accepted(record.id)["pain_rest"]
        origin = unit.origins.put(
            "connection:ward", "Observation", "o1", version_id=None, last_updated=None, sha256="0"
        )
        unit.proposals.set_status(owner.id, "superseded")
        told = {"value": 2, "status": "accepted", "mapping_version": "m", "message_id": None}
        more = {"position": 0, "path": "Observation.value", "rule": "value"}
        unit.proposals.add(record.id, "pain_rest", origin_id=origin.id, **told, **more)
        unit.commit()
    here.play(sent(HEAD + "MBD-A-001,2026-03-01,3,6\n"))
    (fault,) = here.faults
    assert (fault.cell, fault.category) == ("C2", "conflict")
    assert (pains(here)["MBD-A-001"], pains(here, "pain_activity")["MBD-A-001"]) == (2, 6)


def _whose(unit: Unit, study_id: str) -> str:
    subject = unit.subjects.by_study_id(study_id)
    assert subject is not None
    return subject.id


def test_nobody_of_this_site_is_told_by_row(here: Door) -> None:
    here.play(sent(HEAD + "MBD-B-001,2026-03-01,2,7\n"))
    (fault,) = here.faults
    assert (fault.cell, fault.column, fault.value) == ("A2", "study_id", "MBD-B-001")
    assert fault.category == "unknown-subject"


def test_x23_an_export_begins_what_runs_with_an_apostrophe_and_comes_back(here: Door) -> None:
    head = "study_id,surgery_id,performed_on,procedure,text\n"
    texts = ["=HYPERLINK(1)", "+1-1", "-1+cmd", "@SUM", "'=kept", "-1.5"]
    rows = [f'MBD-A-001,OP{n},2026-02-10,plate,"{text}"' for n, text in enumerate(texts)]
    here.play(sent(head + "\n".join(rows), "surgery"))
    form = here.library.of_site(door.SITE).study.form("surgery")
    made = [
        Record(o["subject"], "surgery", {n: value_from_json(v) for n, v in o["fields"].items()})
        for o in here.export()
        if o["form"] == "surgery"
    ]
    text = csv_records.write_csv(form, made)
    assert "'=HYPERLINK(1)" in text
    assert ",=" not in text
    assert ",@" not in text
    here.play(Sent("export.csv", text.encode(), "surgery"))
    assert {row.fate for row in here.rows} == {"unchanged"}, here.faults


def test_a_wide_table_is_a_record_for_each_of_its_rows(tmp_path: Path) -> None:
    lines = [
        (f"{field}_{visit}", target, {"row": visit})
        for visit in ("baseline", "month_3")
        for field, target in (("pain_rest", "pain_rest"), ("date", "assessed_on"))
    ]
    files = {"columns-assessment": door.columns("assessment", lines=lines)}
    raw = (Path(__file__).parents[1] / "formats/csv-cases/c20-wide.csv").read_bytes()
    with door.opened(tmp_path, **files) as here:
        here.play(Sent("wide.csv", raw, "assessment"))
        told = {
            (o["fields"]["visit"], o["fields"]["assessed_on"], o["fields"]["pain_rest"])
            for o in here.export()
            if o["form"] == "assessment"
        }
    assert told == {("baseline", "2026-02-09", 6), ("month_3", "2026-05-11", 2)}


def test_an_order_of_dates_that_was_told_is_read(tmp_path: Path) -> None:
    lines = [("assessed_on", "assessed_on", {"date_order": "DMY"})]
    raw = (Path(__file__).parents[1] / "formats/csv-cases/c07-dates.csv").read_bytes()
    files = {"columns-assessment": door.columns("assessment", lines=lines)}
    with door.opened(tmp_path, **files) as here:
        here.play(Sent("dates.csv", raw, "assessment"))
        days = {o["fields"]["assessed_on"] for o in here.export() if o["form"] == "assessment"}
    assert days == {"2026-04-03", "2026-03-25", "2026-03-01"}


def test_many_rows_are_chunks_that_tie(here: Door) -> None:
    many = [f"MBD-A-001,{2000 + n}-01-01,{n % 11},1" for n in range(sent_tables.CHUNK + 7)]
    here.play(sent(HEAD + "\n".join(many)))
    assert here.last is not None
    assert here.last.counts["create"] == here.last.counts["rows"] == sent_tables.CHUNK + 7
    assert here.last.upload.chunks == 2


def test_more_rows_than_are_taken_are_refused_with_the_limit(here: Door) -> None:
    desk = replace(here.desk, limits=imports.Limits(1 << 20, 1))
    with pytest.raises(BridgeError, match="more than 1 rows") as caught:
        desk.rehearse(sent(ONE))
    assert caught.value.policy.status == 413
    desk = replace(here.desk, limits=imports.Limits(10, 1))
    with pytest.raises(BridgeError, match="10 are taken") as caught:
        desk.rehearse(sent(ONE))
    assert caught.value.policy.status == 413


def test_an_erased_person_is_in_no_upload(here: Door) -> None:
    here.play(sent(ONE))
    with here.registry.unit(here.site_id) as unit:
        subject = unit.subjects.by_study_id("MBD-A-001")
        assert subject is not None
        erase(unit, here.library.of_site(door.SITE), subject, actor="person:nurse")
        unit.commit()
    with here.registry.unit(None) as unit:
        rows = unit._scope.raw.execute(upload_tables.upload.select()).all()
    assert [row.body for row in rows] == [b""]
    here.play(sent(HEAD + "MBD-A-001,2026-03-01,2,7\nMBD-A-002,2026-03-03,4,6\n"))
    assert [row.fate for row in here.rows] == ["refused", "change"]
    assert here.rehearsed is not None


def test_the_file_back_can_be_sent_again_as_it_is(here: Door) -> None:
    bad = HEAD + "MBD-A-001,2026-03-01,11,7\nMBD-A-002,03/04/2026,4,5\n"
    done = here.desk.rehearse(sent(bad))
    _, back, _ = here.desk.file_back(done.upload.id, "csv")
    text = back.decode("utf-8-sig")
    assert text.startswith("study_id,assessed_on,pain_rest,pain_activity,fhirbridge_fate,")
    assert "C2 pain_rest: 11 is outside 0 to 10" in text
    here.play(sent(text))
    assert [(f.cell, f.value) for f in here.faults] == [("C2", "11"), ("B3", "03/04/2026")]
    _, book, _ = here.desk.file_back(done.upload.id, "xlsx")
    here.play(Sent("back.xlsx", book, "assessment"))
    assert [(f.cell, f.value) for f in here.faults] == [("C2", "11"), ("B3", "03/04/2026")]


def test_a_site_in_a_column_is_not_the_site(here: Door) -> None:
    here.play(sent("study_id,sex,site\nMBD-A-001,female,B\n", "subject"))
    (one,) = [o for o in here.export() if o["subject"] == "MBD-A-001"]
    assert one["fields"].get("site") is None
    assert here.rehearsed is not None
    assert any("the credential" in note for note in here.rehearsed.notes)


def test_a_value_that_lacks_what_the_row_takes_back_leaves_the_record_as_it_was(
    here: Door,
) -> None:
    head = "study_id,medication_id,agent,dose,dose_unit\n"
    here.play(sent(f"{head}MBD-A-001,M1,opioid,10,mg\n", "medication"))
    here.play(sent(f"{head}MBD-A-001,M1,opioid,20,withdraw\n", "medication"))
    assert [row.fate for row in here.rows] == ["quarantined"]
    assert "dose has a value and dose_unit has none" in {fault.cause for fault in here.faults}
    (one,) = [one for one in here.export() if one["form"] == "medication"]
    assert (one["fields"]["dose"], one["fields"]["dose_unit"]) == (10, "mg")


def test_the_words_of_a_list_have_no_order(here: Door) -> None:
    head = "study_id,seen_on,disease_status,evidence\nMBD-A-001,2026-03-01,stable,"
    here.play(sent(f"{head}marker;imaging\n", "follow_up"))
    here.play(sent(f"{head}imaging;marker\n", "follow_up"))
    assert [row.fate for row in here.rows] == ["unchanged"]
    here.play(sent(f"{head}imaging\n", "follow_up"))
    assert [row.fate for row in here.rows] == ["change"]


def test_the_resources_of_new_rows_are_not_read_again_from_the_database(here: Door) -> None:
    rehearsed = here.desk.rehearse(sent(ONE))
    asked: list[str] = []
    event.listen(
        here.registry.engine,
        "before_cursor_execute",
        lambda _c, _k, statement, *_: asked.append(" ".join(statement.split())),
    )
    here.desk.apply(rehearsed.upload.id)
    assert [one for one in asked if one.startswith("INSERT INTO resource ")]
    assert not [one for one in asked if one.startswith("SELECT") and "FROM resource " in one]
