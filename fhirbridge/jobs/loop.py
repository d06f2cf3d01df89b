"""The embedded default: processes of this machine that look at the table, with no broker."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from fhirbridge.jobs import planning
from fhirbridge.jobs.work import Worker
from fhirbridge.outcome import BridgeError
from fhirbridge.sync import overdue

LOG = logging.getLogger("fhirbridge.jobs")
PAUSE = 1.0  # seconds between two looks at the table
PATIENCE = 30.0  # seconds that a worker may take to end what it does


@dataclass
class Ending:
    """Set by SIGTERM or SIGINT; and by the end of the process that began us, where one did."""

    told: bool = False
    parent: int = 0

    def listen(self) -> Ending:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._tell)
        return self

    def _tell(self, *_: object) -> None:
        self.told = True

    def __call__(self) -> bool:
        return self.told or bool(self.parent and os.getppid() != self.parent)

    def wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self() and time.monotonic() < until:
            time.sleep(0.05)


def mortal(worker: Worker, stopping: Callable[[], bool]) -> Worker:
    """One that dies when it hangs for as long as its lease lasts, and is then counted. Whoever ends
    its work calls `signal.alarm(0)`."""
    seconds = max(1, worker.settings.lease)

    def alive() -> None:
        signal.alarm(seconds)

    return replace(worker, stopping=stopping, alive=alive)


def work(worker: Worker, ending: Ending, *, once: bool = False) -> None:
    """Until told to end; `once`: until nothing is due that can be had."""
    busy = mortal(worker, ending)
    while not ending():
        try:
            planning.tick(busy.registry)
            overdue.sweep_all(busy.registry, busy.settings.import_days)
            did = busy.one()
        except BridgeError as fault:  # the database is away for the moment
            told = {"category": fault.issues[0].category}
            LOG.warning("worker", extra={"values": told})
            if once:
                raise
            did = False
        finally:
            signal.alarm(0)
        if did:
            continue
        if once:
            return
        ending.wait(PAUSE)


@dataclass
class Crew:
    """Processes that do the same; one that dies is followed by another."""

    count: int
    duty: Callable[[Ending], None]
    ending: Ending
    pids: set[int] = field(default_factory=set)

    def run(self) -> None:
        while not self.ending():
            while len(self.pids) < self.count:
                self.pids.add(begin(self.duty))
            self.ending.wait(0.2)
            self._bury()
        end(self.pids)

    def _bury(self) -> None:
        for pid in [*self.pids]:
            if ended(pid):
                self.pids.discard(pid)
                self.ending.wait(PAUSE)  # one that dies at once is not begun without a pause


def begin(duty: Callable[[Ending], None]) -> int:
    """The duty in a process of its own, which ends with this one; its id."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        duty(Ending(parent=parent).listen())
        status = 0
    except BaseException as fault:  # noqa: BLE001  # nothing of the parent is to go on here
        LOG.error("worker", extra={"values": {"kind": type(fault).__name__}})
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def end(pids: set[int]) -> None:
    """Tell them to end, and wait; who does not is killed, and its work taken up again."""
    left = {pid for pid in pids if not ended(pid)}
    for pid in left:
        os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + PATIENCE
    while left and time.monotonic() < until:
        time.sleep(0.05)
        left = {pid for pid in left if not ended(pid)}
    for pid in left:
        os.kill(pid, signal.SIGKILL)


def ended(pid: int) -> bool:
    """Whether this child has ended; also where another one (gunicorn) has buried it."""
    try:
        return bool(os.waitpid(pid, os.WNOHANG)[0])
    except ChildProcessError:
        return True
