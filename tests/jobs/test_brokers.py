"""The same jobs by Celery, over a real RabbitMQ and a real Redis: what they lose makes no difference."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Request
from kombu import Connection

from fhirbridge.jobs import celery_app
from fhirbridge.outcome import BridgeError
from fhirbridge.settings import Settings
from tests import brokers
from tests.jobs.desk import Desk, children, until
from tests.journeys.bridge import end


@pytest.fixture(scope="module", params=["rabbitmq", "redis"])
def broker(request: pytest.FixtureRequest) -> Iterator[str]:
    with getattr(brokers, request.param)() as url:
        yield url


@pytest.fixture
def desk(tmp_path: Path, broker: str) -> Iterator[Desk]:
    flush(broker)
    with Desk.open(tmp_path / "data", BROKER=broker, SWEEP="3") as made:
        yield made


def flush(broker: str) -> None:
    """All that the broker knows of our queue, waiting or on its way, is gone."""
    with Connection(broker) as connection:
        channel: Any = connection.channel()
        if broker.startswith("redis"):
            channel.client.flushall()
        else:
            channel.queue_delete(celery_app.QUEUE)


def slow(desk: Desk) -> list[int]:
    """The hospital takes its time, once, and says when it does."""
    reached: list[int] = []

    def wait(_: Request) -> None:
        reached.append(1)
        time.sleep(3)

    desk.hospital.fail("GET /fhir/Observation?patient", hook=wait)  # type: ignore[arg-type]
    return reached


@pytest.mark.broker
def test_e28_a_broker_that_is_flushed_in_mid_run_loses_nothing(desk: Desk, broker: str) -> None:
    reached = slow(desk)
    crew = desk.begin("work")
    first = desk.add("pull")
    until(lambda: bool(reached))
    second = desk.add("deliver")
    until(lambda: desk.job(second).told_at is not None)  # its message waits behind the pull
    flush(broker)
    desk.until_done(first)
    desk.until_done(second)
    end(crew, signal.SIGTERM)
    desk.is_well()


@pytest.mark.broker
def test_e16_what_a_killed_celery_worker_did_is_taken_up(desk: Desk) -> None:
    reached = slow(desk)
    crew = desk.begin("work")
    job = desk.add("pull")
    until(lambda: bool(reached))
    pool = {below for child in children(crew.pid) for below in children(child)}
    assert pool
    for pid in pool:
        os.kill(pid, signal.SIGKILL)
    desk.until_done(job)
    assert desk.job(job).attempts >= 1
    end(crew, signal.SIGTERM)
    desk.is_well()


@pytest.mark.broker
def test_x37_x31_a_task_is_json_and_holds_an_id_and_nothing_else(broker: str) -> None:
    flush(broker)
    settings = Settings(broker=broker)
    celery_app.send(celery_app.make(settings), "0b0d1c5e-98e2-4d0b-8c8b-3c1b5a4f0d11")
    with Connection(broker) as connection:
        queue = connection.SimpleQueue(celery_app.QUEUE)
        message = queue.get(timeout=20)
        message.ack()
        queue.close()
    assert message.content_type == "application/json"
    args, named, _ = json.loads(message.body)
    assert (args, named) == (["0b0d1c5e-98e2-4d0b-8c8b-3c1b5a4f0d11"], {})
    assert message.headers["task"] == "fhirbridge.job"
    assert "MBD-A" not in str(message.headers)


def test_x37_celery_reads_json_alone() -> None:
    app = celery_app.make(Settings(broker="redis://127.0.0.1:1/0"), lambda: pytest.fail("no"))
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_serializer == "json"
    assert app.conf.task_acks_late
    assert app.conf.task_reject_on_worker_lost
    assert app.conf.worker_prefetch_multiplier == 1
    assert celery_app.TASK in app.tasks


def test_a_broker_of_another_kind_is_told_and_one_that_is_away_is_transient() -> None:
    with pytest.raises(BridgeError, match="no URL of a broker"):
        celery_app.make(Settings(broker="sqs://x"))
    away = celery_app.make(Settings(broker="redis://127.0.0.1:1/0"))
    with pytest.raises(BridgeError) as told:
        celery_app.send(away, "id")
    assert told.value.issues[0].category == "transient"
