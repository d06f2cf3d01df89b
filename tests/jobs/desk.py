"""One installation in a folder, seen from inside; its workers are processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fhirbridge.library import Library
from fhirbridge.registry.jobs import Job
from fhirbridge.registry.opening import open_registry
from fhirbridge.registry.runs import Cursor, Run
from fhirbridge.registry.store import Registry
from fhirbridge.sandbox import synthetic
from fhirbridge.sandbox.patients import hospital_resources
from fhirbridge.sandbox.server import Hospital
from fhirbridge.sync import jobs
from fhirbridge.sync.accept import Context
from fhirbridge.sync.enrol import enrol
from fhirbridge.sync.pull import ties
from fhirbridge.sync.verify import verify
from tests import databases
from tests.journeys import story
from tests.journeys.bridge import SITE, Bridge, end

KILLED = -signal.SIGKILL


@dataclass
class Desk:
    bridge: Bridge
    hospital: Hospital
    registry: Registry
    site_id: str
    connection_id: str
    begun: list[subprocess.Popen[str]] = field(default_factory=list)

    @classmethod
    @contextmanager
    def open(
        cls, folder: Path, *, subjects: int = 4, page_size: int = 2, **settings: str
    ) -> Iterator[Desk]:
        hospital = Hospital(hospital_resources(subjects))
        bridge = Bridge(folder, {"PAGE_SIZE": str(page_size), **settings})
        registry = open_registry(databases.settings(folder))
        with registry.unit() as unit:
            site = unit.sites.add(SITE, unmatched="enrol")
            unit.commit()
        with hospital.running() as base:
            with registry.unit(site.id) as unit:
                connection = unit.connections.add("ward", base)
                context = Context(unit, Library(story.MAPPINGS).of_site(SITE), "", "test")
                for n in range(1, subjects + 1):
                    known = [(synthetic.MRN, synthetic.mrn(n))]
                    enrol(context, synthetic.study_id(n), known)
                unit.commit()
            desk = cls(bridge, hospital, registry, site.id, connection.id)
            try:
                yield desk
            finally:
                for process in desk.begun:
                    end(process, signal.SIGKILL)
                registry.close()

    def begin(self, *words: str, **settings: str) -> subprocess.Popen[str]:
        made = subprocess.Popen(
            [sys.executable, "-m", "fhirbridge", *words],
            env=self.bridge.environment(**settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.begun.append(made)
        return made

    def add(self, kind: str) -> str:
        with self.registry.unit(self.site_id) as unit:
            made = jobs.add(unit, kind, None, by="test")
            unit.commit()
        return made.id

    def job(self, job_id: str) -> Job:
        with self.registry.read(self.site_id) as unit:
            return jobs.known(unit, job_id)

    def until_done(self, job_id: str) -> None:
        until(lambda: self.job(job_id).state in ("done", "dead"))
        assert self.job(job_id).state == "done", self.job(job_id)

    def runs(self) -> dict[str, tuple[Run, dict[str, Cursor]]]:
        """The newest pull of each state, with its cursors."""
        states: Any = ("running", "complete", "incomplete", "failed")
        with self.registry.read(self.site_id) as unit:
            found = {s: unit.runs.latest(self.connection_id, "pull", state=s) for s in states}
            return {s: (run, unit.cursors.of_run(run.id)) for s, run in found.items() if run}

    def told(self) -> dict[Any, Any]:
        """Every record, by subject, form and key, as its fields, revisions included."""
        with self.registry.read(self.site_id) as unit:
            whose = {one.id: one.study_id for one in unit.subjects.all()}
            return {
                (whose[one.subject_id], one.form, one.key): (dict(one.fields), one.number)
                for one in unit.records.all()
            }

    def is_well(self) -> None:
        """The ledger ties, the trail is unbroken, resources are what the mapping makes of them."""
        with self.registry.read(self.site_id) as unit:
            findings = verify(unit, Library(story.MAPPINGS).of_site(SITE))
        assert [fault for one in findings for fault in one.faults] == []
        assert not self.registry.faults()
        assert all(ties(run) for run, _ in self.runs().values())


def until(true: Callable[[], bool], *, seconds: float = 240) -> None:
    patience = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < patience, "it never came"
        time.sleep(0.05)


def children(pid: int) -> set[int]:
    """The living children; a dead one that nobody has waited for yet is none."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,stat=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    rows = (line.split() for line in listed.stdout.splitlines())
    return {int(row[0]) for row in rows if not row[1].startswith("Z")}


def stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
