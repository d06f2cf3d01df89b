"""The JSON API: what the registry holds of the caller's site, beside the FHIR door.

One file a noun. An id of another site answers exactly as one that never was.
"""

from __future__ import annotations

from flask import Flask

from fhirbridge.web.api import (
    crosswalk_additions,
    deliveries,
    jobs,
    messages,
    proposals,
    quarantine,
    receipts,
    records,
    replays,
    subjects,
)
from fhirbridge.web.api.document import Document

NOUNS = (
    receipts.noun, messages.noun, quarantine.noun, subjects.noun, records.noun, proposals.noun,
    crosswalk_additions.noun, replays.noun, deliveries.noun, jobs.noun,
)  # fmt: skip


def install(app: Flask) -> None:
    document = Document(app)
    for noun in NOUNS:
        document.register_blueprint(noun.blueprint)
