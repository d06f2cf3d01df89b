"""HL7 v2 over MLLP: messages answered after the commit, on several connections at once, beside a
listener that only stores the bytes durably and answers. All data is synthetic.
"""

from __future__ import annotations

import itertools
import multiprocessing
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, cast

from bench.door import SUBJECTS, Place
from bench.pipelines import row
from fhirbridge.formats import mllp
from fhirbridge.listener.server import Listener
from fhirbridge.listener.taking import Desk
from fhirbridge.registry.feeds import Feed
from fhirbridge.registry.opening import open_registry
from fhirbridge.sandbox import synthetic
from fhirbridge.settings import Settings

SITE_FILE = """\
assigning_authorities: {{ BENCH: "{system}" }}
coding_systems: {{ 99MBD: "https://fhirbridge.example.org/fhir/CodeSystem/mbd-study" }}
"""
_FIRST = date(1950, 1, 1)
_SCORES = ("pain-nrs-rest^^99MBD", "pain-nrs-activity^^99MBD", "89247-1^^LN", "71971-6^^LN")


def head(id: str, number: int) -> list[str]:
    return [
        rf"MSH|^~\&|EHR|BENCH|FHIRBRIDGE|MBD|20260301101500||ORU^R01^ORU_R01|{id}|P|2.5.1",
        f"PID|1||{synthetic.mrn(number)}^^^BENCH^MR",
        f"OBR|1||F{id}|PROS^^99MBD|||20260301093000|||||||||||||||||F",
    ]


def message(id: str, n: int) -> bytes:
    """Four scores of one subject, on a day of their own."""
    day = f"{_FIRST + timedelta(days=n // SUBJECTS):%Y%m%d}"
    told = head(id, n % SUBJECTS + 1)
    values = (n % 9, n % 9 + 1, n % 5, f"{20 + n % 40}.{n % 10}0")
    told += [
        f"OBX|{at}|NM|{code}||{value}||||||F|||{day}"
        for at, (code, value) in enumerate(zip(_SCORES, values, strict=True), start=1)
    ]
    return ("\r".join(told) + "\r").encode()


def measure(
    folder: Path, connections: int, seconds: float, goal: float
) -> Iterator[dict[str, Any]]:
    place = Place.make(folder / "feed")
    with listening(place) as port:
        _sent(port, connections, min(2.0, seconds))
        ours = _sent(port, connections, seconds)
    with only_storing(folder / "bytes.db") as port:
        _sent(port, connections, min(2.0, seconds))
        bare = _sent(port, connections, seconds)
    name = f"{connections} connections"
    yield row(f"HL7 v2, {name}, answered after the commit", ours, "messages/s")
    yield row(f"HL7 v2, {name}, bytes stored and answered", bare, "messages/s")
    ratio = ours / bare
    yield row("ours / bytes alone", ratio, "ratio", f">= {goal}", holds=ratio >= goal)


def _sent(port: int, connections: int, seconds: float) -> float:
    """Messages a second, from a process of their own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(engines, (port, connections, seconds))


def engines(port: int, connections: int, seconds: float) -> float:
    """Each connection sends a message when the one before is answered."""
    prefix, counter, answered = f"{time.time_ns():x}", itertools.count(), itertools.count()
    until = time.monotonic() + seconds
    faults: list[bytes] = []

    def engine() -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as wire:
            frames = mllp.Frames()
            while time.monotonic() < until and not faults:
                n = next(counter)
                wire.sendall(mllp.frame(message(f"{prefix}-{n}", n)))
                answers: list[bytes] = []
                while not answers and (given := wire.recv(65536)):
                    answers += frames.feed(given)
                if not answers or f"MSA|AA|{prefix}-{n}".encode() not in answers[0]:
                    faults.append(b"".join(answers))
                next(answered)

    threads = [threading.Thread(target=engine) for _ in range(connections)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise RuntimeError(f"not answered by AA: {faults[0]!r}")
    return next(answered) / (time.monotonic() - start)


@contextmanager
def listening(place: Place) -> Iterator[int]:
    """`fhirbridge listen` with one feed; its port."""
    settings = Settings(data=place.folder, database=place.database)
    site = place.folder / "mappings" / "sites" / "bench"
    shutil.copytree(settings.mappings, place.folder / "mappings")
    site.mkdir(parents=True, exist_ok=True)
    told = SITE_FILE.format(system=synthetic.MRN)
    (site / "hl7v2.yaml").write_text(told, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = int(held.getsockname()[1])
    registry = open_registry(settings)
    with registry.unit(None) as unit:
        (known,) = unit.sites.all()
    with registry.unit(known.id) as unit:
        unit.feeds.add("bench", port=port, fingerprint=None)
        unit.commit()
    registry.close()
    variables = place.variables | {"FHIRBRIDGE_MAPPINGS": str(place.folder / "mappings")}
    with (place.folder / "listen.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "fhirbridge", "listen"],
            env=variables,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    try:
        if "ready\n" not in iter(process.stdout.readline, ""):
            raise RuntimeError((place.folder / "listen.log").read_text(errors="replace")[-2000:])
        yield port
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


@contextmanager
def only_storing(database: Path) -> Iterator[int]:
    """The same listener, which keeps each message as one durable row and says AA."""
    spawn = multiprocessing.get_context("spawn")
    ready, over = spawn.Queue(), spawn.Event()
    process = spawn.Process(target=_store, args=(str(database), ready, over))
    process.start()
    try:
        yield ready.get(timeout=60)
    finally:
        over.set()
        process.join(30)


def _store(database: str, ready: Any, over: Event) -> None:
    listener = Listener(cast(Desk, Bytes(database)), {"bench": "bench"})
    feed = Feed("bench", "bench", "bench", None, None, datetime.now(UTC), None)
    ready.put(listener.listen("127.0.0.1", 0, lambda _: feed))
    over.wait()
    listener.stop()


class Bytes:
    """In place of the desk that reads; as durable as ours: write-ahead log, synchronous FULL."""

    def __init__(self, database: str) -> None:
        self.turn = threading.Lock()
        self.rows = sqlite3.connect(database, check_same_thread=False, isolation_level=None)
        self.rows.execute("PRAGMA journal_mode=WAL")
        self.rows.execute("PRAGMA synchronous=FULL")
        self.rows.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, body BLOB)")

    def take(self, feed: Feed, site: str, body: bytes) -> list[bytes]:
        with self.turn:
            self.rows.execute("INSERT INTO message (body) VALUES (?)", (body,))
        head = body.split(b"\r", 1)[0].split(b"|")
        answer = b"|".join((*head[:8], b"ACK", b"A" + head[9], *head[10:12]))
        return [answer + b"\rMSA|AA|" + head[9] + b"\r"]
