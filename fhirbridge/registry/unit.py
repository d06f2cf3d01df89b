"""The unit of work: one transaction for one site, with every repository hanging on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from fhirbridge.outcome import BridgeError
from fhirbridge.registry.audit import Audit, Trail
from fhirbridge.registry.crosswalk_lines import CrosswalkLines
from fhirbridge.registry.deliveries import Deliveries
from fhirbridge.registry.erasures import Erasures
from fhirbridge.registry.feeds import Feeds
from fhirbridge.registry.history import History
from fhirbridge.registry.jobs import Jobs
from fhirbridge.registry.leases import Leases
from fhirbridge.registry.ledger import Ledger
from fhirbridge.registry.listings import Listings
from fhirbridge.registry.messages import Messages, Quarantine
from fhirbridge.registry.origins import Origins
from fhirbridge.registry.proposals import Proposals
from fhirbridge.registry.receipts import Receipts
from fhirbridge.registry.records import Name, Records
from fhirbridge.registry.resources import Resources
from fhirbridge.registry.runs import Cursors, Readings, Runs
from fhirbridge.registry.schedules import Schedules
from fhirbridge.registry.scope import Scope
from fhirbridge.registry.sightings import Sightings
from fhirbridge.registry.sites import Clients, Connections, Sites
from fhirbridge.registry.smart import Assertions, Signers, Tokens
from fhirbridge.registry.subjects import Subjects, hold
from fhirbridge.registry.tombstones import Tombstones
from fhirbridge.registry.traces import Traces
from fhirbridge.registry.uploads import Uploads
from fhirbridge.registry.writability import Writability


class Unit:
    """Made by `Registry.unit` and `Registry.read`; left without `commit`, nothing was written."""

    def __init__(self, scope: Scope, *, writes: bool, request_id: str | None = None) -> None:
        self._scope = scope
        self._writes = writes
        self.site_id = scope.site
        self.audit = Audit(scope, request_id)
        self.trail = Trail(scope)
        self.ledger = Ledger(scope)
        self.sites = Sites(scope)
        self.clients = Clients(scope)
        self.signers = Signers(scope)
        self.assertions = Assertions(scope)
        self.tokens = Tokens(scope)
        self.connections = Connections(scope)
        self.feeds = Feeds(scope)
        self.subjects = Subjects(scope)
        self.messages = Messages(scope)
        self.receipts = Receipts(scope)
        self.quarantine = Quarantine(scope)
        self.records = Records(scope)
        self.origins = Origins(scope)
        self.proposals = Proposals(scope)
        self.resources = Resources(scope)
        self.history = History(scope)
        self.runs = Runs(scope)
        self.cursors = Cursors(scope)
        self.readings = Readings(scope)
        self.sightings = Sightings(scope)
        self.deliveries = Deliveries(scope)
        self.writability = Writability(scope)
        self.listings = Listings(scope)
        self.tombstones = Tombstones(scope)
        self.traces = Traces(scope)
        self.erasures = Erasures(scope)
        self.crosswalk_lines = CrosswalkLines(scope)
        self.leases = Leases(scope)
        self.jobs = Jobs(scope)
        self.schedules = Schedules(scope)
        self.uploads = Uploads(scope)

    def commit(self) -> None:
        """Make what was written durable, and its audit. What is written afterwards is a transaction
        of its own.
        """
        if not self._writes:
            raise ValueError("this unit only reads")
        self.flush()
        self.audit.flush()
        connection = self._scope.connection
        try:
            connection.commit()
        except (BridgeError, SQLAlchemyError):
            # SQLite leaves the transaction open where COMMIT fails; the pool takes it for ended.
            connection.invalidate()
            raise
        self._scope.gathered.drop()  # the next transaction sees what others wrote

    def flush(self) -> None:
        """Write what was gathered until now. Raises `BridgeError` where it cannot be written."""
        self._scope.flush()

    def hold(self, subject_ids: Iterable[str]) -> bool:
        """Order for each patient: who changes what is of these subjects takes turns. True where one
        was not held until now, and what was read of it before may have changed."""
        return hold(self._scope, subject_ids)

    def foresee(self, wanted: Mapping[Name, str]) -> None:
        """These records, by business key and id, are about to be read and written: what is known of
        them is looked up together."""
        if wanted.keys() <= self._scope.gathered.names.keys():
            return
        found = self.records.know(wanted)
        new = [id for id, record in found.items() if record is None]
        self.proposals.know([id for id in found if id not in new], none=new)
        self.resources.know((), none=new)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """A part of the transaction: left by an exception, what was written in it never was."""
        try:
            with self._scope.connection.begin_nested():
                yield
                self.flush()
        except BaseException:
            self._scope.gathered.drop()
            raise

    def now(self) -> datetime:
        return self._scope.clock()

    def new_id(self) -> str:
        return self._scope.ids()
