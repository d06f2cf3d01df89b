"""fhirbridge: records of a study as FHIR R4, and back.

    import fhirbridge
    study = fhirbridge.load("mappings")
    resources = fhirbridge.encode(study, record, patient={"reference": "Patient/1"})

Loaded when they are first asked for: importing the package costs nothing.
"""

import importlib
from typing import Any

__all__ = ["Record", "decode", "encode", "load", "losses", "models", "validate"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'fhirbridge' has no attribute '{name}'")
    return getattr(importlib.import_module("fhirbridge.api"), name)
