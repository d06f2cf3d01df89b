"""The door over HTTP: transactions of 20 entries, durable and judged, by several clients at once,
beside a server that only parses and one that judges by fhir.resources; and where the time goes.

The clients share the machine with the server, so each figure is a lower bound. gunicorn's sync
workers end a connection after each answer: clients connect for each transaction. Synthetic data.
"""

from __future__ import annotations

import http.client
import itertools
import multiprocessing
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from flask import Flask
from sqlalchemy import URL, Connection, create_engine, text

from bench.pipelines import row
from fhirbridge.app import create_app
from fhirbridge.commands.encode_command import bundles
from fhirbridge.formats import fhir_json
from fhirbridge.library import Library
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.sandbox import synthetic
from fhirbridge.settings import Settings
from fhirbridge.study.records import Record, Value
from fhirbridge.sync import ingest, judge, reader
from fhirbridge.sync.accept import Context
from fhirbridge.web import taking
from tests import postgres
from tests.web.sender import Sender

ENTRIES, SCORES, SUBJECTS, CLIENTS = 20, 4, 40, 4
SECONDS = 4.0
GOAL_PARSE, GOAL_MODELS = 0.6, 5.0
_FIRST = date(2020, 1, 1)
_READY = 60.0  # seconds that a server may take to start


def transactions(mappings: MappingSet) -> Iterator[bytes]:
    """Without end, and each new: five assessments of one subject, of four scores each."""
    rounds = 0
    while True:
        for number in range(1, SUBJECTS + 1):
            scores = [_assessment(number, rounds * 5 + n) for n in range(ENTRIES // SCORES)]
            ((_, made),) = bundles(mappings, scores)
            assert len(made["entry"]) == ENTRIES
            yield fhir_json.dump(made)
        rounds += 1


def _assessment(number: int, day: int) -> Record:
    pain = (number + day) % 11
    fields: dict[str, Value] = {
        "assessed_on": (_FIRST + timedelta(days=day)).isoformat(),
        "pain_rest": pain,
        "pain_activity": min(10, pain + 2),
        "promis_gph_t": Decimal("40.50") + day % 9,
        "ecog": day % 4,
    }
    return Record(synthetic.study_id(number), "assessment", fields, "synthetic")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server has its data, and the key of a client there."""

    folder: Path
    database: str
    key: str

    @classmethod
    def make(cls, folder: Path, database: str = "") -> Place:
        folder.mkdir()
        app = create_app(Settings(data=folder, database=database, rate=""))
        sender = Sender.at(app, "bench")
        for number in range(1, SUBJECTS + 1):
            sender.enrol(synthetic.study_id(number), synthetic.mrn(number))
        sender.service.registry.close()
        return cls(folder, database, sender.key)

    @property
    def variables(self) -> dict[str, str]:
        told = {"DATA": str(self.folder), "DATABASE": self.database, "RATE": ""}
        return {**os.environ, **{f"FHIRBRIDGE_{name}": value for name, value in told.items()}}


@contextmanager
def serving(place: Place, words: Sequence[str]) -> Iterator[int]:
    """The port of a server that is ready; it ends with the block."""
    log = place.folder / "log"
    command = [sys.executable, "-m", *words]
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=place.variables, stdout=out, stderr=out)
    try:
        yield _port(process, log)
    finally:
        process.terminate()
        process.wait(30)


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    until = time.monotonic() + _READY
    while time.monotonic() < until and process.poll() is None:
        for line in log.read_text(errors="replace").splitlines():
            found = line.partition("http://127.0.0.1:")[2]
            if found:
                return int("".join(ch for ch in found.split("/")[0].split()[0] if ch.isdigit()))
        select.select([], [], [], 0.05)
    raise RuntimeError(log.read_text(errors="replace")[-2000:])


def own(workers: int) -> list[str]:
    return ["fhirbridge", "serve", "--port", "0", "--workers", str(workers)]


def _beside(name: str, workers: int) -> list[str]:
    options = ["-w", str(workers), "-b", "127.0.0.1:0", "--log-level", "info"]
    return ["gunicorn", f"bench.beside:{name}()", *options]


@dataclass(frozen=True, slots=True)
class Job:
    """`again`: the bodies may be sent more than once."""

    port: int
    key: str
    bodies: list[bytes]
    seconds: float
    again: bool = False


def client(job: Job) -> tuple[list[float], float]:
    """Seconds of each transaction, all answered 200, and of all together."""
    headers = {"Authorization": f"Bearer {job.key}", "Content-Type": "application/fhir+json"}
    took: list[float] = []
    began = time.monotonic()
    for body in itertools.cycle(job.bodies) if job.again else job.bodies:
        start = time.monotonic()
        if start > began + job.seconds:
            break
        connection = http.client.HTTPConnection("127.0.0.1", job.port, timeout=60)
        connection.request("POST", "/fhir", body, headers)
        answer = connection.getresponse()
        told = answer.read()
        connection.close()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {told[:300]!r}")
        took.append(time.monotonic() - start)
    return took, time.monotonic() - began


@dataclass(frozen=True, slots=True)
class Load:
    """`rate` in resources a second; the others in milliseconds a transaction."""

    rate: float
    p50: float
    p99: float


def load(
    place: Place, words: Sequence[str], supply: Iterator[bytes], *, most: int, again: bool = False
) -> Load:
    """`most` resources a second are made ready, in advance."""
    with serving(place, words) as port, multiprocessing.get_context("spawn").Pool(CLIENTS) as pool:

        def run(seconds: float) -> list[tuple[list[float], float]]:
            each = 50 if again else int(most * seconds / ENTRIES / CLIENTS)
            bodies = [[*itertools.islice(supply, each)] for _ in range(CLIENTS)]
            jobs = [Job(port, place.key, some, seconds, again) for some in bodies]
            return pool.map(client, jobs, chunksize=1)

        run(1.0)  # what is compiled and cached at first use
        return rated(run(SECONDS))


def rated(told: Sequence[tuple[list[float], float]]) -> Load:
    """Of what each client measured."""
    took = [one for some, _ in told for one in some]
    cuts = statistics.quantiles(took, n=100)
    rate = sum(len(some) * ENTRIES / seconds for some, seconds in told)
    return Load(rate, cuts[49] * 1e3, cuts[98] * 1e3)


class Clock:
    """Seconds by the innermost step; a step inside another one is not counted twice."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self.now = now
        self.seconds: dict[str, float] = {}
        self._open: list[list[float]] = []

    def step(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **more: Any) -> Any:
            self._open.append([0.0])
            start = self.now()
            try:
                return work(*args, **more)
            finally:
                took = self.now() - start
                (inner,) = self._open.pop()
                self.seconds[name] = self.seconds.get(name, 0.0) + took - inner
                if self._open:
                    self._open[-1][0] += took

        return timed


STEPS: tuple[tuple[str, object, str], ...] = (
    ("the body is parsed", ingest, "_parsed"),
    ("judge", judge, "judge"),
    ("decode", reader, "decode"),
    ("SQL", Connection, "execute"),
    ("SQL", Connection, "exec_driver_sql"),
    ("commit", Connection, "commit"),
    ("projection", Context, "project"),
    ("merge, receipt and the rest of the ingest", taking, "ingest"),
    ("HTTP, login and answer", Flask, "wsgi_app"),
)


def shares(place: Place, supply: Iterator[bytes], times: int = 60) -> Iterator[dict[str, Any]]:
    """Milliseconds of one transaction by step, in one process and without a network."""
    clock = Clock()
    app = create_app(Settings(data=place.folder, database=place.database, rate=""))
    headers = {"Authorization": f"Bearer {place.key}", "Content-Type": "application/fhir+json"}
    caller = app.test_client()
    with ExitStack() as patched:
        for number, body in enumerate(itertools.islice(supply, times + 10)):
            if number == 10:  # what is compiled and cached at first use
                for name, owner, attribute in STEPS:
                    timed = clock.step(name, getattr(owner, attribute))
                    patched.enter_context(patch.object(owner, attribute, timed))
            assert caller.post("/fhir", data=body, headers=headers).status_code == 200
    app.extensions["fhirbridge"].registry.close()
    for name, seconds in sorted(clock.seconds.items(), key=lambda one: -one[1]):
        yield row(f"of a transaction in process: {name}", seconds / times * 1e3, "ms")


def measure() -> Iterator[dict[str, Any]]:
    supply = transactions(Library(Settings().mappings).of_site("bench"))
    with tempfile.TemporaryDirectory(prefix="fhirbridge-door-") as name:
        folder = Path(name)
        yield from shares(Place.make(folder / "shares"), supply)
        for workers in (1, 2):
            yield from _beside_each_other(folder, supply, workers)
        with postgres.running(durable=True) as server:
            for workers in (1, 2):
                url = _database(server, f"door{workers}")
                place = Place.make(folder / f"postgresql-{workers}", url)
                found = load(place, own(workers), supply, most=8000)
                yield from _told(f"{workers} worker(s), PostgreSQL", found)


def _beside_each_other(
    folder: Path, supply: Iterator[bytes], workers: int
) -> Iterator[dict[str, Any]]:
    here = partial(Place.make, database="")
    ours = load(here(folder / f"own-{workers}"), own(workers), supply, most=8000)
    yield from _told(f"{workers} worker(s), SQLite", ours)
    parse = here(folder / f"parsing-{workers}")
    bare = load(parse, _beside("parsing", workers), supply, most=0, again=True)
    yield from _told(f"{workers} worker(s), parse and answer", bare)
    slow = load(here(folder / f"models-{workers}"), _beside("models", workers), supply, most=8000)
    yield from _told(f"{workers} worker(s), fhir.resources as judge", slow)
    for name, other, goal in (
        ("parse and answer", bare, GOAL_PARSE),
        ("fhir.resources as judge", slow, GOAL_MODELS),
    ):
        told = f"{workers} worker(s), SQLite / {name}"
        ratio = ours.rate / other.rate
        yield row(told, ratio, "ratio", f">= {goal}", holds=ratio >= goal)


def _told(name: str, found: Load) -> Iterator[dict[str, Any]]:
    yield row(f"{name}", found.rate, "resources/s")
    yield row(f"{name}, p50", found.p50, "ms")
    yield row(f"{name}, p99", found.p99, "ms")


def _database(server: URL, name: str) -> str:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.set(database=name).render_as_string()
