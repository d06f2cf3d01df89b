"""A PostgreSQL of the tests' own: made in a temporary folder, ended by its process id.

It listens on a socket in that folder alone, and writes without fsync: what it holds is synthetic
and gone afterwards. `initdb` refuses root, so root runs it as an unprivileged user.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
}
_DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
_USERS = ("postgres", "nobody")
_WAIT = 60.0  # seconds for a server that starts or ends


class NotThere(Exception):
    """PostgreSQL is not installed, or did not start."""


def binaries() -> Path:
    """The folder of `initdb` and `postgres`: the one in PATH, else Debian's newest."""
    found = shutil.which("initdb")
    debian = sorted(
        Path(os.sep, "usr", "lib", "postgresql").glob("*/bin"), key=lambda p: int(p.parent.name)
    )
    for folder in [*([Path(found).resolve().parent] if found else []), *reversed(debian)]:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise NotThere(
        "no initdb was found: install PostgreSQL, on Debian by apt-get install postgresql"
    )


def _user() -> pwd.struct_passwd:
    """Whom the server runs as: ourselves, unless that is root."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    known = {user.pw_name: user for user in pwd.getpwall()}
    return next(known[name] for name in _USERS if name in known)


@contextmanager
def running(*, durable: bool = False) -> Iterator[URL]:
    """URL of a running server's database `postgres`; the server ends with the block. `durable`: it
    writes as a real one, with fsync."""
    with made() as server, server.running(durable=durable):
        yield server.url


@dataclass(frozen=True, slots=True)
class Server:
    """A cluster that can be started, ended and started again."""

    folder: Path
    who: dict[str, object]

    @property
    def url(self) -> URL:
        place = {"host": str(self.folder)}
        return URL.create("postgresql+psycopg", "postgres", database="postgres", query=place)

    def running(self, *, durable: bool = False) -> AbstractContextManager[None]:
        return _serving(self.folder, self.who, {**_SETTINGS, **(_DURABLE if durable else {})})


@contextmanager
def made() -> Iterator[Server]:
    """A cluster that does not run yet; it is removed with the block."""
    folder, user = Path(tempfile.mkdtemp(prefix="pg-")), _user()
    root = os.geteuid() == 0
    who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if root else {}
    if root:
        os.chown(folder, user.pw_uid, user.pw_gid)
    try:
        _make(folder, who)
        yield Server(folder, who)
    finally:
        shutil.rmtree(folder)


def _make(folder: Path, who: dict[str, object]) -> None:
    told = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    # By default it then compares as people do, as many a server: what must not says COLLATE "C".
    told += ["--locale-provider=icu", "--icu-locale=en"]
    made = subprocess.run(
        [binaries() / "initdb", "-D", folder / "data", *told],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        **who,  # type: ignore[call-overload]
    )
    if made.returncode:
        raise NotThere(made.stderr)


@contextmanager
def _serving(folder: Path, who: dict[str, object], chosen: dict[str, str]) -> Iterator[None]:
    settings = [word for name, value in chosen.items() for word in ("-c", f"{name}={value}")]
    command = [binaries() / "postgres", "-D", folder / "data", "-k", folder, *settings]
    log = folder / "log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,  # a Ctrl-C at the terminal is ours to pass on
            **who,  # type: ignore[call-overload]
        )
    try:
        _await(server, log)
        yield
    finally:
        server.send_signal(signal.SIGINT)  # a fast shutdown: sessions are ended, not waited for
        try:
            server.wait(timeout=_WAIT)
        except subprocess.TimeoutExpired:
            server.send_signal(signal.SIGQUIT)
            server.wait(timeout=_WAIT)


def _await(server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _WAIT
    while b"ready to accept connections" not in log.read_bytes():
        if server.poll() is not None or time.monotonic() > until:
            raise NotThere(log.read_text(errors="replace"))
        time.sleep(0.02)
