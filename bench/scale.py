"""What a transaction costs, and what memory its process takes, where many records are stored
already: the same figures beside a small and a large registry on SQLite.

The large one has 300,000 records; BENCH_RECORDS=1000000 takes some minutes more. The stored rows
are written into the registry's own tables by SQL; they are synthetic and say nothing.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.door import ENTRIES, Place, transactions
from bench.pipelines import row
from fhirbridge.app import create_app
from fhirbridge.library import Library
from fhirbridge.settings import Settings

SMALL, LARGE = 10_000, 300_000
GOAL, MOST_GROWTH = 1.3, 10  # a ratio; MB
_TIMES = 150

_NEW = "printf('%012x-7', i)"  # in the order of time, as what gets an id of its own
_ID = "printf('%08x-%d', (i * 2654435761) & 4294967295, i)"  # as scattered as a derived id is
_AT = "'2026-01-01T00:00:00.000000Z'"
# Fifteen rows and more a record; a subject has fifty, a message twenty.
_ROWS = {
    "subject (site_id, id, study_id, created_at)": (f"'f-' || i, 'f-' || i, {_AT}", 50),
    "message (site_id, id, source, kind, key, sha256, state, body, received_at)": (
        f"'m-' || i, 'client:fill', 'push/Bundle', 'k-' || i, 'x', 'kept', x'7b7d', {_AT}",
        20,
    ),
    "receipt (site_id, id, message_id, state, counts, issues, created_at)": (
        f"'r-' || i, 'm-' || i, 'done', '{{}}', '[]', {_AT}",
        20,
    ),
    "record (site_id, id, subject_id, form, key, fields, status, number, mapping_version,"
    " updated_at)": (
        f"{_ID}, 'f-' || (i / 50), 'assessment', 'k-' || i, '{{\"ecog\":1}}', 'active', 1, 'm',"
        f" {_AT}",
        1,
    ),
    "revision (site_id, record_id, number, at, actor, reason, mapping_version, status, changes)": (
        f"{_ID}, 1, {_AT}, 'client:fill', 'sent by the source', 'm', 'active', '{{}}'",
        1,
    ),
    "origin (site_id, id, source, resource_type, source_id, sha256, subject_id, seen_at)": (
        f"{_NEW}, 'client:fill', 'Observation', {_ID}, 'x', 'f-' || (i / 50), {_AT}",
        1,
    ),
    "origin_record (site_id, origin_id, record_id)": (f"{_NEW}, {_ID}", 1),
    "proposal (site_id, id, record_id, field, number, value, status, origin_id, message_id,"
    " mapping_version, at)": (
        f"{_NEW}, {_ID}, 'ecog', 1, '1', 'accepted', {_NEW}, 'm-' || (i / 20), 'm', {_AT}",
        1,
    ),
    "resource (site_id, id, record_id, block, type, fhir_id, sha256, version, last_updated, body,"
    " deleted)": (
        f"{_NEW}, {_ID}, 'ecog', 'Observation', {_ID}, 'x', 1, {_AT},"
        ' \'{"resourceType":"Observation"}\', 0',
        1,
    ),
    "resource_token (site_id, resource_id, name, system, value)": (
        f"{_NEW}, 'identifier', 'urn:fill', {_ID}",
        1,
    ),
    "resource_token (site_id, resource_id, name, value, system)": (
        f"{_NEW}, 'code', 'c' || (i % 20), 'urn:fill'",
        1,
    ),
    "resource_token (site_id, resource_id, name, value, system) ": (
        f"{_NEW}, 'status', 'final', ''",
        1,
    ),
    "resource_token (site_id, resource_id, name, system, value) ": (
        f"{_NEW}, 'patient', '', 'Patient/f-' || (i / 50)",
        1,
    ),
    "resource_date (site_id, resource_id, name, low, high)": (
        f"{_NEW}, 'date', '2020-01-' || (10 + i % 20), '2020-02'",
        1,
    ),
    "receipt_entry (site_id, receipt_id, position, part, fate, record_id, identifier, source_id,"
    " issues)": (f"'r-' || (i / 20), i % 20, 0, 'applied', {_ID}, {_ID}, {_ID}, '[]'", 1),
}


def fill(path: Path, count: int) -> None:
    """So many records into the one site that the database has."""
    with sqlite3.connect(path) as connection:
        for setting in ("synchronous=OFF", "cache_size=-200000"):
            connection.execute(f"PRAGMA {setting}")
        (site,) = connection.execute("SELECT id FROM site").fetchone()
        for into, (values, many) in _ROWS.items():
            series = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            made = f"INSERT INTO {into} {series} SELECT ?, {values} FROM n"
            connection.execute(made, (count // many - 1, site))
    connection.close()


def _resident() -> float:
    """MB resident now, as Linux tells it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    told = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(told.split()[1]) / 1024


def _run(job: tuple[Place, list[bytes]]) -> tuple[float, float, float, float]:
    """Microseconds of the processor and of the clock for each resource; MB of the process after the
    first third and at the end."""
    place, bodies = job
    app = create_app(Settings(data=place.folder, rate=""))
    headers = {"Authorization": f"Bearer {place.key}", "Content-Type": "application/fhir+json"}
    client = app.test_client()
    work, wall, memory = [], [], []
    for body in bodies:
        start, processor = time.perf_counter(), time.process_time()
        answer = client.post("/fhir", data=body, headers=headers)
        work.append(time.process_time() - processor)
        wall.append(time.perf_counter() - start)
        memory.append(_resident())
        assert answer.status_code == 200, answer.data
    third = len(bodies) // 3
    each = 1e6 / ENTRIES
    middle = statistics.median(work[third:]) * each, statistics.median(wall[third:]) * each
    return *middle, memory[third], memory[-1]


def measure() -> Iterator[dict[str, Any]]:
    large = int(os.environ.get("BENCH_RECORDS", LARGE))
    mappings = Library(Settings().mappings).of_site("bench")
    bodies = [*itertools.islice(transactions(mappings), _TIMES)]
    costs = {}
    with tempfile.TemporaryDirectory(prefix="fhirbridge-scale-") as name:
        for count in (SMALL, large):
            place = Place.make(Path(name) / str(count))
            fill(place.folder / "registry.db", count)
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                ((work, wall, before, after),) = pool.map(_run, [(place, bodies)])
            costs[count] = work
            yield row(f"a resource beside {count:,} records, processor", work, "us")
            yield row(f"a resource beside {count:,} records, durable", wall, "us")
            grown = after - before
            told = f"beside {count:,} records, memory's growth in {_TIMES * 2 // 3} transactions"
            yield row(told, grown, "MB", f"< {MOST_GROWTH}", holds=grown < MOST_GROWTH)
            yield row(f"beside {count:,} records, resident", after, "MB")
    ratio = costs[large] / costs[SMALL]
    yield row(f"{large:,} / {SMALL:,} records", ratio, "ratio", f"<= {GOAL}", holds=ratio <= GOAL)
