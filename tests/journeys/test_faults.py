"""Row E17: the database is full, locked, read-only or restarted under a service that goes on: 503, nothing
is acknowledged that is not stored, and all is well again without a restart of the service.
"""

from __future__ import annotations

import resource
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import URL
from werkzeug.serving import WSGIRequestHandler, make_server

from fhirbridge.app import create_app
from fhirbridge.registry.store import Registry
from fhirbridge.sandbox import synthetic
from tests import databases, postgres
from tests.journeys import story
from tests.journeys.bridge import Bridge, end

SUBJECTS = 12
GONE = ("the database is stopping or starting", "the database cannot be reached")
ENOUGH = (
    96 * 1024
)  # bytes that a file may have where there is no room: the log's, not the database's

on_sqlite = pytest.mark.sqlite_only(reason="its files are reached for")


@pytest.fixture
def bridge(tmp_path: Path) -> Bridge:
    impatient = f"sqlite:///{tmp_path / 'data' / 'registry.db'}?timeout=0.3"
    return Bridge(tmp_path / "data", {"DATABASE": impatient, "RATE": ""}).found(unmatched="enrol")


class Pushing:
    """Each subject's Bundle; `acknowledged` are the subjects whose Bundles were."""

    def __init__(self, bridge: Bridge, door: str) -> None:
        self.bridge, self.door = bridge, door
        made = [*synthetic.records(SUBJECTS)]
        self.bundles = dict(enumerate(story.bundles_of(made), start=1))
        self.acknowledged: set[int] = set()

    def push(self, number: int) -> requests.Response:
        answer = self.bridge.post(self.door, self.bundles[number])
        if answer.status_code == 200:
            self.acknowledged.add(number)
        return answer

    def all(self) -> None:
        """What is not acknowledged yet is sent again."""
        for number in self.bundles:
            if number not in self.acknowledged:
                assert self.push(number).status_code == 200

    def stored(self) -> bool:
        """Whether the records are those of the acknowledged Bundles, no fewer and no more."""
        truth = story.truth(SUBJECTS)
        subjects = {synthetic.study_id(number) for number in self.acknowledged}
        wanted = {place: fields for place, fields in truth.items() if place[0] in subjects}
        return story.told(self.bridge.export()) == wanted


def refused(answer: requests.Response, *causes: str) -> None:
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    (issue,) = answer.json()["issue"]
    assert issue["code"] == "transient"
    cause, _, remedy = issue["details"]["text"].partition("; remedy: ")
    assert cause in causes
    assert remedy == "nothing was stored; send again later"
    assert "X-Receipt" not in answer.headers


def ready(door: str) -> int:
    return requests.get(f"{door.removesuffix('/fhir')}/readyz", timeout=60).status_code


@on_sqlite
def test_e17_a_full_disk_takes_nothing_and_all_again_when_there_is_room(bridge: Bridge) -> None:
    process, door = bridge.start()
    with ExitStack() as ends:
        ends.callback(end, process, signal.SIGTERM)
        pushing = Pushing(bridge, door)
        for number in (1, 2):
            assert pushing.push(number).status_code == 200
        _room(process.pid, ENOUGH)
        answers = [pushing.push(number) for number in (3, 4, 5, 6)]
        full = [answer for answer in answers if answer.status_code != 200]
        assert full, "there was room"
        for answer in full:
            refused(answer, "the disk of the database fails")
        _room(process.pid, resource.RLIM_INFINITY)
        assert pushing.stored()
        pushing.all()
        assert ready(door) == 200
    assert pushing.stored()
    assert "all is well" in bridge.say("verify")


def _room(master: int, size: int) -> None:
    """How long a file may become that the service writes; workers that follow inherit it."""
    listed = ["ps", "-o", "pid=", "--ppid", str(master)]
    told = subprocess.run(listed, capture_output=True, text=True, check=True).stdout
    workers = [int(word) for word in told.split()]
    assert workers
    for pid in (master, *workers):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@on_sqlite
def test_e17_a_database_locked_for_long_is_told(bridge: Bridge) -> None:
    """To readers, too: what cannot be told in the audit trail is not shown."""
    with bridge.serving() as door:
        pushing = Pushing(bridge, door)
        assert pushing.push(1).status_code == 200
        with _locked(bridge.folder / "registry.db"):
            refused(pushing.push(2), "the database is locked")
            refused(bridge.get(f"{door}/Patient"), "the database is locked")
            assert ready(door) == 503
        assert pushing.stored()
        pushing.all()
    assert pushing.stored()


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    other = sqlite3.connect(file, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
    finally:
        other.close()


@on_sqlite
def test_e17_a_disk_that_only_reads_is_told_until_it_writes_again(bridge: Bridge) -> None:
    """As one that failed and is mounted read-only. The application is served here, in threads: nobody
    but root could do so to a process of its own.
    """
    app = create_app(databases.settings(bridge.folder, rate=""))
    registry = app.extensions["fhirbridge"].registry
    with _threads(app) as door:
        pushing = Pushing(bridge, door)
        assert pushing.push(1).status_code == 200
        writable, file = registry._url, bridge.folder / "registry.db"
        query = {"mode": "ro", "uri": "true"}
        _open(registry, writable.set(database=f"file:{file}", query=query))
        refused(pushing.push(2), "the database is read-only")
        refused(bridge.get(f"{door}/Patient"), "the database is read-only")
        assert ready(door) == 503
        _open(registry, writable)
        assert pushing.stored()
        pushing.all()
    registry.close()
    assert pushing.stored()


def _open(registry: Registry, url: URL) -> None:
    registry.close()
    registry._url = url
    registry._engines.clear()


@contextmanager
def _threads(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/fhir"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        """Nothing."""


@pytest.mark.postgresql_only
def test_e17_a_postgresql_that_is_restarted_is_found_again(tmp_path: Path) -> None:
    with postgres.made() as server:
        settings = {"DATABASE": server.url.render_as_string(), "RATE": ""}
        bridge = Bridge(tmp_path / "data", settings)
        with ExitStack() as ends:
            first = ends.enter_context(_started(server))
            door = ends.enter_context(_founded(bridge))
            pushing = Pushing(bridge, door)
            for number in (1, 2):
                assert pushing.push(number).status_code == 200
            first()
            for number in (3, 4, 5):
                refused(pushing.push(number), *GONE)
            assert ready(door) == 503
            with server.running():
                assert pushing.stored()
                pushing.all()
                assert ready(door) == 200
                assert pushing.stored()
                assert "all is well" in bridge.say("verify")


@contextmanager
def _started(server: Any) -> Iterator[Callable[[], None]]:
    """Yields what ends the server."""
    with ExitStack() as runs:
        runs.enter_context(server.running())
        yield runs.close


@contextmanager
def _founded(bridge: Bridge) -> Iterator[str]:
    with bridge.found(unmatched="enrol").serving() as door:
        yield door
