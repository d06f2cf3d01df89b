"""Whether the database can be worked with now, and how much waits in it: numbers for an operator.

What is told are words of ours; no text of the database leaves here.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select, text

from fhirbridge.outcome import BridgeError
from fhirbridge.registry import database, tables
from fhirbridge.registry.job_tables import job
from fhirbridge.registry.store import Registry


def unfit(registry: Registry) -> dict[str, str]:
    """Which part is not ready, and why; empty where all is well."""
    try:
        with registry.connect(writes=True) as connection:
            current = database.revision(connection)
            # A write that is rolled back: a database that only reads refuses it.
            connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
            connection.rollback()
    except BridgeError as fault:
        return {"database": fault.issues[0].cause}
    if current != database.head():
        return {"schema": "it is not the one that this version speaks"}
    return {}


def waiting(registry: Registry) -> int:
    """How many parts of messages wait, in all sites together."""
    held = tables.quarantine.c
    counted = select(func.count()).select_from(tables.quarantine)
    of_sites = held.site_id.in_(select(tables.site.c.id))
    with registry.connect(writes=False) as connection:
        return connection.execute(counted.where(of_sites, held.state == "waiting")).scalar_one()


@dataclass(frozen=True, slots=True)
class Backlog:
    """Of all sites together; `oldest` is for how many seconds the first one has been due."""

    due: int
    running: int
    dead: int
    oldest: float


def backlog(registry: Registry) -> Backlog:
    now = registry.now()
    of_sites = job.c.site_id.in_(select(tables.site.c.id))
    counted = select(job.c.state, func.count()).where(of_sites).group_by(job.c.state)
    come = (of_sites, job.c.state == "waiting", job.c.not_before <= now)
    first = select(func.count(), func.min(job.c.not_before)).where(*come)
    with registry.connect(writes=False) as connection:
        states = {row[0]: row[1] for row in connection.execute(counted)}
        due, since = connection.execute(first).one()
    oldest = (now - since).total_seconds() if since else 0.0
    return Backlog(due, states.get("running", 0), states.get("dead", 0), oldest)
