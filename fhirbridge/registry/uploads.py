"""Files that a site uploaded: each once, byte for byte, and how far it was applied."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Select, func

from fhirbridge.registry import upload_tables
from fhirbridge.registry.scope import Scope, conflict

UploadState = Literal["rehearsed", "applying", "applied"]
_TABLE = upload_tables.upload


@dataclass(frozen=True, slots=True)
class Upload:
    """`asked` is what was told beside the bytes, as JSON; with another mapping version the same
    bytes are another upload. `chunks` are committed. An empty body is not kept any more."""

    id: str
    form: str
    name: str
    sha256: str
    asked: str
    asked_sha256: str
    mapping_version: str
    state: UploadState
    body: bytes
    header: list[str]
    counts: Mapping[str, Any]
    chunks: int
    created_by: str
    created_at: datetime
    applied_by: str | None = None
    reason: str | None = None
    applied_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Uploads:
    scope: Scope

    def keep(
        self,
        form: str,
        name: str,
        body: bytes,
        *,
        kept: bytes,
        asked: str,
        mapping_version: str,
        header: list[str],
        counts: Mapping[str, Any],
        by: str,
    ) -> Upload:
        """The upload of these bytes, new or known; of one that was known `kept`, which is all or
        nothing of its bytes, is there again; its counts and its day are those of today as long as
        it was not applied."""
        made = Upload(
            self.scope.ids(),
            form,
            name,
            hashlib.sha256(body).hexdigest(),
            asked,
            hashlib.sha256(asked.encode()).hexdigest(),
            mapping_version,
            "rehearsed",
            kept,
            header,
            counts,
            0,
            by,
            self.scope.clock(),
        )
        once = ("form", "sha256", "asked_sha256", "mapping_version")
        values = {name: getattr(made, name) for name in Upload.__slots__}
        if self.scope.add_new(_TABLE, once=once, **values):
            return made
        found = self.scope.only(
            Upload, self._rows().where(*(_TABLE.c[n] == values[n] for n in once)), "upload"
        )
        if found.state == "rehearsed":
            again = {"name": name, "created_at": made.created_at}
            return self._change(found.id, body=kept, counts=counts, **again)
        return found if found.state == "applied" else self._change(found.id, body=kept)

    def get(self, upload_id: str) -> Upload | None:
        return self.scope.one(Upload, self._rows().where(_TABLE.c.id == upload_id))

    def same(self, form: str, body: bytes, asked: str, mapping_version: str) -> Upload | None:
        """The upload of the same bytes, if there is one."""
        named = {
            "form": form,
            "sha256": hashlib.sha256(body).hexdigest(),
            "asked_sha256": hashlib.sha256(asked.encode()).hexdigest(),
            "mapping_version": mapping_version,
        }
        return self.scope.row(_TABLE, Upload, **named)

    def latest(self, form: str) -> Upload | None:
        """The last one of the form that was applied."""
        named = (_TABLE.c.form == form, _TABLE.c.state == "applied")
        rows = self._rows().where(*named).order_by(_TABLE.c.applied_at.desc(), _TABLE.c.id)
        return self.scope.one(Upload, rows.limit(1))

    def all(self) -> list[Upload]:
        """The newest first."""
        return self.scope.many(Upload, self._rows().order_by(_TABLE.c.created_at.desc()))

    def begin(self, upload_id: str, *, by: str, reason: str) -> Upload:
        return self._change(upload_id, state="applying", applied_by=by, reason=reason, counts={})

    def advance(self, upload: Upload, chunk: int, counts: Mapping[str, int]) -> Upload:
        """A chunk more is committed with this unit; what it counted is added."""
        sums = Counter(dict(upload.counts))
        sums.update(counts)
        named = (_TABLE.c.id == upload.id, _TABLE.c.chunks == chunk - 1)
        changed = self.scope.update(_TABLE).where(*named).values(chunks=chunk, counts=dict(sums))
        if not self.scope.affected(changed):
            raise conflict("this file is being applied by somebody else", "wait for its end")
        return replace(upload, chunks=chunk, counts=dict(sums))  # its bytes are not read each time

    def finish(self, upload_id: str, *, keep: bool) -> Upload:
        """Applied; without its bytes where something in them may not be kept."""
        gone = {} if keep else {"body": b""}
        return self._change(upload_id, state="applied", applied_at=self.scope.clock(), **gone)

    def overdue(self, before: datetime) -> list[str]:
        """Those that were rehearsed before then, that nobody has begun to apply, and whose bytes
        are still kept."""
        named = (
            _TABLE.c.state == "rehearsed",
            _TABLE.c.created_at < before,
            func.length(_TABLE.c.body) > 0,
        )
        return [one.id for one in self.scope.many(Upload, self._rows().where(*named))]

    def forget(self, upload_id: str) -> None:
        """The bytes, for good."""
        self._change(upload_id, body=b"")

    def _change(self, upload_id: str, **values: Any) -> Upload:
        named = _TABLE.c.id == upload_id
        self.scope.affected(self.scope.update(_TABLE).where(named).values(**values))
        return self.scope.only(Upload, self._rows().where(named), "upload")

    def _rows(self) -> Select[Any]:
        return self.scope.select(_TABLE, Upload)
