"""At scale: Celery carries the word that a job may be due. A task has the job's id and nothing
else; whether it is to be done is asked of the table, so a task that comes twice, late or never
makes no difference.
"""

from __future__ import annotations

import signal
from collections.abc import Callable

from celery import Celery  # type: ignore[import-untyped]  # celery has no types
from kombu.exceptions import OperationalError

from fhirbridge.jobs import planning
from fhirbridge.jobs.work import Worker
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.store import Registry
from fhirbridge.settings import PREFIX, Settings

TASK = "fhirbridge.job"
QUEUE = "fhirbridge"
_SCHEMES = ("amqp", "amqps", "redis", "rediss")


def make(settings: Settings, worker: Callable[[], Worker] | None = None) -> Celery:
    """An app that sends; with a worker also one that does."""
    if settings.broker.partition("://")[0] not in _SCHEMES:
        cause, place = "this is no URL of a broker", f"{PREFIX}BROKER"
        remedy = f"write one that begins with {', '.join(_SCHEMES)}"
        raise BridgeError(Issue("configuration", cause, remedy, place=place))
    app = Celery("fhirbridge", broker=settings.broker, set_as_current=False)
    app.conf.update(
        # Nothing else is read: a pickle would run what its sender wrote.
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        task_ignore_result=True,
        task_default_queue=QUEUE,
        # A task is done when the job is, and comes again where its worker died.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # Redis gives a task to another one after this time, RabbitMQ after 30 minutes: while the
        # first still works, the second finds its lease, and goes.
        broker_transport_options=(
            {"visibility_timeout": max(60, settings.lease)}
            if settings.broker.startswith("redis")
            else {"confirm_publish": True}
        ),
    )
    if worker is not None:

        @app.task(name=TASK)  # type: ignore[untyped-decorator]
        def job(job_id: str) -> None:
            one = worker()
            try:
                site_id = planning.find(one.registry, job_id)
                if site_id is not None:
                    one.do(site_id, job_id)
            except BridgeError:  # the database is away: the sweeper tells of the job again
                return
            finally:
                signal.alarm(0)

    return app


def send(app: Celery, job_id: str) -> None:
    """Raises `BridgeError` (transient) where the broker cannot be reached."""
    try:
        app.send_task(TASK, args=[job_id], queue=QUEUE, retry=False, ignore_result=True)
    except (OperationalError, OSError) as fault:
        cause = "the broker cannot be reached"
        raise BridgeError(Issue("transient", cause, "the job is told again")) from fault


def sweep(app: Celery, worker: Worker) -> int:
    """Tell the broker of every job that is due and that nobody holds: new ones at once, others
    again after the setting's seconds. How many that were.
    """
    registry: Registry = worker.registry
    sent = 0
    for site_id, job in worker.due():
        now = registry.now()
        fresh = job.told_at is not None and job.told_at <= now
        if fresh and job.told_at and (now - job.told_at).total_seconds() < worker.settings.sweep:
            continue
        with registry.unit(site_id) as unit:
            mine = unit.jobs.told(job)
            unit.commit()
        if mine:  # after the commit: told twice is nothing, and never told would be
            send(app, job.id)
            sent += 1
    return sent
