"""Processor milliseconds of a 20-entry transaction, by step, in one process and without a network;
and beside them the statements and their rows.

Other work on the machine does not count, but it slows the processor down by up to a half: two
states of the code are compared `in yardsticks`, a fixed piece of Python that is timed beside each
transaction. With BENCH_PROFILE=file the functions' own times are written there, for
`python -m pstats`.
"""

from __future__ import annotations

import cProfile
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

from flask.testing import FlaskClient
from sqlalchemy import event

from bench.door import STEPS, Clock, Place, transactions
from bench.pipelines import row
from fhirbridge.app import create_app
from fhirbridge.commands import serve_command
from fhirbridge.library import Library
from fhirbridge.settings import Settings

TIMES, BEFORE = 150, 20
"""Transactions that are measured; those before, in which things are compiled and cached."""


def measure() -> Iterator[dict[str, Any]]:
    supply = transactions(Library(Settings().mappings).of_site("bench"))
    with tempfile.TemporaryDirectory(prefix="fhirbridge-steps-") as name:
        place = Place.make(Path(name) / "steps")
        app = create_app(Settings(data=place.folder, database=place.database, rate=""))
        registry = app.extensions["fhirbridge"].registry
        client = app.test_client()
        serve_command.settle()

        def push(times: int) -> list[float]:
            return [_push(client, place.key, body) for body in itertools.islice(supply, times)]

        push(BEFORE)
        beside = [(_yardstick(), *push(1)) for _ in range(TIMES)]
        yield row("a transaction, processor", statistics.median(p for _, p in beside) * 1e3, "ms")
        yield row("  in yardsticks", statistics.median(p / y for y, p in beside), "")
        with ExitStack() as patched:
            clock = Clock(time.process_time)
            for step, owner, attribute in STEPS:
                timed = clock.step(step, getattr(owner, attribute))
                patched.enter_context(patch.object(owner, attribute, timed))
            push(TIMES)
        for step, seconds in sorted(clock.seconds.items(), key=lambda one: -one[1]):
            yield row(f"  of it {step}", seconds / TIMES * 1e3, "ms")
        ran: list[int] = []  # rows of each statement
        event.listen(
            registry.engine,
            "before_cursor_execute",
            lambda _c, _k, _s, given, _x, many: ran.append(len(given) if many else 1),
        )
        push(TIMES)
        yield row("  statements", len(ran) / TIMES, "")
        yield row("  rows written or asked for", sum(ran) / TIMES, "")
        if path := os.environ.get("BENCH_PROFILE"):
            bodies = [*itertools.islice(supply, TIMES)]
            with cProfile.Profile(time.process_time) as profile:
                for body in bodies:
                    _push(client, place.key, body)
            profile.dump_stats(path)
        registry.close()
        size = (place.folder / "registry.db").stat().st_size
        yield row("the file, a resource", size / (BEFORE + TIMES * 3) / 20 / 1024, "KB")


def _yardstick() -> float:
    """Dicts, texts and numbers, as a transaction has them."""
    start = time.process_time()
    made = {str(n): [n, n * 0.5] for n in range(2_000)}
    assert sum(len(name) + pair[0] for name, pair in made.items()) > 0
    assert json.loads(json.dumps(made)) == made
    return time.process_time() - start


def _push(client: FlaskClient, key: str, body: bytes) -> float:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/fhir+json"}
    start = time.process_time()
    answer = client.post("/fhir", data=body, headers=headers)
    took = time.process_time() - start
    assert answer.status_code == 200, answer.data
    return took
