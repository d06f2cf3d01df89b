"""The registry that the settings name."""

from __future__ import annotations

from fhirbridge.registry.store import Registry
from fhirbridge.registry.vault import key
from fhirbridge.settings import Settings


def open_registry(settings: Settings) -> Registry:
    """Made or upgraded where need be."""
    if not settings.database:
        settings.data.mkdir(parents=True, exist_ok=True)
    return Registry.open(settings.database_url, key=key(settings.vault_key))
