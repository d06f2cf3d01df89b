"""A desk that also remembers what came by a feed of rehearsal, for the canary of a site."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from queue import Empty, Queue

from fhirbridge.listener.taking import Desk
from fhirbridge.registry.feeds import Feed
from fhirbridge.sync import canary
from fhirbridge.sync.canary import Answered


@dataclass
class WatchedDesk(Desk):
    """Answers as the desk does; `came` holds the canaries with their answers, in memory alone."""

    came: Queue[Answered] = field(default_factory=Queue)

    def take(self, feed: Feed, site: str, body: bytes) -> list[bytes]:
        begun, at = time.monotonic(), self.registry.now()
        answers = super().take(feed, site, body)
        if canary.is_canary(body):
            seconds = time.monotonic() - begun
            self.came.put(Answered(body, tuple(answers), seconds, at))
        return answers

    def awaited(self, seconds: float, *, settle: float) -> Answered | None:
        """The first canary, once it was seen whether it comes again; None where none came."""
        try:
            first = self.came.get(timeout=seconds)
        except Empty:
            return None
        times, until = 1, time.monotonic() + settle
        while (left := until - time.monotonic()) > 0:
            try:
                again = self.came.get(timeout=left)
            except Empty:
                break
            times += again.body == first.body
        return Answered(first.body, first.answers, first.seconds, first.at, times)
