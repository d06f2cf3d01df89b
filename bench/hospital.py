"""Hospitals: pulling beside a loop that only downloads and beside fhirpy, pulling at a distance,
delivering; transactions into HAPI FHIR beside our own door. Needs Java 17, Maven and npm.

The sandbox and HAPI share the machine with us. Sizes are BENCH_PULLED and BENCH_FAR.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import requests
from fhirpy import SyncFHIRClient

from bench.door import (
    CLIENTS,
    ENTRIES,
    SUBJECTS,
    Job,
    Load,
    Place,
    client,
    load,
    own,
    rated,
    transactions,
)
from bench.pipelines import row
from fhirbridge.formats import fhir_json
from fhirbridge.library import Library
from fhirbridge.sandbox import synthetic
from fhirbridge.sandbox.server import Hospital as Sandbox
from fhirbridge.servers.auth import NoAuth
from fhirbridge.servers.client import Server
from fhirbridge.servers.network import Network
from fhirbridge.settings import Settings
from fhirbridge.sync.offered import wanted
from tests.hapi import server as hapi
from tests.journeys.bridge import SITE, Bridge

COUNT = int(os.environ.get("BENCH_PULLED", "10000"))  # resources
PAGE, DISTANCE = 100, 0.1  # resources of a page; seconds
FAR = int(os.environ.get("BENCH_FAR", "2000"))  # resources that are pulled at a distance
GOAL_PULL, GOAL_PEER, GOAL_FAR, GOAL_HAPI = 1.2, 6.0, 0.9, 15.0
_ANSWERED = re.compile(r"(\d+) pages, (\d+) resources received")


def measure() -> Iterator[dict[str, Any]]:
    supply = transactions(Library(Settings().mappings).of_site("bench"))
    bodies = [*itertools.islice(supply, COUNT // ENTRIES)]
    with tempfile.TemporaryDirectory(prefix="fhirbridge-hospital-") as name:
        folder = Path(name)
        with sandbox() as base:
            load_hospital(base, bodies)
            yield from pulling(folder / "sandbox", base, "the sandbox")
            yield from reading(base)
        with sandbox(DISTANCE) as base:
            load_hospital(base, bodies[: FAR // ENTRIES])
            yield from far(folder / "far", base)
        with sandbox() as base:
            yield from delivering(folder / "out", base, bodies[: FAR // ENTRIES])
        with hapi.running("--lean") as base:
            load_hospital(base, bodies)
            yield from pulling(folder / "hapi", base, "HAPI FHIR")
        durable = f"jdbc:h2:file:{folder / 'h2'};WRITE_DELAY=0"
        with hapi.running("--lean", "--db", durable) as base:
            yield from _beside_our_door(folder / "door", base, supply)


@contextmanager
def sandbox(distance: float = 0.0) -> Iterator[str]:
    """A sandbox hospital in a process of its own; each GET takes so many seconds more."""
    spawn = multiprocessing.get_context("spawn")
    ready, over = spawn.Queue(), spawn.Event()
    process = spawn.Process(target=_serve, args=(distance, ready, over))
    process.start()
    try:
        yield ready.get(timeout=60)
    finally:
        over.set()
        process.join(30)


def _serve(distance: float, ready: Any, over: Event) -> None:
    hospital = Sandbox()
    if distance:
        hospital.fail("GET ", hook=lambda request: time.sleep(distance), times=1 << 30)
    with hospital.running() as base:
        ready.put(base)
        over.wait()


def load_hospital(base: str, bodies: Sequence[bytes]) -> None:
    people = [
        {
            "resource": {
                "resourceType": "Patient",
                "id": f"p{n}",
                "identifier": [{"system": synthetic.MRN, "value": synthetic.mrn(n)}, _pseudonym(n)],
            },
            "request": {"method": "PUT", "url": f"Patient/p{n}"},
        }
        for n in range(1, SUBJECTS + 1)
    ]
    first = fhir_json.dump({"resourceType": "Bundle", "type": "transaction", "entry": people})
    with requests.Session() as session:
        for body in (first, *map(_as_theirs, bodies)):
            headers = {"Content-Type": "application/fhir+json"}
            answer = session.post(base, data=body, headers=headers, timeout=300)
            assert answer.status_code == 200, answer.text[:500]


def _as_theirs(body: bytes) -> bytes:
    """The same scores as a hospital has them: under its own ids, of its own Patients."""
    made = fhir_json.parse(body)
    for entry in made["entry"]:
        resource = entry["resource"]
        number = int(resource["subject"]["identifier"]["value"].rpartition("-")[2])
        resource["subject"] = {"reference": f"Patient/p{number}"}
        own = {"system": "https://hospital.example.org/score", "value": entry.pop("fullUrl")}
        resource["identifier"] = [own]
        entry["request"] = {"method": "POST", "url": resource["resourceType"]}
    return fhir_json.dump(made)


def _pseudonym(number: int) -> dict[str, str]:
    names = Library(Settings().mappings).of_site("bench").names
    return {"system": names["study-id"], "value": synthetic.study_id(number)}


def bridge_to(folder: Path, base: str) -> Bridge:
    made = Bridge(folder, {"PAGE_SIZE": str(PAGE), "NETWORKS": "127.0.0.1/32"}).found()
    made.connect(base)
    listed = [f"{synthetic.study_id(n)},{synthetic.MRN}|{synthetic.mrn(n)}" for n in range(1, 41)]
    made.enrol("\n".join(["study_id,hospital_ids", *listed, ""]))
    return made


def pulling(folder: Path, base: str, name: str) -> Iterator[dict[str, Any]]:
    bridge = bridge_to(folder, base)
    start = time.perf_counter()
    count = sum(len(page.get("entry", ())) for page in _downloaded(base))
    bare = time.perf_counter() - start
    start = time.perf_counter()
    told = _ANSWERED.search(bridge.say("pull", SITE))
    ours = time.perf_counter() - start
    assert told
    assert int(told[2]) >= COUNT
    yield row(f"pull of {int(told[2]):,} from {name}", int(told[2]) / ours, "resources/s")
    yield row(f"download of {count:,} from {name}", count / bare, "resources/s")
    ratio = ours / bare
    goal = f"<= {GOAL_PULL} where the server is the slower side"
    yield row(f"pull / bare loop, {name}", ratio, "ratio", goal, holds=ratio <= GOAL_PULL)
    start = time.perf_counter()
    bridge.say("pull", SITE)
    yield row(f"second pull from {name}, nothing new", time.perf_counter() - start, "s")


def _downloaded(base: str) -> Iterator[dict[str, Any]]:
    """Every page of the searches that a pull makes, and nothing done with it but its next link."""
    types = wanted(Library(Settings().mappings).of_site("bench"))
    with requests.Session() as session:
        session.headers["Accept"] = "application/fhir+json"
        for number in range(1, SUBJECTS + 1):
            token = f"{synthetic.MRN}|{synthetic.mrn(number)}"
            (found,) = _pages(session, f"{base}/Patient", {"identifier": token})
            yield found
            patient = found["entry"][0]["resource"]["id"]
            for kind in types:
                asked = {"patient": patient, "_count": str(PAGE)}
                yield from _pages(session, f"{base}/{kind}", asked)


def _pages(
    session: requests.Session, url: str, asked: dict[str, str] | None
) -> Iterator[dict[str, Any]]:
    following: str | None = url
    while following:
        answer = session.get(following, params=asked, timeout=120)
        if answer.status_code >= 400:
            return
        page = answer.json()
        yield page
        links = (link["url"] for link in page.get("link", ()) if link["relation"] == "next")
        following, asked = next(links, None), None


def reading(base: str) -> Iterator[dict[str, Any]]:
    """Processor time of a client's paging alone, ours and fhirpy's: nothing is ingested."""
    patients = [page["entry"][0]["resource"]["id"] for page in _people(base)]
    here = Network.of("127.0.0.1/32")
    server = Server(base, auth=NoAuth(), limits=Settings(), network=here)
    start, count = time.process_time(), 0
    for patient in patients:
        asked = {"patient": patient, "_count": str(PAGE)}
        count += sum(len(p.bundle.get("entry", ())) for p in server.pages("Observation", asked))
    ours = (time.process_time() - start) / count * 1e6
    server.close()
    peer, start, count = SyncFHIRClient(base), time.process_time(), 0
    for patient in patients:
        search = peer.resources("Observation").search(patient=patient).limit(PAGE)
        count += len(search.fetch_all())
    theirs = (time.process_time() - start) / count * 1e6
    yield row("paging, a resource", ours, "us")
    yield row("paging with fhirpy, a resource", theirs, "us")
    ratio = theirs / ours
    yield row("fhirpy / ours", ratio, "ratio", f">= {GOAL_PEER}", holds=ratio >= GOAL_PEER)


def _people(base: str) -> Iterator[dict[str, Any]]:
    with requests.Session() as session:
        for number in range(1, 41):
            token = f"{synthetic.MRN}|{synthetic.mrn(number)}"
            yield from _pages(session, f"{base}/Patient", {"identifier": token})


def far(folder: Path, base: str) -> Iterator[dict[str, Any]]:
    """The ideal waits for each page and does nothing else."""
    bridge = bridge_to(folder, base)
    start = time.perf_counter()
    pages = sum(1 for _ in _downloaded(base))
    ideal, bare = pages * DISTANCE, time.perf_counter() - start
    start = time.perf_counter()
    told = _ANSWERED.search(bridge.say("pull", SITE))
    ours = time.perf_counter() - start
    assert told
    yield row(f"pull at {DISTANCE * 1e3:.0f} ms a page, bare loop", bare, "s")
    yield row(f"pull at {DISTANCE * 1e3:.0f} ms a page", ours, "s")
    share = ideal / ours
    goal = f">= {GOAL_FAR}"
    yield row("latency alone / pull", share, "ratio", goal, holds=share >= GOAL_FAR)


def delivering(folder: Path, base: str, bodies: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    """Scores that the study captured: each created, and read back."""
    load_hospital(base, ())
    bridge = bridge_to(folder, base)
    with bridge.serving() as door:
        for body in bodies:
            assert bridge.post(door, body).status_code == 200
    bridge.say("pull", SITE)
    start = time.perf_counter()
    said = bridge.say("deliver", SITE)
    took = time.perf_counter() - start
    found = re.search(r"(\d+) verified", said)
    assert found
    yield row(f"delivery of {int(found[1]):,}, each read back", int(found[1]) / took, "resources/s")


def _beside_our_door(folder: Path, base: str, supply: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    load_hospital(base, ())
    port = int(base.split(":")[2].partition("/")[0])
    with multiprocessing.get_context("spawn").Pool(CLIENTS) as pool:
        rates = [_pushed(pool, port, supply, seconds) for seconds in (5.0, 10.0)]
    theirs = rates[-1]  # the first warms Java up
    place = Place.make(folder)
    ours = load(place, own(2), supply, most=8000)
    yield row("transactions into HAPI FHIR, durable", theirs.rate, "resources/s")
    yield row("transactions into fhirbridge, durable", ours.rate, "resources/s")
    ratio = ours.rate / theirs.rate
    yield row("fhirbridge / HAPI FHIR", ratio, "ratio", f">= {GOAL_HAPI}", holds=ratio >= GOAL_HAPI)


def _pushed(pool: Any, port: int, supply: Iterator[bytes], seconds: float) -> Load:
    each = int(1500 * seconds / ENTRIES / CLIENTS)
    bodies = [[*itertools.islice(supply, each)] for _ in range(CLIENTS)]
    jobs = [Job(port, "none", some, seconds) for some in bodies]
    return rated(pool.map(client, jobs, chunksize=1))
