"""A run's view of the writability profile: read from the registry, asked of the server when it is
old, and corrected by what the server refuses and takes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fhirbridge.outcome import BridgeError
from fhirbridge.registry.unit import Unit
from fhirbridge.servers.answer import Answer
from fhirbridge.sync.delivery import writable as words
from fhirbridge.sync.delivery.parcel import Parcel
from fhirbridge.sync.delivery.writable import Writable, declared
from fhirbridge.sync.hospital import Hospital


@dataclass
class Profile:
    """`written` carries out what it is given in a transaction of its own."""

    hospital: Hospital
    written: Callable[[Callable[[Unit], Any]], Any]
    writable: Writable = field(init=False)

    def __post_init__(self) -> None:
        self.writable = Writable(tried=self.hospital.options.writes == "tried")

    def ask(self) -> None:
        """Of the server, where what is known is old. One that does not answer is asked next time:
        what is not known is tried."""
        self.read()
        with self.hospital.reading() as unit:
            now = unit.now()
        if not self.writable.stale(now):
            return
        try:
            answer = self.hospital.server.capability()
        except BridgeError:
            return
        if answer.status >= 400:
            return
        said = [*declared(answer.body or {})]
        listed = {kind for kind, _, _ in said}
        wanted = {file.resource for file in self.hospital.mappings.files.values()}
        unlisted = sorted(wanted - listed) if listed else []
        said += [(kind, words.CREATE, False) for kind in unlisted]
        said += [(kind, words.UPDATE, False) for kind in unlisted]
        connection = self.hospital.connection.id

        def keep(unit: Unit) -> None:
            unit.writability.forget(connection)
            for kind, ability, allowed in said:
                if kind in wanted:
                    unit.writability.learn(
                        connection, kind, ability, allowed=allowed, cause="declared"
                    )
            unit.writability.learn(
                connection, words.ANY, words.ASKED, allowed=True, cause="declared"
            )

        self.written(keep)
        self.read()

    def read(self) -> None:
        with self.hospital.reading() as unit:
            rows = unit.writability.of_connection(self.hospital.connection.id)
        self.writable.know(rows)

    def learn(self, kind: str, ability: str, allowed: bool, cause: str, times: int = 1) -> None:
        connection = self.hospital.connection.id

        def keep(unit: Unit) -> None:
            unit.writability.learn(
                connection, kind, ability, allowed=allowed, cause=cause, times=times
            )

        self.written(keep)
        self.read()

    def refusal(self, parcel: Parcel, answer: Answer) -> None:
        """One more of its kind in a row."""
        ability = words.kind_of(answer, parcel.row.block)
        before = self.writable.known.get((parcel.row.type, ability))
        times = (before.times if before else 0) + 1
        self.learn(parcel.row.type, ability, False, str(answer.status), times)

    def taken(self, parcel: Parcel) -> None:
        """It takes the block after all: what it refused lay in the values."""
        for kind, ability in [*self.writable.known]:
            refused = ability.startswith(f"{words.REFUSED}{parcel.row.block} ")
            if kind == parcel.row.type and refused and self.writable.known[kind, ability].times:
                self.learn(kind, ability, True, "taken", 0)
