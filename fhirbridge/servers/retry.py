"""When a request may be sent again, and how long to wait before (RFC 9110, 9.2.2 and 10.2.3).

Refuses to repeat what the server may have done already, and to sleep long: callers plan that.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.servers.answer import Answer
from fhirbridge.servers.origin import origin
from fhirbridge.servers.wire import Distrusted, Lost, Unreached

LONGEST = 30.0  # seconds of Retry-After that are waited for here
# Seconds of Retry-After that a later attempt is put off by: Cerner has asked for five hours
# (smart-on-fhir/smart-fetch, November 2025).
CAP = 3600.0
_FIRST = 0.5
_UNSERVED = frozenset({429, 502, 503, 504})
_SECONDS = re.compile(r"[0-9]{1,9}")


class ComeBack(BridgeError):
    """The server cannot serve now; `not_before` is when it asked us to come again, if it did."""

    def __init__(self, issue: Issue, *others: Issue, not_before: datetime | None = None) -> None:
        super().__init__(issue, *others)
        self.not_before = not_before


class OutcomeUnknown(BridgeError):
    """A change was sent and its answer lost: read the resource before sending anything again."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """What allows a request to be sent again: the statuses, and whether a lost answer does."""

    statuses: frozenset[int]
    lost: bool
    unreached: bool


READING = Repeat(_UNSERVED, lost=True, unreached=True)
# HAPI 8.4 answers 409 to the losers of parallel conditional creates; asked again, it finds the
# winner's resource.
CONDITIONAL_CREATE = Repeat(_UNSERVED | {409}, lost=True, unreached=True)
# A PUT with If-Match that did arrive makes its own repetition fail as a conflict, and a gateway's
# 502 or 504 does not say whether it arrived.
VERSIONED_UPDATE = Repeat(frozenset({429, 503}), lost=False, unreached=True)
ONCE = Repeat(frozenset(), lost=False, unreached=False)


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long: `attempts` counts the first one too."""

    attempts: int
    sleep: Callable[[float], None]
    clock: Callable[[], datetime]
    dice: random.Random
    cap: float = CAP  # what a server asks for beyond it is cut

    def backoff(self, failures: int) -> float:
        """Half a second doubled with each failure, a quarter of it up or down by chance."""
        delay: float = _FIRST * 2.0**failures
        return delay * self.dice.uniform(0.75, 1.25)


def persist(attempt: Callable[[], Answer], repeat: Repeat, patience: Patience) -> Answer:
    """The answer of the first attempt that the server served.

    Raises `ComeBack` where it cannot serve for the moment, `OutcomeUnknown` where a change may or
    may not have been made, and the fault itself where nothing was reached or read.
    """
    for failures in range(patience.attempts):
        last = failures + 1 >= patience.attempts
        try:
            answer = attempt()
        except Unreached as fault:
            if last or not repeat.unreached or isinstance(fault, Distrusted):
                raise
            asked = None
        except Lost as fault:
            if not repeat.lost:
                raise _unknown(fault.issues[0].cause, fault.issues[0].place) from None
            if last:
                raise
            asked = None
        else:
            if answer.status not in _UNSERVED | repeat.statuses:
                return answer
            asked = retry_after(answer.headers.get("Retry-After", ""), patience.clock())
            if last or answer.status not in repeat.statuses or (asked or 0) > LONGEST:
                return _unserved(answer, repeat, asked, patience)
        patience.sleep(max(asked or 0.0, patience.backoff(failures)))
    raise BridgeError(Issue("configuration", "no attempt is allowed", "set FHIRBRIDGE_RETRIES"))


def retry_after(text: str, now: datetime) -> float | None:
    """Seconds from now; None where the header is missing or neither seconds nor an HTTP date."""
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())


def _unserved(answer: Answer, repeat: Repeat, asked: float | None, patience: Patience) -> Answer:
    """Raises what the last unserved answer means; a 409 goes back to the caller, who knows more."""
    if answer.status not in _UNSERVED:
        return answer
    server = origin(answer.url).server
    if answer.status in (502, 504) and not repeat.lost:
        raise _unknown(f"a gateway answered {answer.status}", server)
    wait = None if asked is None else timedelta(seconds=min(asked, patience.cap))
    not_before = None if wait is None else patience.clock() + wait
    stamp = "later" if not_before is None else f"not before {not_before:%Y-%m-%dT%H:%M:%SZ}"
    issue = Issue(
        "transient",
        f"the server answered {answer.status}",
        f"come again {stamp}",
        place=server,
    )
    raise ComeBack(issue, not_before=not_before)


def _unknown(why: str, server: str) -> OutcomeUnknown:
    return OutcomeUnknown(
        Issue(
            "transient",
            f"outcome unknown: {why}",
            "read the resource, and send it again only where the change is not there",
            place=server,
        )
    )
