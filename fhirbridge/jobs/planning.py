"""Schedules at work: each makes its job when its time has come, once, whoever looks first."""

from __future__ import annotations

from datetime import datetime, timedelta

from fhirbridge.jobs import rules
from fhirbridge.registry.schedules import Schedule
from fhirbridge.registry.store import Registry
from fhirbridge.registry.unit import Unit

_WRONG = timedelta(hours=1)  # a clock that was further ahead than this was wrong


def sites(registry: Registry) -> list[str]:
    with registry.read() as unit:
        return [site.id for site in unit.sites.all()]


def tick(registry: Registry) -> int:
    """How many jobs were made. Of all times that were missed, the last one counts."""
    made = 0
    for site_id in sites(registry):
        with registry.read(site_id) as unit:
            come = [one for one in unit.schedules.all() if _comes(one, registry.now())]
        for schedule in come:
            with registry.unit(site_id) as unit:
                made += _made(unit, schedule)
                unit.commit()
    return made


def _comes(schedule: Schedule, now: datetime) -> bool:
    return schedule.next_at <= now or _astray(schedule, now)


def _astray(schedule: Schedule, now: datetime) -> bool:
    """It made its last job by a clock that was wrong: its next time may be years away."""
    return schedule.last_at is not None and schedule.last_at - now > _WRONG


def _made(unit: Unit, schedule: Schedule) -> bool:
    now = unit.now()
    comes = schedule.next_at <= now
    next_at = rules.read(schedule.rule, schedule.zone).after(now)
    if not unit.schedules.advance(schedule, next_at, last_at=now if comes else None):
        return False
    # One that still waits or runs is not followed by another: it will do the same work.
    if not comes or unit.jobs.open(schedule.connection_id, schedule.kind):
        return False
    unit.jobs.add(schedule.connection_id, schedule.kind, by="schedule")
    return True


def find(registry: Registry, job_id: str) -> str | None:
    """The id of the site whose job this is: a task knows no more than the job's id."""
    for site_id in sites(registry):
        with registry.read(site_id) as unit:
            if unit.jobs.get(job_id):
                return site_id
    return None
