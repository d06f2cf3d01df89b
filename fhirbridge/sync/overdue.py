"""Files that were rehearsed and that nobody applied in time: their bytes are let go of, for they
tell of persons. What has begun to be applied must go on, and is kept.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.store import Registry
from fhirbridge.registry.uploads import Upload


def sweep(registry: Registry, site_id: str, days: int, *, by: str) -> list[str]:
    """The uploads of a site whose files are gone now."""
    before = _until(registry, days)
    with registry.read(site_id) as unit:
        if not unit.uploads.overdue(before):
            return []
    with registry.unit(site_id) as unit:
        gone = unit.uploads.overdue(before)  # somebody may have begun one meanwhile
        for upload_id in gone:
            unit.uploads.forget(upload_id)
        unit.audit.note("D", "import.expire", actor=by, entities={"uploads": gone})
        unit.commit()
    return gone


def sweep_all(registry: Registry, days: int) -> None:
    with registry.read() as unit:
        sites = [site.id for site in unit.sites.all()]
    for site_id in sites:
        sweep(registry, site_id, days, by="worker")


def must_be_in_time(registry: Registry, upload: Upload, days: int) -> None:
    """Also of what is not swept yet. Raises `BridgeError` (gone)."""
    if upload.state == "rehearsed" and upload.created_at < _until(registry, days):
        raise gone()


def gone() -> BridgeError:
    cause = "the file of this upload is not kept any more"
    return BridgeError(Issue("gone", cause, "upload it again"))


def _until(registry: Registry, days: int) -> datetime:
    return registry.now() - timedelta(days=days)
