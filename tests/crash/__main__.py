"""`make crash KILLS=50`: the real service under four senders, killed with SIGKILL at named points
and at random, on each database. Its last line says what is lost and what is doubled.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from fhirbridge.registry.opening import open_registry
from tests import databases, postgres
from tests.crash import checker, race
from tests.crash.senders import Ledger, Sender
from tests.journeys.bridge import SITE, Bridge, end

SENDERS, TOGETHER = 4, 16
NOBODY = 9000  # a number that no sender comes to
POINTS = ("ingest.before-commit", "ingest.after-commit")


class Killer:
    """The service, and how it is ended: as a whole, a worker, or by itself at a named point."""

    def __init__(self, bridge: Bridge, dice: random.Random) -> None:
        self.bridge, self.dice = bridge, dice
        self.kills: dict[str, int] = {}
        self.process, self.base = bridge.start()

    def address(self) -> str:
        return self.base

    def kill(self) -> None:
        time.sleep(self.dice.uniform(0.05, 0.6))
        {0: self.whole, 1: self.worker, 2: self.at_a_point}[self.dice.randrange(3)]()

    def count(self, how: str, times: int = 1) -> None:
        self.kills[how] = self.kills.get(how, 0) + times

    def whole(self) -> None:
        end(self.process, signal.SIGKILL)
        self.count("the whole service")
        self.process, self.base = self.bridge.start()

    def worker(self) -> None:
        workers = _children(self.process.pid)
        if workers:
            os.kill(self.dice.choice(sorted(workers)), signal.SIGKILL)
            self.count("a worker")

    def at_a_point(self) -> None:
        """Its workers die at the n-th passing of the point, and so do those that follow them."""
        point = self.dice.choice(POINTS)
        end(self.process, signal.SIGKILL)
        self.count("the whole service")
        armed = f"{point}:{self.dice.randint(1, 8)}"
        self.process, self.base = self.bridge.start(CRASH=armed)
        seen, until = _children(self.process.pid), time.monotonic() + 10
        dead: set[int] = set()
        while len(dead) < 2 and time.monotonic() < until:
            now = _children(self.process.pid)
            dead |= seen - now
            seen |= now
            time.sleep(0.02)
        self.count(point, len(dead))
        self.whole()

    @property
    def total(self) -> int:
        return sum(self.kills.values())


def _children(pid: int) -> set[int]:
    """The living children; a dead one that nobody has waited for yet is none."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,stat=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    rows = (line.split() for line in listed.stdout.splitlines())
    return {int(row[0]) for row in rows if not row[1].startswith("Z")}


def run(kills: int, seed: int) -> tuple[list[str], list[str], list[str], str]:
    """Lost, doubled, other faults, and what was done."""
    ledger, dice = Ledger(), random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        bridge = Bridge(Path(folder) / "data", {"RATE": ""}).found(unmatched="enrol")
        killer, ends = Killer(bridge, dice), threading.Event()
        senders = [Sender(bridge, killer.address, n, SENDERS, ledger, ends) for n in range(1, 5)]
        for sender in senders:
            sender.start()
        while killer.total < kills and not ledger.refused:
            killer.kill()
        ends.set()
        for sender in senders:
            sender.join(timeout=180)
        end(killer.process, signal.SIGTERM)
        faults = [*ledger.refused, *(["a sender hangs"] if any(map(_lives, senders)) else [])]
        lost, doubled, wrong = _checked(bridge, ledger)
        with bridge.serving() as base:
            wrong += race.one_is_made(bridge, base, number=NOBODY, times=TOGETHER)
    how = ", ".join(f"{times} {name}" for name, times in sorted(killer.kills.items()))
    told = f"{killer.total} kills ({how}); {len(ledger.acknowledged)} Bundles acknowledged of"
    told += f" {len(ledger.subjects)} subjects, {ledger.resent} sent again;"
    told += f" then {TOGETHER} conditional creates at once"
    return lost, doubled, [*faults, *wrong], told


def _lives(sender: Sender) -> bool:
    return sender.is_alive()


def _checked(bridge: Bridge, ledger: Ledger) -> tuple[list[str], list[str], list[str]]:
    """Lost, doubled, and what `fhirbridge verify` finds."""
    registry = open_registry(databases.settings(bridge.folder))
    try:
        with registry.read() as unit:
            site = unit.sites.by_name(SITE)
        lost = [*checker.lost(ledger, registry, site.id)]
        doubled = [*checker.doubled(ledger, registry, site.id)]
    finally:
        registry.close()
    verified = bridge.run("verify")
    sys.stdout.write(verified.stdout)
    wrong = [] if verified.returncode == 0 else [verified.stdout + verified.stderr]
    return lost, doubled, wrong


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="at least so many on each database")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    asked = parser.parse_args(words)
    named = ("sqlite", "postgresql") if asked.database == "both" else (asked.database,)
    lost: list[str] = []
    doubled: list[str] = []
    faults: list[str] = []
    for name in named:
        with _server(name):
            found = run(asked.kills, asked.seed)
        lost, doubled, faults = lost + found[0], doubled + found[1], faults + found[2]
        sys.stdout.write(f"{name}: {found[3]}\n")
        for line in (*found[0][:20], *found[1][:20], *found[2]):
            sys.stdout.write(f"  {line}\n")
        sys.stdout.flush()
    sys.stdout.write(f"lost {len(lost)}, doubled {len(doubled)}\n")
    return 1 if lost or doubled or faults else 0


def _server(name: str) -> AbstractContextManager[Any]:
    return _postgresql() if name == "postgresql" else nullcontext()


class _postgresql:
    """A PostgreSQL for the run, known to `tests.databases`."""

    def __enter__(self) -> None:
        self.running = postgres.running()
        os.environ[databases.SERVER] = self.running.__enter__().render_as_string()

    def __exit__(self, *fault: Any) -> None:
        databases.drop_mine()
        del os.environ[databases.SERVER]
        self.running.__exit__(*fault)


if __name__ == "__main__":
    sys.exit(main())
