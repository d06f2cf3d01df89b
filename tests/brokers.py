"""RabbitMQ and Redis of the tests' own: in temporary folders, on free ports of 127.0.0.1, ended by
their process ids. Neither needs a service manager; both are Debian packages.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_WAIT = 90.0  # seconds for a broker that starts
_HERE = "127.0.0.1"


class NotThere(Exception):
    """The broker is not installed, or did not start."""


@contextmanager
def redis() -> Iterator[str]:
    """URL of a Redis that keeps nothing on its disk."""
    program = shutil.which("redis-server")
    if program is None:
        raise NotThere("no redis-server was found: on Debian apt-get install redis-server")
    port = _free()
    with _folder("redis-") as folder:
        told = ["--port", str(port), "--bind", _HERE, "--save", "", "--dir", str(folder)]
        with _running([program, *told], folder, {}):
            _await(port)
            yield f"redis://{_HERE}:{port}/0"


@contextmanager
def rabbitmq() -> Iterator[str]:
    """URL of a RabbitMQ: the program itself, for Debian's wrapper would change the user."""
    program = Path(os.sep, "usr", "lib", "rabbitmq", "bin", "rabbitmq-server")
    if not program.exists():
        raise NotThere("no rabbitmq-server was found: on Debian apt-get install rabbitmq-server")
    port, names = _free(), _free()
    with _folder("rabbitmq-") as folder:
        plugins = folder / "plugins"
        plugins.write_text("[].", encoding="ascii")
        environment = {
            "RABBITMQ_NODENAME": f"tests{port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_NODE_IP_ADDRESS": _HERE,
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(_free()),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "HOME": str(folder),  # its cookie
            # Names of Erlang's nodes are kept by a process that outlives them: one of our own.
            "ERL_EPMD_ADDRESS": _HERE,
            "ERL_EPMD_PORT": str(names),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        keeper = shutil.which("epmd")
        if keeper is None:
            raise NotThere("no epmd was found: it comes with Erlang")
        with (
            _running([keeper, "-port", str(names), "-address", _HERE], folder, environment),
            _running([str(program)], folder, environment),
        ):
            _await(port)
            yield f"amqp://guest:guest@{_HERE}:{port}//"


@contextmanager
def _folder(prefix: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[None]:
    log = folder / f"{Path(command[0]).name}.log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield
    finally:
        _end(server)


def _end(server: subprocess.Popen[bytes]) -> None:
    """Its process group: what it has begun ends with it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if _lives(server.pid):
            os.killpg(server.pid, number)
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            continue


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _free() -> int:
    with socket.socket() as one:
        one.bind((_HERE, 0))
        port: int = one.getsockname()[1]
    return port


def _await(port: int) -> None:
    until = time.monotonic() + _WAIT
    while time.monotonic() < until:
        try:
            with socket.create_connection((_HERE, port), timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise NotThere(f"nothing listens on port {port} after {_WAIT:.0f} seconds")
