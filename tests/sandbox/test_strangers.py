"""Hospitals that our dialects did not write, pulled on three days and scored (strangers/README.md).

All persons and values are synthetic.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.formats import fhir_json
from fhirbridge.sandbox.score import Score, score, table
from fhirbridge.sync.accept import Context
from fhirbridge.sync.enrol import enrol
from tests.sandbox.hospitals import SITE, Sight
from tests.sync.ward import MAPPINGS, Ward

HERE = Path(__file__).parent / "strangers"
NAMES = sorted(path.name for path in HERE.iterdir() if path.is_dir())


@dataclass
class Stranger:
    """A hospital's folder, on one of its days."""

    folder: Path
    day: int = 1

    def lines(self, name: str) -> list[dict[str, Any]]:
        raw = (self.folder / f"{name}.ndjson").read_bytes()
        return [dict(fhir_json.parse(line)) for line in raw.splitlines()]

    def truth(self) -> dict[str, Any]:
        name = "truth" if self.day == 1 else f"truth-{self.day}"
        return dict(fhir_json.parse((self.folder / f"{name}.json").read_bytes()))

    def mappings(self, folder: Path) -> Path:
        made = folder / "mappings"
        shutil.copytree(MAPPINGS, made)
        own = made / "sites" / SITE
        own.mkdir(parents=True)
        for told in self.folder.glob("*.csv"):
            shutil.copy(told, own)
        return made


@dataclass
class Seen:
    ward: Ward
    sight: Sight
    hospital: Stranger

    def score(self) -> Score:
        return score(self.hospital.truth(), self.sight.held())

    def next_day(self) -> None:
        self.hospital.day += 1
        for change in self.hospital.lines(f"day-{self.hospital.day}"):
            if "put" in change:
                self.ward.put(change["put"])
            else:
                self.ward.delete(change["delete"])


@contextmanager
def opened(folder: Path, name: str) -> Iterator[Seen]:
    there = Stranger(HERE / name)
    resources = there.lines("resources")
    with Ward.open(folder, *resources, mappings=there.mappings(folder)) as ward:
        told = there.truth()
        with ward.registry.unit(ward.site_id) as unit:
            context = Context(unit, ward.hospital.mappings, "", "test")
            for one in told["subjects"]:
                enrol(context, one["subject"], [(told["hospital"]["numbers"], one["number"])])
            unit.commit()
        sight = Sight(ward, None, {})  # type: ignore[arg-type]  # nothing of ours wrote it
        yield Seen(ward, sight, there)


def _whole(made: Score) -> None:
    told = "\n".join([*table(made), *(one.sentence() for one in made.differences)])
    assert made.differences == [], told


def _nothing_of_whoever_is_not_enrolled(there: Seen) -> None:
    numbers = {one["number"] for one in there.hospital.truth()["subjects"]}
    resources = there.hospital.lines("resources")
    strangers = {
        f"Patient/{one['id']}"
        for one in resources
        if one["resourceType"] == "Patient"
        and not numbers & {told["value"] for told in one["identifier"]}
    }
    theirs = {
        f"{one['resourceType']}/{one['id']}"
        for one in resources
        if one.get("subject", {}).get("reference") in strangers
    }
    assert strangers
    assert theirs
    assert not (strangers | theirs) & there.sight.fates.keys()


@pytest.mark.parametrize("name", NAMES)
def test_a_hospital_that_nobody_here_wrote_is_right_on_each_day(tmp_path: Path, name: str) -> None:
    with opened(tmp_path, name) as there:
        assert there.sight.pull() == "complete"
        _whole(there.score())
        for decoy in there.hospital.truth()["decoys"]:
            assert there.sight.fates.get(decoy["source"]) != "applied", decoy
        _nothing_of_whoever_is_not_enrolled(there)
        for _ in (2, 3):
            there.next_day()
            assert there.sight.pull(full=True) == "complete"
            _whole(there.score())
