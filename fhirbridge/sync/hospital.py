"""A connection at work: the hospital's server, and which Patients there are which subjects."""

from __future__ import annotations

from dataclasses import dataclass

from fhirbridge.mapping.spec import MappingSet
from fhirbridge.registry.sites import Connection, Site
from fhirbridge.registry.store import Registry
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit
from fhirbridge.servers.client import Server
from fhirbridge.sync.project import patient_id


@dataclass(frozen=True, slots=True)
class Hospital:
    """One connection of one site, ready to be asked."""

    registry: Registry
    site: Site
    connection: Connection
    mappings: MappingSet
    server: Server

    @property
    def source(self) -> str:
        """How messages and origins name this server."""
        return f"connection:{self.connection.name}"

    @property
    def base(self) -> str:
        return self.connection.base_url.rstrip("/")

    def patient_ids(self, unit: Unit, subject: Subject) -> list[str]:
        """The ids of the subject's Patients there, as far as a pull has seen them."""
        return sorted(
            origin.source_id
            for origin in unit.origins.of_record(patient_id(self.mappings, subject))
            if origin.source == self.source and origin.resource_type == "Patient"
        )
