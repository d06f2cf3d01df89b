"""The work of a run: what is outstanding at one server, in the order in which it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from fhirbridge.registry.deliveries import Delivery
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.runs import Run, RunState
from fhirbridge.registry.unit import Unit
from fhirbridge.sync.consent import standing
from fhirbridge.sync.delivery import wanted
from fhirbridge.sync.delivery.certificate import STATES
from fhirbridge.sync.delivery.parcel import Packer
from fhirbridge.sync.hospital import Hospital

Pair = tuple[ResourceRow, Delivery | None]


@dataclass(frozen=True, slots=True)
class Todo:
    """`rest`: until when the server has asked to be left alone."""

    run: Run
    work: list[Pair]
    packer: Packer
    rest: datetime | None


def begun(unit: Unit, hospital: Hospital) -> Todo:
    """The run, or the one that a killed process left, and what it has to do."""
    connection = hospital.connection.id
    run = unit.runs.open(connection, "deliver") or unit.runs.start(connection, "deliver")
    work = sorted(outstanding(unit, hospital).values(), key=Turn(wanted.ranks(hospital.mappings)))
    done = sum(run.counts.get(state, 0) for state in STATES)
    told = done + len(work) - run.counts.get("outstanding", 0)
    if told:
        run = unit.runs.add_counts(run.id, {"outstanding": told})
    rest = unit.deliveries.asked_to_wait(connection)
    packer = Packer(hospital, _pulled_at(unit, connection), hospital.doubtful(unit))
    return Todo(run, work, packer, rest if rest and rest > unit.now() else None)


def outstanding(unit: Unit, hospital: Hospital) -> dict[str, Pair]:
    """By resource: what the server lacks, what was withdrawn here, and what is there of those who
    withdrew their consent."""
    connection = hospital.connection.id
    names = wanted.blocks(hospital.mappings, hospital.options.deliver)
    found: dict[str, Pair] = {
        row.id: (row, delivery)
        for row, delivery in unit.deliveries.outstanding(connection, blocks=names)
    }
    found |= {row.id: (row, one) for row, one in unit.deliveries.gone(connection)}
    if hospital.options.take_back:
        ended = _ended(unit)
        found |= {row.id: (row, one) for row, one in unit.deliveries.held_by(connection, ended)}
    return found


@dataclass(frozen=True, slots=True)
class Turn:
    """What failed before comes last; what is referred to comes before what refers."""

    ranks: Mapping[str, int]

    def __call__(self, pair: Pair) -> tuple[int, int, str, str]:
        row, delivery = pair
        failures = delivery.failures if delivery else 0
        return failures, self.ranks.get(row.block, 0), row.type, row.fhir_id


def _ended(unit: Unit) -> list[str]:
    """Who has withdrawn consent."""
    subjects = {one.subject_id for one in unit.records.all("consent")}
    return sorted(id for id in subjects if standing(unit, id) == "withdrawn")


def _pulled_at(unit: Unit, connection_id: str) -> datetime | None:
    """When the last pull that came to its end began."""
    ends: tuple[RunState, ...] = ("complete", "incomplete")
    runs = [unit.runs.latest(connection_id, "pull", state=state) for state in ends]
    return max((run.started_at for run in runs if run), default=None)
