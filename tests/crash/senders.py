"""Senders as integration engines are: each Bundle again and again until it is acknowledged, and a
ledger of what was."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import requests

from fhirbridge.sandbox import synthetic
from fhirbridge.study.records import Record
from tests.journeys import story
from tests.journeys.bridge import Bridge

_PATIENCE = 120.0  # seconds without any acknowledgement


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A Bundle that was answered with 200: the subject, which of its Bundles, and the receipt."""

    subject: int
    step: int
    receipt: str


@dataclass
class Ledger:
    """What the senders know."""

    acknowledged: list[Acknowledged] = field(default_factory=list)
    resent: int = 0
    refused: list[str] = field(default_factory=list)

    @property
    def subjects(self) -> list[int]:
        return sorted({one.subject for one in self.acknowledged})


def steps(number: int) -> list[list[Record]]:
    """A subject's records as they are first sent, and its assessments as they are corrected."""
    assessments = [*synthetic.assessments(number)]
    first = [synthetic.subject(number), synthetic.lesion(number), synthetic.surgery(number)]
    return [[*first, *assessments], [synthetic.subject(number), *map(_corrected, assessments)]]


def _corrected(record: Record) -> Record:
    """Another score at rest; the others as they were."""
    score = record.fields.get("pain_rest")
    other = (score + 1) % 11 if isinstance(score, int) else 5
    return replace(record, fields={**record.fields, "pain_rest": other})


@dataclass
class Sender(threading.Thread):
    """Every `of`-th subject from `first` on, until it is told to end after the one it is at."""

    bridge: Bridge
    address: Callable[[], str]
    first: int
    of: int
    ledger: Ledger
    ends: threading.Event

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        for number in self.numbers():
            for step, records in enumerate(steps(number)):
                (body,) = story.bundles_of(records)
                if not self.send(number, step, body):
                    return

    def numbers(self) -> Iterator[int]:
        number = self.first
        while not self.ends.is_set():
            yield number
            number += self.of

    def send(self, number: int, step: int, body: bytes) -> bool:
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            try:
                answer = self.bridge.post(self.address(), body)
            except requests.RequestException:
                self.ledger.resent += 1
                time.sleep(0.05)
                continue
            if answer.status_code == 200:
                receipt = answer.headers["X-Receipt"]
                self.ledger.acknowledged.append(Acknowledged(number, step, receipt))
                return True
            if answer.status_code not in (429, 503):
                self.ledger.refused.append(f"{answer.status_code}: {answer.text[:500]}")
                return False
            self.ledger.resent += 1
            time.sleep(0.05)
        self.ledger.refused.append(f"subject {number} was never acknowledged")
        return False
