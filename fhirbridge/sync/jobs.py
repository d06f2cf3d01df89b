"""What a person or a program asks of jobs; the caller commits."""

from __future__ import annotations

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.jobs import Job
from fhirbridge.registry.leases import LeaseKind
from fhirbridge.registry.scope import conflict, not_found
from fhirbridge.registry.unit import Unit

# Of each kind of job the lease under which it is done: a full pull is a pull.
KINDS: dict[str, LeaseKind] = {"pull": "pull", "full": "pull", "deliver": "deliver"}


def add(unit: Unit, kind: str, connection: str | None, *, by: str) -> Job:
    """For the connection of that name, or the site's only one."""
    made = unit.jobs.add(_connection(unit, connection), kind, by=by)
    told = {"job": made.id, "connection": made.connection_id, "kind": kind}
    unit.audit.note("C", "job.add", actor=by, entities=told)
    return made


def known(unit: Unit, job_id: str) -> Job:
    found = unit.jobs.get(job_id)
    if found is None:
        raise not_found("job", "see 'job list'")
    return found


def cancel(unit: Unit, job_id: str, *, by: str) -> Job:
    """One that runs loses its lease: whoever does it is refused at its next commit. The run stays
    open, and the next job of its kind takes it up.
    """
    seen = known(unit, job_id)
    if seen.state == "running" and seen.kind in KINDS:
        unit.leases.revoke(seen.connection_id, KINDS[seen.kind])  # before the job is locked
    job = unit.jobs.locked(job_id)
    if job is None or job.ended_at:
        raise conflict(f"the job is {seen.state} already")
    ended = unit.jobs.end(job_id, "cancelled", issues=job.issues)
    unit.audit.note("U", "job.cancel", actor=by, entities={"job": job_id})
    return ended


def retry(unit: Unit, job_id: str, *, by: str) -> Job:
    again = unit.jobs.again(job_id)
    unit.audit.note("U", "job.retry", actor=by, entities={"job": job_id})
    return again


def _connection(unit: Unit, name: str | None) -> str:
    if name is not None:
        return unit.connections.by_name(name).id
    held = unit.connections.all()
    if len(held) != 1:
        names = ", ".join(one.name for one in held) or "none; add one"
        cause = f"the site has {len(held)} connections: {names}"
        raise BridgeError(Issue("value", cause, "name the connection"))
    return held[0].id
