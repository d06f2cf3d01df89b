"""work: background jobs, by processes of this machine or by Celery."""

from __future__ import annotations

import logging
import mmap
import os
from dataclasses import dataclass

import click
from celery.signals import worker_shutting_down  # type: ignore[import-untyped]

from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.crash import Crash
from fhirbridge.jobs import celery_app, loop, planning
from fhirbridge.jobs.loop import Crew, Ending
from fhirbridge.jobs.work import Worker
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.sync import overdue
from fhirbridge.web import logs

_LOG = logging.getLogger("fhirbridge.jobs")


@click.command()
@click.option("--once", is_flag=True, help="do what is due now, then end")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64))
@pass_workshop
def work(workshop: Workshop, once: bool, workers: int) -> None:
    """Do the jobs that are due, and make those that schedules say. End it by SIGTERM: what it does
    is taken up by the next one.
    """
    workshop.registry  # noqa: B018  # upgraded once, before the processes
    logs.install()
    ending = Ending().listen()
    if once and workshop.settings.broker:
        cause = "with a broker, workers do not end by themselves"
        raise BridgeError(Issue("value", cause, "leave out --once, or FHIRBRIDGE_BROKER"))
    if once:
        loop.work(worker_of(workshop), ending, once=True)
        return
    click.echo("ready")
    run(workshop, workers, ending)


def run(workshop: Workshop, workers: int, ending: Ending) -> None:
    """Until it is told to end."""
    if workshop.settings.broker:
        _Brokered(workshop, workers).run(ending)
    else:
        Crew(workers, lambda mine: loop.work(worker_of(workshop), mine), ending).run()


def worker_of(workshop: Workshop) -> Worker:
    settings = workshop.settings
    return Worker(workshop.registry, settings, workshop.hospital_of, Crash(settings.crash))


@dataclass(frozen=True, slots=True)
class _Brokered:
    """The sweeper in this process, Celery's worker in another."""

    workshop: Workshop
    workers: int

    def run(self, ending: Ending) -> None:
        celery_app.make(self.workshop.settings)  # refuses a wrong URL here
        crew = Crew(1, self.celery, ending)
        sweeper = loop.begin(self.sweep)
        try:
            crew.run()
        finally:
            loop.end({sweeper})

    def celery(self, _: Ending) -> None:
        """Celery's own signals: at SIGTERM it ends what it does, and takes nothing new."""
        told = mmap.mmap(-1, 1)  # shared with the processes that Celery begins

        def shut(**_: object) -> None:
            told[0] = 1

        def worker() -> Worker:
            orphaned = Ending(parent=os.getppid())
            return loop.mortal(worker_of(self.workshop), lambda: bool(told[0]) or orphaned())

        worker_shutting_down.connect(shut, weak=False)
        app = celery_app.make(self.workshop.settings, worker)
        words = ["worker", "--concurrency", str(self.workers), "--loglevel", "WARNING"]
        words += ["--without-gossip", "--without-mingle", "--hostname", f"w{os.getpid()}@%h"]
        app.worker_main(words)

    def sweep(self, ending: Ending) -> None:
        app = celery_app.make(self.workshop.settings)
        worker = worker_of(self.workshop)
        while not ending():
            try:
                planning.tick(worker.registry)
                overdue.sweep_all(worker.registry, worker.settings.import_days)
                celery_app.sweep(app, worker)
            except BridgeError as fault:  # database or broker are away for the moment
                told = {"category": fault.issues[0].category}
                _LOG.warning("sweeper", extra={"values": told})
            ending.wait(loop.PAUSE)
