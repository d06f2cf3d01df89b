"""A row of another site answers exactly like a row that does not exist."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry import Registry, Unit, tables
from fhirbridge.registry.audit import Chain
from fhirbridge.registry.listings import Wanted
from fhirbridge.registry.origins import Origin
from fhirbridge.registry.proposals import Proposal
from fhirbridge.registry.records import Name, Record
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.runs import Reading
from fhirbridge.registry.traces import EntryOf
from tests.registry.filled import LATER, MRN, SIGN, House, furnish, put, save

GONE = Issue("consent", "gone")
Ask = Callable[[Unit, House], object]


def _told(ask: Ask) -> Ask:
    """The category of the error in place of it."""

    def asked(unit: Unit, house: House) -> object:
        try:
            return ask(unit, house)
        except BridgeError as error:
            return error.issues[0].category

    return asked


def _first(unit: Unit, house: House) -> None:
    unit.receipts.first(replace(house.receipt, id="r2"))
    unit.flush()


def _known(unit: Unit, house: House) -> list[Record]:
    record = house.record
    name = Name(record.subject_id, record.form, record.key)
    return [one for one in unit.records.know({name: record.id}).values() if one]


def _origin(unit: Unit, house: House) -> Origin | None:
    origin = house.origin
    unit.origins.know(origin.source, [(origin.resource_type, origin.source_id)])
    return unit.origins.find(origin.source, origin.resource_type, origin.source_id)


def _proposed(unit: Unit, house: House) -> dict[str, Proposal]:
    unit.proposals.know([house.record.id])
    return unit.proposals.accepted(house.record.id)


def _shown(unit: Unit, house: House) -> list[ResourceRow]:
    unit.resources.know([house.record.id])
    return unit.resources.of_record(house.record.id)


ASKS: dict[str, tuple[Ask, object]] = {
    "sites.by_id": (lambda u, h: u.sites.by_id("id-0001"), None),
    "sites.by_name": (lambda u, h: u.sites.by_name("Alpha"), "not-found"),
    "sites.all": (lambda u, h: [site.name for site in u.sites.all()], ["Beta"]),
    "clients.find": (lambda u, h: u.clients.find("fb_id-0001"), None),
    "clients.revoke": (lambda u, h: u.clients.revoke("mirth"), "not-found"),
    "clients.all": (lambda u, h: u.clients.all(), []),
    "signers.find": (lambda u, h: u.signers.find(h.signer, "k-1"), None),
    "signers.replace_keys": (lambda u, h: u.signers.replace_keys("lab", []), "not-found"),
    "signers.published": (lambda u, h: u.signers.published(h.publisher), None),
    "signers.try_again": (lambda u, h: u.signers.try_again(h.publisher, since=LATER), False),
    "signers.learn": (lambda u, h: u.signers.learn(h.publisher, [], until=LATER), "not-found"),
    "assertions.use": (lambda u, h: u.assertions.use(h.signer, "0", until=LATER), "not-found"),
    "tokens.add": (
        lambda u, h: u.tokens.add(h.signer, "t-2", scopes="", until=LATER),
        "not-found",
    ),
    "tokens.find": (lambda u, h: u.tokens.find("t-id-0001"), None),
    "connections.by_name": (lambda u, h: u.connections.by_name("hapi"), "not-found"),
    "connections.by_id": (lambda u, h: u.connections.by_id(h.connection.id), None),
    "connections.set_options": (
        lambda u, h: u.connections.set_options(h.connection.id, {}),
        "not-found",
    ),
    "connections.set_login": (
        lambda u, h: u.connections.set_login(h.connection.id, {}, secret="s"),
        "not-found",
    ),
    "connections.learn": (lambda u, h: u.connections.learn(h.connection.id, {}), "not-found"),
    "connections.published": (lambda u, h: u.connections.published(h.connection.id), None),
    "connections.all": (lambda u, h: u.connections.all(), []),
    "subjects.by_id": (lambda u, h: u.subjects.by_id(h.subject.id), None),
    "subjects.pseudonym": (lambda u, h: u.subjects.pseudonym(*MRN) == h.pseudonym, False),
    "subjects.by_identity": (lambda u, h: u.subjects.by_identity(*MRN), None),
    "subjects.by_study_id": (lambda u, h: u.subjects.by_study_id("S-1"), None),
    "subjects.all": (lambda u, h: u.subjects.all(), []),
    "subjects.identities": (lambda u, h: u.subjects.identities(h.subject.id), []),
    "messages.get": (lambda u, h: u.messages.get(h.message.id), None),
    "messages.key_beginning": (lambda u, h: u.messages.key_beginning(h.message.source, "k"), None),
    "messages.set_state": (lambda u, h: u.messages.set_state(h.message.id, "x"), "not-found"),
    "messages.rewrite": (lambda u, h: u.messages.rewrite(h.message), "not-found"),
    "receipts.get": (lambda u, h: u.receipts.get(h.receipt.id), None),
    "receipts.named": (
        lambda u, h: u.receipts.named(h.message.source, "Condition", "urn:s|v1"),
        [],
    ),
    "receipts.subjects": (lambda u, h: u.receipts.subjects([h.message.id]), []),
    "receipts.of_message": (lambda u, h: u.receipts.of_message(h.message.id), None),
    "receipts.save": (lambda u, h: u.receipts.save(replace(h.receipt, id="r2")), "not-found"),
    "receipts.first": (lambda u, h: _first(u, h), "not-found"),
    "records.know": (lambda u, h: _known(u, h), []),
    "origins.know": (lambda u, h: _origin(u, h), None),
    "proposals.know": (lambda u, h: _proposed(u, h), {}),
    "resources.know": (lambda u, h: _shown(u, h), []),
    "quarantine.among": (lambda u, h: u.quarantine.among({"src-2"}), set()),
    "quarantine.hold": (
        lambda u, h: u.quarantine.hold(
            h.message.id, position=9, resource_type=None, source_id=None, issues=()
        ),
        "not-found",
    ),
    "quarantine.waiting": (lambda u, h: u.quarantine.waiting(), []),
    "quarantine.release": (lambda u, h: u.quarantine.release(h.message.id, 1, 0), False),
    "quarantine.supersede": (
        lambda u, h: u.quarantine.supersede(h.message.source, "Condition", "src-2", by="another"),
        0,
    ),
    "quarantine.waits": (
        lambda u, h: u.quarantine.waits(h.message.source, "Condition", "src-2"),
        False,
    ),
    "quarantine.of_message": (lambda u, h: u.quarantine.of_message(h.message.id), []),
    "quarantine.forget": (lambda u, h: u.quarantine.forget(h.message.id, 1), 0),
    "quarantine.count_waiting": (lambda u, h: u.quarantine.count_waiting(), 0),
    "records.study_ids": (lambda u, h: u.records.study_ids([h.record.id]), {}),
    "records.find": (lambda u, h: u.records.find(h.subject.id, "lesion", "1"), None),
    "records.get": (lambda u, h: u.records.get(h.record.id), None),
    "records.all": (lambda u, h: u.records.all(subject_id=h.subject.id), []),
    "records.subjects": (lambda u, h: u.records.subjects([h.record.id]), []),
    "records.save": (lambda u, h: save(u, "record-2", h.subject.id, {}), "not-found"),
    "records.revisions": (lambda u, h: u.records.revisions(h.record.id), []),
    "origins.find": (lambda u, h: u.origins.find("client:mirth", "Condition", "src-1"), None),
    "origins.put": (
        lambda u, h: u.origins.put(
            "s", "T", "1", version_id=None, last_updated=None, sha256="", subject_id=h.subject.id
        ),
        "not-found",
    ),
    "origins.link": (lambda u, h: u.origins.link(h.origin.id, h.record.id), "not-found"),
    "origins.unlink": (lambda u, h: u.origins.unlink(h.origin.id, h.record.id), False),
    "origins.records": (lambda u, h: u.origins.records(h.origin.id), []),
    "origins.forget": (lambda u, h: u.origins.forget("client:mirth", "Patient", "src-9"), False),
    "origins.of_record": (lambda u, h: u.origins.of_record(h.record.id), []),
    "proposals.add": (
        lambda u, h: u.proposals.add(
            "r", "f", value=1, status="waiting", mapping_version="", origin_id=h.origin.id
        ),
        "not-found",
    ),
    "proposals.accepted": (lambda u, h: u.proposals.accepted(h.record.id), {}),
    "proposals.waiting": (lambda u, h: u.proposals.waiting(), []),
    "proposals.get": (lambda u, h: u.proposals.get(h.proposal.id), None),
    "proposals.set_status": (
        lambda u, h: u.proposals.set_status(h.proposal.id, "refused"),
        "not-found",
    ),
    "resources.put": (lambda u, h: put(u, h.record.id, "fhir-2"), "not-found"),
    "resources.get": (lambda u, h: u.resources.get("Condition", "fhir-1"), None),
    "resources.of_records": (lambda u, h: u.resources.of_records([h.record.id]), []),
    "resources.by_identifiers": (lambda u, h: u.resources.by_identifiers({"v1"}), {}),
    "resources.of_record": (lambda u, h: u.resources.of_record(h.record.id), []),
    "resources.mark_deleted": (lambda u, h: u.resources.mark_deleted("Condition", "fhir-1"), None),
    "resources.search": (
        lambda u, h: u.resources.search("Condition", tokens=[("code", [(None, "c1")])], count=9),
        [],
    ),
    "resources.total": (lambda u, h: u.resources.total("Condition"), 0),
    "resources.among": (lambda u, h: u.resources.among([("Condition", "fhir-1")]), []),
    "history.get": (lambda u, h: u.history.get("Condition", "fhir-1", 1), None),
    "history.of_resource": (lambda u, h: u.history.of_resource("Condition", "fhir-1", count=9), []),
    "history.total": (lambda u, h: u.history.total("Condition", "fhir-1"), 0),
    "history.makings": (lambda u, h: u.history.makings([h.resource]), {}),
    "runs.start": (lambda u, h: u.runs.start(h.connection.id, "deliver"), "not-found"),
    "runs.open": (lambda u, h: u.runs.open(h.connection.id, "pull"), None),
    "runs.latest": (lambda u, h: u.runs.latest(h.connection.id, "pull", state="running"), None),
    "runs.ended_since": (
        lambda u, h: (
            u.runs.finish(h.run.id, "complete", {})
            and u.runs.ended_since(h.connection.id, "pull", h.run.started_at)
        ),
        "not-found",
    ),
    "runs.get": (lambda u, h: u.runs.get(h.run.id), None),
    "runs.add_counts": (lambda u, h: u.runs.add_counts(h.run.id, {"a": 1}), "not-found"),
    "runs.finish": (lambda u, h: u.runs.finish(h.run.id, "failed", {}), "not-found"),
    "runs.tell": (lambda u, h: u.runs.tell(h.run.id, {"way": "search"}), "not-found"),
    "readings.get": (lambda u, h: u.readings.get(h.connection.id, "x"), None),
    "readings.put": (lambda u, h: u.readings.put(h.connection.id, "y", since=None), "not-found"),
    "sightings.see": (
        lambda u, h: u.sightings.see("client:mirth", "run", [("Condition", "src-1")]),
        0,
    ),
    "sightings.belong": (
        lambda u, h: u.sightings.belong("client:mirth", "Patient", ["src-9"], h.subject.id),
        0,
    ),
    "sightings.miss": (
        lambda u, h: u.sightings.miss("client:mirth", "run", ["Condition"], [h.subject.id]),
        0,
    ),
    "sightings.missing": (
        lambda u, h: u.sightings.missing("client:mirth", "run", ["Condition"], [h.subject.id]),
        [],
    ),
    "sightings.missed": (lambda u, h: u.sightings.missed(h.origin.id), 0),
    "cursors.put": (
        lambda u, h: u.cursors.put(h.run.id, "x", state="open", next_url=None, page=0),
        "not-found",
    ),
    "settled.known": (lambda u, h: u.settled.known("client:mirth", [("Condition", "src-1")]), {}),
    "settled.standing": (lambda u, h: u.settled.standing([h.origin.id]), {}),
    "settled.settle": (lambda u, h: u.settled.settle({h.origin.id: "unchanged:0"}), 0),
    "readings.beginning": (lambda u, h: u.readings.beginning(h.connection.id, "x"), []),
    "readings.put_many": (
        lambda u, h: u.readings.put_many(
            [Reading(h.connection.id, "z", None, None, None, h.run.started_at)]
        ),
        "not-found",
    ),
    "cursors.ended": (lambda u, h: u.cursors.ended(h.run.id, {"x": 1}), "not-found"),
    "cursors.among": (lambda u, h: u.cursors.among(h.run.id, ["S-1/Condition"]), {}),
    "readings.among": (lambda u, h: u.readings.among(h.connection.id, ["x"]), {}),
    "cursors.of_run": (lambda u, h: u.cursors.of_run(h.run.id), {}),
    "deliveries.outstanding": (lambda u, h: u.deliveries.outstanding(h.connection.id), "not-found"),
    "deliveries.gone": (lambda u, h: u.deliveries.gone(h.connection.id), "not-found"),
    "deliveries.unsettled": (lambda u, h: u.deliveries.unsettled(h.connection.id), "not-found"),
    "deliveries.put": (lambda u, h: u.deliveries.put(h.connection.id, h.resource.id), "not-found"),
    "deliveries.held_by": (
        lambda u, h: u.deliveries.held_by(h.connection.id, [h.subject.id]),
        "not-found",
    ),
    "deliveries.claim": (
        lambda u, h: u.deliveries.claim(h.connection.id, h.resource.id, seen=1),
        False,
    ),
    "deliveries.sent_body": (
        lambda u, h: u.deliveries.sent_body(h.connection.id, h.resource.id),
        None,
    ),
    "deliveries.there": (lambda u, h: u.deliveries.there(h.connection.id, [h.resource.id]), {}),
    "deliveries.asked_to_wait": (lambda u, h: u.deliveries.asked_to_wait(h.connection.id), None),
    "writability.of_connection": (lambda u, h: u.writability.of_connection(h.connection.id), []),
    "writability.learn": (
        lambda u, h: u.writability.learn(
            h.connection.id, "Observation", "update", allowed=True, cause="declared"
        ),
        "not-found",
    ),
    "writability.forget": (lambda u, h: u.writability.forget(h.connection.id), 0),
    "writability.forget_refusals": (
        lambda u, h: u.writability.forget_refusals(h.connection.id),
        0,
    ),
    "listings.deliveries": (lambda u, h: u.listings.deliveries(Wanted()).items, []),
    "deliveries.of_connection": (lambda u, h: u.deliveries.of_connection(h.connection.id), []),
    "ledger.messages": (lambda u, h: u.ledger.messages(), []),
    "ledger.records": (lambda u, h: u.ledger.records(), []),
    "trail.events": (lambda u, h: u.trail.events(), []),
    "trail.chain": (lambda u, h: u.trail.chain(), Chain(0, "")),
    "listings.message": (lambda u, h: u.listings.message(h.message.id), None),
    "listings.messages": (lambda u, h: u.listings.messages(Wanted()).items, []),
    "listings.receipts": (lambda u, h: u.listings.receipts(Wanted(), key="k-1").items, []),
    "listings.quarantine": (lambda u, h: u.listings.quarantine(Wanted()).items, []),
    "listings.held": (lambda u, h: u.listings.held(h.held.id), None),
    "listings.subjects": (lambda u, h: u.listings.subjects(Wanted()).items, []),
    "listings.records": (lambda u, h: u.listings.records(Wanted()).items, []),
    "listings.proposals": (lambda u, h: u.listings.proposals(Wanted()).items, []),
    "listings.proposals_of": (lambda u, h: u.listings.proposals_of(h.record.id), []),
    "listings.crosswalk_lines": (lambda u, h: u.listings.crosswalk_lines(Wanted()).items, []),
    "tombstones.any": (lambda u, h: u.tombstones.any(), False),
    "tombstones.stand_for": (lambda u, h: u.tombstones.stand_for([SIGN]), False),
    "traces.messages": (lambda u, h: [one.id for one in u.traces.messages()], []),
    "traces.refused": (lambda u, h: u.traces.refused(), set()),
    "traces.entries": (lambda u, h: u.traces.entries("none", [h.record.id]), []),
    "traces.entries_at": (lambda u, h: u.traces.entries_at([(h.message.id, 0)]), []),
    "traces.origins": (lambda u, h: u.traces.origins(h.subject.id, [h.record.id]), []),
    "traces.unread": (
        lambda u, h: u.traces.unread([EntryOf("", 0, "client:mirth", "Patient", "src-9")]),
        [],
    ),
    "traces.patients": (lambda u, h: u.traces.patients([h.stranger]), []),
    "traces.resources": (lambda u, h: u.traces.resources([h.record.id]), []),
    "traces.delivered": (lambda u, h: u.traces.delivered([h.resource]), []),
    "erasures.take": (
        lambda u, h: u.erasures.take(
            h.subject.id, records=[], resources=[h.resource.id], origins=[]
        )["delivery"],
        0,
    ),
    "erasures.blank": (lambda u, h: u.erasures.blank(h.message.id, [0], GONE), 0),
    "erasures.blank_whole": (lambda u, h: u.erasures.blank_whole(h.message.id, GONE), 0),
    "erasures.forget_runs": (lambda u, h: u.erasures.forget_runs("S-1", []), 0),
    "leases.take": (
        lambda u, h: u.leases.take(h.connection.id, "deliver", "w", seconds=9),
        "not-found",
    ),
    "leases.renew": (lambda u, h: u.leases.renew(h.lease, seconds=9), False),
    "leases.release": (lambda u, h: u.leases.release(h.lease), False),
    "leases.revoke": (lambda u, h: u.leases.revoke(h.connection.id, "pull"), False),
    "leases.of": (lambda u, h: u.leases.of(h.connection.id, "pull"), None),
    "jobs.add": (lambda u, h: u.jobs.add(h.connection.id, "deliver", by="x"), "not-found"),
    "jobs.get": (lambda u, h: u.jobs.get(h.job.id), None),
    "jobs.locked": (lambda u, h: u.jobs.locked(h.job.id), None),
    "jobs.open": (lambda u, h: u.jobs.open(h.connection.id, "pull"), None),
    "jobs.pending": (lambda u, h: u.jobs.pending(), []),
    "jobs.begin": (lambda u, h: u.jobs.begin(h.job.id, attempts=1, progress=0), "not-found"),
    "jobs.put_off": (lambda u, h: u.jobs.put_off(h.job.id, LATER, failures=1), "not-found"),
    "jobs.end": (lambda u, h: u.jobs.end(h.job.id, "done"), "not-found"),
    "jobs.again": (lambda u, h: u.jobs.again(h.job.id), "not-found"),
    "jobs.told": (lambda u, h: u.jobs.told(h.job), False),
    "schedules.put": (
        lambda u, h: u.schedules.put(
            h.connection.id, "full", rule="", zone="", next_at=LATER, by="x"
        ),
        "not-found",
    ),
    "schedules.remove": (lambda u, h: u.schedules.remove(h.connection.id, "pull"), False),
    "schedules.all": (lambda u, h: u.schedules.all(), []),
    "schedules.advance": (lambda u, h: u.schedules.advance(h.schedule, LATER), False),
    "listings.jobs": (lambda u, h: u.listings.jobs(Wanted()).items, []),
    "feeds.all": (lambda u, h: u.feeds.all(), []),
    "feeds.end": (lambda u, h: u.feeds.end("adt"), "not-found"),
    "feeds.must_be_open": (lambda u, h: u.feeds.must_be_open(h.feed), "forbidden"),
    "messages.by_key": (lambda u, h: u.messages.by_key("client:mirth", "k-1"), None),
    "proposals.of_message": (lambda u, h: u.proposals.of_message(h.message.id), []),
    "quarantine.waiting_for": (lambda u, h: u.quarantine.waiting_for("unknown-code"), 0),
    "records.begun": (lambda u, h: u.records.begun(h.subject.id), {}),
    "subjects.retire": (lambda u, h: u.subjects.retire(*MRN), False),
    "subjects.is_old": (
        lambda u, h: (u.subjects.retire(*MRN), u.subjects.is_old(*MRN))[1],
        False,
    ),
    "subjects.told": (lambda u, h: u.subjects.told(h.subject.id), []),
    "uploads.get": (lambda u, h: u.uploads.get(h.upload.id), None),
    "uploads.same": (lambda u, h: u.uploads.same("lesion", b"a,b", "{}", "m1"), None),
    "uploads.latest": (lambda u, h: u.uploads.latest("lesion"), None),
    "uploads.all": (lambda u, h: u.uploads.all(), []),
    "uploads.overdue": (lambda u, h: u.uploads.overdue(u.now() + timedelta(days=1)), []),
    "uploads.begin": (lambda u, h: u.uploads.begin(h.upload.id, by="x", reason=""), "not-found"),
    "uploads.advance": (lambda u, h: u.uploads.advance(h.upload, 1, {}), "conflict"),
    "uploads.finish": (lambda u, h: u.uploads.finish(h.upload.id, keep=True), "not-found"),
    "uploads.forget": (lambda u, h: u.uploads.forget(h.upload.id), "not-found"),
    "crosswalk_lines.version": (lambda u, h: u.crosswalk_lines.version(), (0, 0)),
    "crosswalk_lines.all": (lambda u, h: u.crosswalk_lines.all(), []),
    "crosswalk_lines.active": (lambda u, h: u.crosswalk_lines.active(), []),
    "crosswalk_lines.withdraw": (
        lambda u, h: u.crosswalk_lines.withdraw(h.line, by="nurse", reason="wrong"),
        "not-found",
    ),
}
# These make a row of the unit's own site out of what they are given, and read none by an id.
MAKERS = {
    "sites.add",
    "clients.add",
    "signers.add",
    "connections.add",
    "subjects.enrol",
    "messages.keep",
    "tombstones.raise_for",
    "crosswalk_lines.add",
    "uploads.keep",
    "feeds.add",
    "sites.let_enrolment_allow",
}


@pytest.fixture
def house(registry: Registry, alpha: str) -> House:
    with registry.unit(alpha) as unit:
        made = furnish(unit)
        unit.commit()
    return made


@pytest.mark.parametrize("name", ASKS)
def test_another_site_gets_what_a_stranger_gets(
    registry: Registry, alpha: str, beta: str, house: House, name: str
) -> None:
    ask, expected = ASKS[name]
    with registry.unit(beta) as unit:
        assert _told(ask)(unit, house) == expected
    with registry.unit(alpha) as unit:  # the row is there: its own site hears something else
        assert _told(ask)(unit, house) != expected
    with registry.read(alpha) as unit:
        assert unit.records.get(house.record.id) == house.record


def test_every_method_of_every_repository_has_a_case(registry: Registry, alpha: str) -> None:
    with registry.read(alpha) as unit:
        repositories = {
            name: value for name, value in vars(unit).items() if hasattr(value, "scope")
        }
    methods = {
        f"{name}.{method}"
        for name, value in repositories.items()
        for method, _ in inspect.getmembers(type(value), inspect.isfunction)
        if not method.startswith("_")
    }
    assert methods == set(ASKS) | MAKERS


@pytest.mark.parametrize("name", [n for n in ASKS if not n.startswith(("sites.", "feeds."))])
def test_a_unit_without_a_site_may_use_sites_and_find_by_credentials_only(
    registry: Registry, house: House, name: str
) -> None:
    with registry.unit() as unit:
        if name in ("clients.find", "signers.find", "signers.published", "tokens.find"):
            found = ASKS[name][0](unit, house)
            assert getattr(found, "site_id", None) == "id-0001"
        elif name == "connections.published":  # public keys, of which this one has none
            assert ASKS[name][0](unit, house) == {}
        else:
            assert _told(ASKS[name][0])(unit, house) == "configuration"


def test_a_unit_of_a_site_cannot_add_sites(registry: Registry, alpha: str) -> None:
    with registry.unit(alpha) as unit, pytest.raises(BridgeError, match="cannot add another"):
        unit.sites.add("Gamma")


def test_ids_and_keys_are_free_for_every_site(registry: Registry, beta: str, house: House) -> None:
    with registry.unit(beta) as unit:
        again = furnish(unit)
        unit.commit()
    assert again.record.id == house.record.id
    assert again.subject.id != house.subject.id
    assert again.resource.fhir_id == house.resource.fhir_id


def test_every_table_but_site_carries_the_site(registry: Registry) -> None:
    without = [
        table.name
        for table in tables.site.metadata.sorted_tables
        if table.name != "site" and "site_id" not in table.primary_key.columns
    ]
    assert without == []
