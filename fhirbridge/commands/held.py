"""The lease of a run that a person began: the same that background jobs take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from fhirbridge.commands.shared import Workshop
from fhirbridge.jobs import holder
from fhirbridge.registry.leases import LeaseKind
from fhirbridge.sync.holding import Holding
from fhirbridge.sync.hospital import Hospital


@contextmanager
def held(
    workshop: Workshop, hospital: Hospital, kind: LeaseKind, *, steal: bool
) -> Iterator[Hospital]:
    """The hospital with the lease of this run, the same that background jobs take. Raises
    `BridgeError` (conflict) with who holds it.
    """
    seconds = workshop.settings.lease
    with workshop.registry.unit(hospital.site.id) as unit:
        lease = unit.leases.take(
            hospital.connection.id,
            kind,
            holder.me(),
            seconds=seconds,
            gone=holder.gone,
            steal=steal,
        )
        unit.commit()
    try:
        with hospital.server:
            yield replace(hospital, holding=Holding(lease, seconds))
    finally:
        with workshop.registry.unit(hospital.site.id) as unit:
            unit.leases.release(lease)
            unit.commit()
