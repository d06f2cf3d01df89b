"""What every request needs, made once by the composition root."""

from __future__ import annotations

from dataclasses import dataclass

from fhirbridge.crash import Crash
from fhirbridge.library import Library
from fhirbridge.registry.store import Registry
from fhirbridge.settings import Settings


@dataclass(frozen=True, slots=True)
class Service:
    settings: Settings
    registry: Registry
    library: Library
    crash: Crash

    @property
    def fhir_base(self) -> str:
        return f"{self.settings.base_url.rstrip('/')}/fhir"
