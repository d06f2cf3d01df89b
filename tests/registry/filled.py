"""One site with one row of everything, for the tests that need a full house; all of it made up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from fhirbridge.outcome import Issue
from fhirbridge.registry import Unit
from fhirbridge.registry.crosswalk_lines import CrosswalkLine
from fhirbridge.registry.jobs import Job
from fhirbridge.registry.leases import Lease
from fhirbridge.registry.messages import Held, Message
from fhirbridge.registry.origins import Origin
from fhirbridge.registry.proposals import Proposal
from fhirbridge.registry.receipts import Receipt, ReceiptEntry
from fhirbridge.registry.records import Record
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.runs import Run
from fhirbridge.registry.schedules import Schedule
from fhirbridge.registry.sites import Connection
from fhirbridge.registry.smart import PublicKey
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.uploads import Upload

LATER = datetime(2030, 1, 1, tzinfo=UTC)
MRN = ("urn:oid:2.999.1", "100")
SIGN = ("study-id", "S-9")


@dataclass(frozen=True, slots=True)
class House:
    subject: Subject
    connection: Connection
    message: Message
    record: Record
    origin: Origin
    proposal: Proposal
    resource: ResourceRow
    receipt: Receipt
    held: Held
    run: Run
    pseudonym: str
    signer: str
    publisher: str
    line: str
    stranger: str
    lease: Lease
    job: Job
    schedule: Schedule
    upload: Upload
    feed: str


def save(
    unit: Unit, record_id: str, subject_id: str, fields: dict[str, Any], **more: Any
) -> Record:
    told: dict[str, Any] = {"form": "lesion", "key": "1", "actor": "client:a", "reason": "pushed"}
    told |= more
    return unit.records.save(
        record_id, subject_id=subject_id, fields=fields, mapping_version="m1", **told
    )


def put(unit: Unit, record_id: str, fhir_id: str, **more: Any) -> ResourceRow:
    body = {"resourceType": "Condition", "id": fhir_id, "onsetAge": {"value": Decimal("61.0")}}
    told: dict[str, Any] = {"block": "lesion", "body": body, "dates": []}
    told |= {"tokens": [("code", "urn:s", "c1")], **more}
    return unit.resources.put(record_id, type="Condition", fhir_id=fhir_id, **told)


def furnish(unit: Unit) -> House:
    """Everything, uncommitted; the record ids are given, as they are derived elsewhere."""
    subject = unit.subjects.enrol("S-1", [MRN])
    connection = unit.connections.add("hapi", "http://hospital.example/fhir")
    unit.clients.add("mirth", prefix=f"fb_{unit.site_id}", secret_hash="0" * 64)
    keys = [PublicKey("k-1", "ES384", {"kty": "EC"})]
    signer = unit.signers.add("lab", scopes="system/*.rs", keys=keys)
    publisher = unit.signers.add("ris", scopes="system/*.rs", url="https://ris.example/jwks")
    unit.tokens.add(signer, f"t-{unit.site_id}", scopes="system/*.rs", until=LATER)
    message, _ = unit.messages.keep("client:mirth", "bundle", "k-1", b'{"resourceType":"Bundle"}')
    record = save(unit, "record-1", subject.id, {"size": Decimal("1.10")})
    origin = unit.origins.put(
        "client:mirth",
        "Condition",
        "src-1",
        version_id="1",
        last_updated=None,
        sha256="a" * 64,
        subject_id=subject.id,
    )
    unit.origins.link(origin.id, record.id)
    proposal = unit.proposals.add(
        record.id,
        "size",
        value=Decimal("1.10"),
        status="waiting",
        mapping_version="m1",
        message_id=message.id,
    )
    unit.proposals.add(record.id, "side", value="left", status="accepted", mapping_version="m1")
    put(unit, record.id, "fhir-1", body={"resourceType": "Condition"}, revision=1)
    dates = [("onset", "2024-01-01", "2024-01-31")]
    tokens = [("code", "urn:s", "c1"), ("identifier", "urn:s", "v1")]
    resource = put(unit, record.id, "fhir-1", tokens=tokens, dates=dates, revision=1)
    entry = ReceiptEntry(
        position=0,
        part=0,
        fate="applied",
        resource_type="Condition",
        identifier="urn:s|v1",
        record_id=record.id,
        subject_id=subject.id,
    )
    receipt = unit.receipts.save(
        Receipt("receipt-1", message.id, "done", {"applied": 1}, (), unit.now(), (entry,))
    )
    held = unit.quarantine.hold(
        message.id, position=1, resource_type="Condition", source_id="src-2",
        issues=[Issue("unknown-code", "a code")],
    )  # fmt: skip
    run = unit.runs.start(connection.id, "pull")
    unit.cursors.put(run.id, "S-1/Condition", state="open", next_url="http://h/2", page=1)
    unit.readings.put(connection.id, "x", since=unit.now())
    unit.sightings.miss("client:mirth", run.id, ["Condition"], [subject.id])
    unit.deliveries.put(
        connection.id, resource.id, state="sent", attempts=1, sent_sha256=resource.sha256,
        remote_id="77", sent_body={"resourceType": "Condition"}, cause="asked-to-wait",
        not_before=unit.now(),
    )  # fmt: skip
    unit.writability.learn(connection.id, "Observation", "create", allowed=False, cause="405")
    stranger = unit.origins.put(
        "client:mirth", "Patient", "src-9", version_id=None, last_updated=None, sha256=""
    )
    other, _ = unit.messages.keep("client:mirth", "bundle", "k-2", b"broken")
    unit.receipts.save(Receipt("receipt-2", other.id, "refused", {"refused": 1}, (), unit.now()))
    unit.tombstones.raise_for([SIGN])
    line = CrosswalkLine(
        f"line-{unit.site_id}", "bone", "urn:s", "c1", "", "femur", "equal", "it", "told", LATER
    )
    unit.crosswalk_lines.add(line)
    pseudonym = unit.subjects.pseudonym(*MRN)
    unit.audit.note("C", "push", actor="client:mirth", entities={"message": message.id})
    made = (subject, connection, message, record, origin, proposal, resource, receipt, held, run)
    lease = unit.leases.take(connection.id, "pull", "worker-1", seconds=60)
    job = unit.jobs.add(connection.id, "pull", by="test")
    schedule = unit.schedules.put(
        connection.id, "pull", rule="every 15m", zone="UTC", next_at=LATER, by="test"
    )
    kept = unit.uploads.keep(
        "lesion", "t.csv", b"a,b", kept=b"a,b", asked="{}", mapping_version="m1", header=["a", "b"],
        counts={}, by="test",
    )  # fmt: skip
    unit.uploads.keep(
        "subject", "u.csv", b"c", kept=b"c", asked="{}", mapping_version="m1", header=["c"],
        counts={}, by="test",
    )  # fmt: skip
    upload = unit.uploads.finish(kept.id, keep=True)
    feed = unit.feeds.add("adt", port=None, fingerprint=f"{unit.site_id}").id
    work = (lease, job, schedule, upload, feed)
    return House(*made, pseudonym, signer, publisher, line.id, stranger.id, *work)
