"""serve: the web application in several worker processes, with limits."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from pathlib import Path

import click
import prometheus_client.values
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.glogging import Logger  # type: ignore[import-untyped]
from prometheus_client.multiprocess import mark_process_dead

from fhirbridge.app import create_app
from fhirbridge.commands import work_command
from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.jobs import loop
from fhirbridge.web import logs

_GATHERED = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client's own name for the folder
_LIMITS = {"limit_request_line": 8190, "limit_request_fields": 64, "limit_request_field_size": 8190}
_YOUNG = 50_000  # objects after which the garbage collector looks; 700 is Python's own number
_PATIENCE = 30  # seconds that a worker may take to end what it does, when the service stops


class QuietLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's own log holds URLs and headers: of it only where it comes from is told."""

    def setup(self, cfg: object) -> None:
        super().setup(cfg)
        self.error_log.handlers[:] = [logs.handler()]


class _Gunicorn(BaseApplication):  # type: ignore[misc]
    """One master, some synchronous workers; each opens the registry after the fork."""

    def __init__(self, workshop: Workshop, options: dict[str, object]) -> None:
        self.workshop = workshop
        self.options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self.options.items():
            self.cfg.set(name, value)

    def load(self) -> object:
        app = create_app(self.workshop.settings)
        settle()
        return app


def settle() -> None:
    """What is loaded stays: the garbage collector does not walk through it again and again.

    A transaction of 20 entries makes some 50,000 objects and keeps none; looking through the
    program's own at each took a fifth of its processor time (28.4 -> 22.6 ms, `bench steps`).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True, help="0 takes a free one")
@click.option("--workers", default=2, show_default=True)
@click.option("--with-work", is_flag=True, help="also do background jobs, as 'work' does")
@pass_workshop
def serve(workshop: Workshop, host: str, port: int, workers: int, with_work: bool) -> None:
    """Serve the FHIR door, the JSON API and what an operator asks."""
    # Upgrades the database once, and tells here what is wrong with the settings.
    create_app(workshop.settings).extensions["fhirbridge"].registry.close()
    logs.install()
    beside = {loop.begin(lambda ending: work_command.run(workshop, 1, ending))} if with_work else ()

    def ready(server: object) -> None:
        address = server.LISTENERS[0].sock.getsockname()  # type: ignore[attr-defined]
        click.echo(f"ready http://{address[0]}:{address[1]}/fhir")

    _Gunicorn(
        workshop,
        {
            "bind": f"{host}:{port}",
            "workers": workers,
            "when_ready": ready,
            "loglevel": "warning",
            "logger_class": QuietLogger,
            "timeout": workshop.settings.request_timeout,
            "graceful_timeout": _PATIENCE,
            **_LIMITS,
            **_gathering([*beside]),
        },
    ).run()


def _gathering(beside: list[int]) -> dict[str, object]:
    """The hooks by which workers gather their numbers in a folder that ends with the service."""
    folder = Path(tempfile.mkdtemp(prefix="fhirbridge-metrics-"))
    os.environ[_GATHERED] = str(folder)
    # prometheus_client looks for the variable when it is imported, which was before.
    prometheus_client.values.ValueClass = prometheus_client.values.get_value_class()  # type: ignore[no-untyped-call]

    def child_exit(_: object, worker: object) -> None:
        mark_process_dead(worker.pid)  # type: ignore[attr-defined, no-untyped-call]

    def on_exit(_: object) -> None:  # of the master alone: workers leave by the same lines
        shutil.rmtree(folder, ignore_errors=True)
        loop.end({*beside})

    return {"child_exit": child_exit, "on_exit": on_exit}
