"""A connection at work: the hospital's server, and which Patients there are which subjects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from fhirbridge.mapping.spec import MappingSet
from fhirbridge.options import ConnectionOptions
from fhirbridge.outcome import Issue
from fhirbridge.registry.runs import Run
from fhirbridge.registry.sites import Connection, Site
from fhirbridge.registry.store import Registry
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit
from fhirbridge.servers.client import Server
from fhirbridge.servers.connecting import Kept, connect
from fhirbridge.settings import Settings
from fhirbridge.sync.holding import Holding
from fhirbridge.sync.project import patient_id


@dataclass(frozen=True, slots=True)
class Hospital:
    """One connection of one site, ready to be asked."""

    registry: Registry
    site: Site
    connection: Connection
    mappings: MappingSet
    server: Server
    holding: Holding | None = None  # the lease of the run that works here

    @property
    def source(self) -> str:
        """How messages and origins name this server."""
        return f"connection:{self.connection.name}"

    @property
    def base(self) -> str:
        return self.connection.base_url.rstrip("/")

    @property
    def options(self) -> ConnectionOptions:
        return ConnectionOptions.of(self.connection.options)

    @contextmanager
    def unit(self) -> Iterator[Unit]:
        """A unit of the site in which a run writes what it has done.

        Raises `BridgeError` (conflict) where the run's lease was taken by another one. That the
        lease is ours holds until the commit, so nothing is written after it was lost.
        """
        with self.registry.unit(self.site.id) as unit:
            if self.holding is not None:
                self.holding.renew(unit)
            yield unit

    @contextmanager
    def reading(self) -> Iterator[Unit]:
        """Between the steps of a run, which ends here where it has lost its lease."""
        if self.holding is not None:
            self.holding.check()
        with self.registry.read(self.site.id) as unit:
            yield unit

    def patient_ids(self, unit: Unit, subject: Subject, *, since: datetime | None) -> list[str]:
        """The ids of the subject's Patients there that a pull has seen since then.

        One that a search by the subject's identifiers finds no more is nobody's: an identifier may
        have been given to the wrong Patient, and corrected.
        """
        return sorted(
            origin.source_id
            for origin in unit.origins.of_record(patient_id(self.mappings, subject))
            if origin.source == self.source
            and origin.resource_type == "Patient"
            and (since is None or origin.seen_at >= since)
        )

    def finish(
        self, unit: Unit, run: Run, counts: Mapping[str, int], reasons: Sequence[str]
    ) -> Run:
        """End the run, complete or incomplete with reasons; `counts` join what it has counted."""
        counted = unit.runs.add_counts(run.id, counts)
        state: Literal["complete", "incomplete"] = "incomplete" if reasons else "complete"
        return unit.runs.finish(run.id, state, counted.counts, reasons)

    def doubtful(self, unit: Unit) -> frozenset[str]:
        """The ids of Patients there of whom it waits to be settled who they are."""
        return frozenset(
            held.source_id
            for held in unit.quarantine.waiting(limit=1_000_000)
            if held.resource_type == "Patient" and held.source_id
            if held.part == 0 or any(map(_of_whom, held.issues))
            if self.sent(unit, held.message_id)
        )

    def sent(self, unit: Unit, message_id: str) -> bool:
        message = unit.messages.get(message_id)
        return message is not None and message.source == self.source


def _of_whom(issue: Issue) -> bool:
    """Of the Patient as a whole, not of a field of it: who that is."""
    return issue.category == "conflict" and not issue.expression


def server_of(connection: Connection, settings: Settings) -> Server:
    """The connection's server, ready to be asked."""
    kept = Kept(
        connection.base_url,
        connection.auth_kind,
        connection.secret or "",
        connection.login,
        str(connection.learned.get("software", "")),
        ConnectionOptions.of(connection.options),
    )
    return connect(kept, limits=settings, networks=settings.networks)
