"""The store: sites, subjects, messages, records, resources and runs, behind one unit of work."""

from fhirbridge.registry.store import Registry
from fhirbridge.registry.unit import Unit

__all__ = ["Registry", "Unit"]
