"""Counts, from the senders' own ledger, what is lost and what is there more than once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from fhirbridge.registry import Registry
from fhirbridge.registry.records import Revision
from fhirbridge.study import records
from tests.crash.senders import Ledger, steps
from tests.journeys import story

Place = tuple[str, str, str]
State = frozenset[tuple[str, str]]


def expected(ledger: Ledger) -> dict[Place, dict[str, Any]]:
    """Of each record its fields after all that was acknowledged."""
    study = story.mappings().study
    made: dict[Place, dict[str, Any]] = {}
    for one in sorted(ledger.acknowledged, key=lambda one: (one.subject, one.step)):
        for record in steps(one.subject)[one.step]:
            plain = {n: records.value_to_json(v) for n, v in record.fields.items()}
            plain.pop("hospital_ids", None)
            made[record.subject, record.form, record.key(study.form(record.form))] = plain
    return made


def states(revisions: Iterable[Revision]) -> list[State]:
    """What a record said after each of its revisions. A message makes as many as it has resources
    that say more of the record, so their number alone tells nothing.
    """
    fields: dict[str, Any] = {}
    made = []
    for one in revisions:
        fields |= {name: new for name, (_, new) in one.changes.items()}
        made.append(frozenset((name, repr(value)) for name, value in fields.items()))
    return made


def lost(ledger: Ledger, registry: Registry, site_id: str) -> Iterator[str]:
    """What was acknowledged and is not there as it was said."""
    there = {}
    with registry.read(site_id) as unit:
        subjects = {s.id: s.study_id for s in unit.subjects.all()}
        for found in unit.records.all():
            there[subjects[found.subject_id], found.form, found.key] = found
        for place, fields in expected(ledger).items():
            now = there.get(place)
            if now is None or now.status != "active" or dict(now.fields) != fields:
                yield f"{place}: {'another value' if now else 'no record'}"
        for one in ledger.acknowledged:
            if unit.receipts.get(one.receipt) is None:
                yield f"receipt {one.receipt}"


def doubled(ledger: Ledger, registry: Registry, site_id: str) -> Iterator[str]:
    """Records that nobody sent, resources and messages twice, and records that said a thing twice:
    no sender ever goes back, so a state that comes again was worked off twice.
    """
    wanted = expected(ledger)
    with registry.read(site_id) as unit:
        subjects = {s.id: s.study_id for s in unit.subjects.all()}
        for found in unit.records.all():
            place = (subjects[found.subject_id], found.form, found.key)
            if place not in wanted:
                yield f"{place}: nobody sent it"
                continue
            said = Counter(states(unit.records.revisions(found.id)))
            yield from (f"{place}: {n} times the same state" for n in said.values() if n > 1)
            named = Counter(row.block for row in unit.resources.of_record(found.id))
            yield from (f"{place}: {block} twice" for block, n in named.items() if n > 1)
    with registry.engine.connect() as connection:
        twice = "SELECT source, sha256, count(*) FROM message GROUP BY source, sha256"
        for source, sha256, count in connection.exec_driver_sql(twice):
            if count > 1:
                yield f"{count} messages {sha256} of {source}"
