"""Tables and HL7 v2: a table imported beside the same rows sent one by one, messages answered
beside a listener that only stores bytes, readers beside those of others, and the memory of it.

The senders share the machine with the receivers. Sizes are BENCH_ROWS, BENCH_MANY_ROWS,
BENCH_READ_ROWS and BENCH_SECONDS. All data is synthetic.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeVar

import hl7
from hl7apy.parser import parse_message

from bench import wires
from bench.door import SUBJECTS, Job, Place, client, own, serving
from bench.pipelines import row
from fhirbridge.commands import serve_command
from fhirbridge.commands.encode_command import bundles
from fhirbridge.crash import Crash
from fhirbridge.formats import csv_records, fhir_json, hl7v2, hl7v2_results
from fhirbridge.formats.hl7v2_shapes import Habits, Shape
from fhirbridge.library import Library
from fhirbridge.registry.opening import open_registry
from fhirbridge.sandbox import synthetic
from fhirbridge.settings import Settings
from fhirbridge.sync import files
from fhirbridge.sync.imports import Desk, Limits
from fhirbridge.sync.sent_tables import Sent

ROWS = int(os.environ.get("BENCH_ROWS", "20000"))
MANY_ROWS = int(os.environ.get("BENCH_MANY_ROWS", "200000"))  # as many as a file may have
READ_ROWS = int(os.environ.get("BENCH_READ_ROWS", "1000000"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "10"))
CONNECTIONS, OBX = 8, 739  # of a message of 80 KB
GOAL_ROWS, GOAL_MESSAGES, GOAL_READER, FLAT = 10.0, 0.5, 20.0, 1.3
HEADER = "study_id,assessed_on,pain_rest,pain_activity,promis_gph_t,ecog"
_FIRST = date(1930, 1, 1)
T = TypeVar("T")


def lines(count: int) -> Iterator[str]:
    """One assessment of four scores each, of all subjects in turn, each on a day of its own."""
    for n in range(count):
        day = (_FIRST + timedelta(days=n // SUBJECTS)).isoformat()
        number, pain = n % SUBJECTS + 1, n % 9
        score = f"{20 + n % 40}.{n % 10}0"
        yield f"{synthetic.study_id(number)},{day},{pain},{pain + 2},{score},{n % 5}"


def table(count: int) -> bytes:
    return "\n".join((HEADER, *lines(count), "")).encode()


def measure() -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="fhirbridge-doors-") as name:
        folder = Path(name)
        yield from importing(folder)
        yield from wires.measure(folder, CONNECTIONS, SECONDS, GOAL_MESSAGES)
    yield from reading()
    yield from memory_of_reading()


# --- tables ------------------------------------------------------------------------------------


def alone(work: Callable[..., T], *given: Any) -> T:
    """In a process of its own, whose peak of memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, given)


def peak() -> float:
    """MB resident at the peak of this process, as Linux tells it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def imported(place: Place, count: int) -> tuple[float, float, float]:
    """Seconds of the rehearsal and of the applying, durable; MB at the peak."""
    settings = Settings(data=place.folder, database=place.database)
    registry = open_registry(settings)
    with registry.unit(None) as unit:
        (site,) = unit.sites.all()
    mappings = Library(settings.mappings).of_site(site.name)
    limits = Limits(1 << 30, max(count, MANY_ROWS))
    desk = Desk(registry, site.id, lambda unit: mappings, limits, "bench", Crash())
    sent = Sent("scores.csv", table(count), "assessment")
    serve_command.settle()  # as the command does
    start = time.perf_counter()
    rehearsed = desk.rehearse(sent)
    between = time.perf_counter()
    done = desk.apply(rehearsed.upload.id, sent=sent)
    over = time.perf_counter()
    registry.close()
    assert done.counts["create"] == count, done.counts
    return between - start, over - between, peak()


def importing(folder: Path) -> Iterator[dict[str, Any]]:
    """The rows of one run by both doors; what REST sends is made ready in advance."""
    rehearsal, applying, small = alone(imported, Place.make(folder / "rows"), ROWS)
    yield row(f"CSV rehearsal of {ROWS:,} rows", ROWS / rehearsal, "rows/s")
    yield row(f"CSV import of {ROWS:,} rows, durable and validated", ROWS / applying, "rows/s")
    yield row("CSV rehearsal and import together", ROWS / (rehearsal + applying), "rows/s")
    sent = _by_rest(folder / "rest")
    yield row("the same rows by REST, one at a time", sent, "rows/s")
    ratio = ROWS / applying / sent
    goal = f">= {GOAL_ROWS}"
    yield row("CSV import / REST", ratio, "ratio", goal, holds=ratio >= GOAL_ROWS)
    *_, large = alone(imported, Place.make(folder / "many"), MANY_ROWS)
    yield row(f"CSV import of {ROWS:,} rows, peak resident", small, "MB")
    yield row(f"CSV import of {MANY_ROWS:,} rows, peak resident", large, "MB")
    grown = large / small
    yield row("  ratio of the two", grown, "ratio", f"<= {FLAT}", holds=grown <= FLAT)


def _by_rest(folder: Path) -> float:
    """A transaction a row, by one client over HTTP."""
    mappings = Library(Settings().mappings).of_site("bench")
    study, most = mappings.study, min(ROWS, int(SECONDS * 300))
    form = study.form("assessment")
    found, _ = csv_records.read_csv(study, form, table(most), name="scores")
    bodies = [fhir_json.dump(made) for one in found for _, made in bundles(mappings, [one])]
    place = Place.make(folder)
    with serving(place, own(1)) as port:
        client(Job(port, place.key, bodies[:20], 60))
        took, seconds = client(Job(port, place.key, bodies[20:], SECONDS))
    return len(took) / seconds


def _stream(count: int) -> float:
    """MB at the peak of the reader alone: every row read, nothing kept."""
    mappings = Library(Settings().mappings).of_site("bench")
    opened = files.opened(mappings, table(count), form="assessment", most=count)
    told = sum(len(opened.reader.told(one, None).facts) for one in opened.sheet.rows())
    assert told == count
    return peak()


def memory_of_reading() -> Iterator[dict[str, Any]]:
    """The file itself is in memory: it counts beside."""
    few = READ_ROWS // 10
    small, large = alone(_stream, few), alone(_stream, READ_ROWS)
    size = (len(table(READ_ROWS)) - len(table(few))) / (1 << 20)
    yield row(f"reader of {few:,} rows, peak resident", small, "MB")
    yield row(f"reader of {READ_ROWS:,} rows, peak resident", large, "MB")
    yield row("  of that the longer file", size, "MB")
    beyond = (large - small - size) * (1 << 20) / (READ_ROWS - few)
    yield row("reader, what each row leaves beyond its bytes", beyond, "bytes")


# --- readers of HL7 v2 ---------------------------------------------------------------------------


def large() -> bytes:
    """80 KB: one OBR with 739 results, as laboratories send them."""
    obx = [
        f"OBX|{n}|NM|{n:05}^A measured thing^99BENCH||{n % 97}.{n % 10}0|"
        f"mmol/L^^UCUM|3.5-5.1|N|||F|||20260301093000+0100||4711^Surname^Given"
        for n in range(1, OBX + 1)
    ]
    return ("\r".join((*wires.head("BENCH-1", 1), *obx)) + "\r").encode()


def shapes(body: bytes) -> list[Shape]:
    """All that is read of a message before a mapping looks."""
    message = hl7v2.decode(body)
    habits = Habits(lambda local: "Z")
    return [
        hl7v2_results.observation(obx, order, habits)
        for order in hl7v2_results.orders(message)
        for obx in order.results
    ]


def values(body: bytes) -> list[str]:
    """The value of each result, and of that what `hl7` gives: the same work for both."""
    return [obx.text(5) for obx in hl7v2.decode(body).every("OBX")]


def _theirs(text: str) -> list[str]:
    return [str(one[5]) for one in hl7.parse(text).segments("OBX")]


def _milliseconds(work: Callable[[], object], times: int) -> float:
    """Of processor time, the least: others only add."""
    took = []
    for _ in range(times):
        start = time.process_time()
        work()
        took.append(time.process_time() - start)
    return min(took) * 1e3


def reading() -> Iterator[dict[str, Any]]:
    body = large()
    text = body.decode()
    serve_command.settle()  # as the listener does
    assert values(body) == _theirs(text)
    assert len(shapes(body)) == OBX
    ours = _milliseconds(lambda: values(body), 50)
    read = _milliseconds(lambda: shapes(body), 50)
    theirs = _milliseconds(lambda: _theirs(text), 10)
    apy = _milliseconds(lambda: parse_message(text, find_groups=False), 2)
    name = f"HL7 v2 {len(body) / 1000:.0f} KB, {OBX} OBX"
    split = _milliseconds(lambda: hl7v2.decode(body), 50)
    yield row(f"{name}: to segments and fields", split, "ms")
    yield row(f"{name}: to the value of each OBX", ours, "ms")
    yield row(f"{name}: to shapes, each item with its place", read, "ms")
    yield row(f"{name}: hl7", theirs, "ms")
    yield row(f"{name}: hl7apy", apy, "ms")
    ratio = theirs / ours
    goal = f">= {GOAL_READER}"
    yield row("hl7 / ours, to values", ratio, "ratio", goal, holds=ratio >= GOAL_READER)
    yield row("hl7 / ours, to shapes", theirs / read, "ratio")
    yield row("hl7apy / ours, to values", apy / ours, "ratio")
