"""Who stores next: messages that wait for the only writer of a SQLite database are stored together,
by one of their threads and in one transaction, and all are answered behind its commit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Condition
from typing import Generic, TypeVar

from fhirbridge.outcome import BridgeError, Issue

T = TypeVar("T")
R = TypeVar("R")


@dataclass(eq=False)
class _One(Generic[T, R]):
    """`result` or `fault`, once it is done."""

    given: T
    group: str
    done: bool = False
    result: R | None = None
    fault: BridgeError | None = None


@dataclass
class Sharing(Generic[T, R]):
    """`together` stores several of one group (a site), all or none; `alone` stores one. `leaders`
    are the transactions at once, `most` the messages of one."""

    together: Callable[[Sequence[T]], Sequence[R]]
    alone: Callable[[T], R]
    leaders: int
    most: int
    turn: Condition = field(default_factory=Condition)
    waiting: list[_One[T, R]] = field(default_factory=list)
    busy: int = 0

    def take(self, given: T, group: str, *, seconds: float) -> R:
        """Raises `BridgeError` where it cannot be stored, or has no turn within so many seconds."""
        one: _One[T, R] = _One(given, group)
        until = time.monotonic() + seconds
        with self.turn:
            self.waiting.append(one)
        while not one.done:
            batch = self._turn(one, until)
            if batch:
                self._store(batch)
        if one.fault is not None:
            raise one.fault
        assert one.result is not None
        return one.result

    def _turn(self, one: _One[T, R], until: float) -> list[_One[T, R]]:
        """What this thread is to store; nothing where another has stored its own meanwhile."""
        with self.turn:
            while not one.done and self.busy >= self.leaders:
                mine = one in self.waiting  # else it is being stored, and that is waited for
                left = until - time.monotonic() if mine else None
                if left is not None and left <= 0:
                    self.waiting.remove(one)
                    cause = "no turn at the database in time"
                    raise BridgeError(Issue("transient", cause, "send it again"))
                self.turn.wait(left)
            if one.done or one not in self.waiting:
                return []
            same = [
                other for other in self.waiting if other.group == one.group and other is not one
            ]
            batch = [one, *same][: self.most]
            batch.sort(key=self.waiting.index)  # in the order in which they came
            self.waiting = [other for other in self.waiting if other not in batch]
            self.busy += 1
            return batch

    def _store(self, batch: list[_One[T, R]]) -> None:
        try:
            if len(batch) == 1 or not self._stored_together(batch):
                for one in batch:
                    self._stored_alone(one)
        finally:
            with self.turn:
                self.busy -= 1
                for one in batch:
                    if one.result is None and one.fault is None:
                        one.fault = BridgeError(Issue("exception", "it was not stored", "send it"))
                    one.done = True
                self.turn.notify_all()

    def _stored_together(self, batch: list[_One[T, R]]) -> bool:
        """Whether all could be; where one could not, nothing of any is stored."""
        try:
            results = self.together([one.given for one in batch])
        except BridgeError:
            return False
        for one, result in zip(batch, results, strict=True):
            one.result = result
        return True

    def _stored_alone(self, one: _One[T, R]) -> None:
        try:
            one.result = self.alone(one.given)
        except BridgeError as fault:
            one.fault = fault
