"""One message of a feed from its frame to its answers: one transaction, and the answers behind it.

Where nothing could be stored there is no answer, and the sender is hung up on: every engine sends
again then (docs/reference/hl7v2.md).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fhirbridge.crash import Crash
from fhirbridge.library import Library
from fhirbridge.listener.metrics import AWAY, LATE, Metrics
from fhirbridge.listener.sharing import Sharing
from fhirbridge.outcome import BridgeError
from fhirbridge.registry.faults import Collision
from fhirbridge.registry.feeds import Feed
from fhirbridge.registry.store import Registry
from fhirbridge.sync import additions, hl7v2_door, rehearsed
from fhirbridge.sync.hl7v2_door import Taken

LOG = logging.getLogger("fhirbridge.listener")
_TRIES = 3
_AT_ONCE = 8  # transactions; the others wait for their turn, not for a connection of the database
_TOGETHER = 16  # messages of one transaction


class NotStored(Exception):
    """Nothing of the message is safe here. `answers`: what is said before it is hung up."""

    def __init__(self, answers: list[bytes]) -> None:
        super().__init__("nothing was stored")
        self.answers = answers


def tell(level: int, event: str, **values: Any) -> None:
    """A line of the log: ids, counts and reasons (`web.logs` drops what is not in its list)."""
    LOG.log(level, event, extra={"values": values})


@dataclass(frozen=True, slots=True)
class Came:
    """A message, by whom and of which site."""

    feed: Feed
    site: str
    body: bytes


Stored = tuple[Taken, str, str]
"""With our MSH-7 and MSH-10."""


@dataclass
class Desk:
    """Takes the messages of all feeds."""

    registry: Registry
    library: Library
    crash: Crash
    metrics: Metrics = field(default_factory=Metrics)
    within: float = 5.0  # seconds; engines send again when they waited that long
    turns: Sharing[Came, Stored] = field(init=False)

    def __post_init__(self) -> None:
        # SQLite has one writer: who waits for it shares its next commit. PostgreSQL has many.
        single = self.registry.engine.dialect.name == "sqlite"
        leaders, most = (1, _TOGETHER) if single else (_AT_ONCE, 1)
        self.turns = Sharing(self._together, self._alone, leaders=leaders, most=most)

    def take(self, feed: Feed, site: str, body: bytes) -> list[bytes]:
        """The answers. Raises `NotStored`."""
        begun = time.monotonic()
        # Of a rehearsal nothing is committed: it shares with nobody.
        group = feed.site_id if not feed.rehearsal else f"{feed.id} {id(body)}"
        try:
            taken, at, own = self.turns.take(Came(feed, site, body), group, seconds=self.within)
        except BridgeError as fault:
            self.metrics.came(AWAY)
            tell(logging.WARNING, "not stored", client=feed.name, category=_category(fault))
            raise NotStored(self._busy(site, body)) from fault
        told = hl7v2_door.answers(body, taken, at=at, id=own)
        seconds = time.monotonic() - begun
        self.metrics.came(LATE if seconds > self.within else taken.fate)
        self.metrics.answered(seconds)
        self._log(feed, taken)
        if seconds > self.within:
            # Its sender has given up, and would take the answer for that of its next message.
            # It is stored: when it comes again, the stored answer goes out at once.
            tell(logging.WARNING, "answered too late", client=feed.name)
            raise NotStored([])
        return told

    def _busy(self, site: str, body: bytes) -> list[bytes]:
        if self.library.of_site(site).shapes.feed.busy != "AR":
            return []
        now = self.registry.now()
        return hl7v2_door.busy(body, at=f"{now:%Y%m%d%H%M%S}+0000", id=f"{now:%Y%m%d%H%M%S%f}")

    def _alone(self, came: Came, *, tries: int = _TRIES) -> Stored:
        try:
            return self._together([came])[0]
        except Collision:
            if tries == 1:
                raise
        return self._alone(came, tries=tries - 1)

    def _together(self, all_of_them: Sequence[Came]) -> list[Stored]:
        """In one transaction, all or none; that of a rehearsal is left without its commit."""
        feed, site = all_of_them[0].feed, all_of_them[0].site
        made = []
        with self.registry.unit(feed.site_id) as unit:
            for one in all_of_them:
                unit.feeds.must_be_open(one.feed.id)
                mappings = additions.mappings(self.library, unit, site)
                taken = hl7v2_door.take(unit, mappings, one.feed.source, one.body)
                now, own = unit.now(), unit.new_id().replace("-", "")[:20]
                made.append((taken, f"{now:%Y%m%d%H%M%S}+0000", own))
            if not feed.rehearsal:
                self.crash.reach("ingest.before-commit")
                unit.commit()
                self.crash.reach("ingest.after-commit")
        if feed.rehearsal:
            self._note(feed, made[0][0])
        return made

    def _note(self, feed: Feed, taken: Taken) -> None:
        rehearsed.note(
            self.registry,
            feed.site_id,
            actor=feed.source,
            kind=hl7v2_door.KIND,
            counts=taken.receipt.counts,
            subjects=[one.subject_id for one in taken.receipt.entries if one.subject_id],
        )

    def _log(self, feed: Feed, taken: Taken) -> None:
        counts = {name: n for name, n in taken.receipt.counts.items() if n}
        told = {"client": feed.name, "receipt": taken.receipt.id, "kind": taken.fate}
        tell(logging.INFO, "message", **told, counts=counts)


def _category(fault: BridgeError) -> str:
    return fault.issues[0].category
