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

    def fhir_base(self, host_url: str) -> str:
        """The door's own URL: the setting, or what the request called us."""
        return f"{(self.settings.base_url or host_url).rstrip('/')}/fhir"

    @property
    def token_url(self) -> str:
        """Where clients that sign get their tokens; "" where the settings do not say who we are."""
        base = self.settings.base_url.rstrip("/")
        return f"{base}/oauth/token" if base else ""
