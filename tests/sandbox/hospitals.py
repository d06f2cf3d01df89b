"""A pull from a hospital that speaks a dialect, scored by its own truth. All of it is synthetic."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fhirbridge.registry.store import Registry
from fhirbridge.sandbox import days
from fhirbridge.sandbox.dialects.chart import Written
from fhirbridge.sandbox.hospitals import DIALECTS, crosswalk_lines, written
from fhirbridge.sandbox.score import Score, score
from fhirbridge.study import records
from fhirbridge.study.records import Record
from fhirbridge.sync.accept import Context
from fhirbridge.sync.enrol import enrol
from fhirbridge.sync.hospital import Hospital
from fhirbridge.sync.project import fields_of
from fhirbridge.sync.pull import Pull
from tests.sync.ward import MAPPINGS, Ward

SITE = "alpha"


@dataclass
class Sight:
    ward: Ward | Server
    hospital: Written
    fates: dict[str, str]  # of each resource of the last pull

    def pull(self, *, full: bool = False) -> str:
        told: list[str] = []
        run = Pull(self.ward.hospital, 50, tell_each=told.append, full=full).run()
        self.fates = {line.split(": ")[0]: line.split(": ")[1].split(" ")[0] for line in told}
        return run.state

    def day(self, day: int) -> None:
        """As the staff there would: what changed is written, what is gone is deleted."""
        before = self.hospital
        self.hospital = written(before.dialect, len(before.charts), seed=before.seed, day=day)
        puts, deleted = days.changes(before, self.hospital)
        assert isinstance(self.ward, Ward)
        for resource in puts:
            self.ward.put(resource)
        for path in deleted:
            self.ward.delete(path)

    def held(self) -> list[dict[str, Any]]:
        """As `fhirbridge record export` prints it."""
        study, told = self.ward.hospital.mappings.study, []
        with self.ward.registry.read(self.ward.site_id) as unit:
            for subject in unit.subjects.all():
                ids = [{"system": s, "value": v} for s, v in unit.subjects.identities(subject.id)]
                for stored in unit.records.all(subject_id=subject.id):
                    if stored.status == "active":
                        made = Record(subject.study_id, stored.form, fields_of(stored))
                        one = records.to_json(study, made, id=stored.id)
                        told.append({**one, "subject_identifiers": ids})
        return told

    def score(self) -> Score:
        return score(self.hospital.truth(), self.held())


@dataclass(frozen=True)
class Server:
    """A site whose hospital is a server that is not ours."""

    hospital: Hospital

    @property
    def registry(self) -> Registry:
        return self.hospital.registry

    @property
    def site_id(self) -> str:
        return self.hospital.site.id


def with_lines(folder: Path, dialect: str) -> Path:
    """Mapping files to which the lines of the hospital's own codes are added."""
    mappings = folder / "mappings"
    shutil.copytree(MAPPINGS, mappings)
    own = mappings / "sites" / SITE
    own.mkdir(parents=True)
    for name, text in crosswalk_lines(dialect).items():
        (own / name).write_text(text, encoding="utf-8")
    return mappings


def enrolled(ward: Ward | Server, made: Written) -> Sight:
    """Everybody of the hospital is of the study."""
    with ward.registry.unit(ward.site_id) as unit:
        context = Context(unit, ward.hospital.mappings, "", "test")
        for chart in made.charts:
            number = (DIALECTS[made.dialect].numbers, chart.person.mrn)
            enrol(context, chart.person.study_id, [number])
        unit.commit()
    return Sight(ward, made, {})


@contextmanager
def hospital(folder: Path, dialect: str, patients: int, *, seed: int = 1) -> Iterator[Sight]:
    """Everybody is enrolled; the site has the lines of the hospital's own codes."""
    made = written(dialect, patients, seed=seed)
    with Ward.open(folder, *made.resources(), mappings=with_lines(folder, dialect)) as ward:
        yield enrolled(ward, made)
