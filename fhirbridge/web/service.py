"""What every request needs, made once by the composition root."""

from __future__ import annotations

from dataclasses import dataclass, field

from fhirbridge.crash import Crash
from fhirbridge.library import Library
from fhirbridge.registry.store import Registry
from fhirbridge.settings import PREFIX, Settings
from fhirbridge.web.metrics import Metrics
from fhirbridge.web.throttle import Throttle


@dataclass(frozen=True, slots=True)
class Service:
    settings: Settings
    registry: Registry
    library: Library
    crash: Crash
    metrics: Metrics = field(init=False)
    requests: Throttle = field(init=False)  # by client
    logins: Throttle = field(init=False)  # failed ones, by address

    def __post_init__(self) -> None:
        rates = self.settings
        made = {
            "metrics": Metrics(self.registry),
            "requests": Throttle(rates.rate, setting=f"{PREFIX}RATE"),
            "logins": Throttle(rates.login_rate, setting=f"{PREFIX}LOGIN_RATE"),
        }
        for name, value in made.items():
            object.__setattr__(self, name, value)

    def fhir_base(self, host_url: str) -> str:
        """The door's own URL: the setting, or what the request called us."""
        return f"{(self.settings.base_url or host_url).rstrip('/')}/fhir"

    @property
    def token_url(self) -> str:
        """Where clients that sign get their tokens; "" where the settings do not say who we are."""
        base = self.settings.base_url.rstrip("/")
        return f"{base}/oauth/token" if base else ""
