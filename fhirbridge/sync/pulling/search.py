"""The data of one subject, by a search for each type or by `$everything`: all of it, or what is
newer than the last reading.

The mark of what was read is the server's own: never later than the newest lastUpdated that it
showed, nor than its clock when the run began, less the overlap.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from fhirbridge.outcome import BridgeError
from fhirbridge.registry.runs import Reading
from fhirbridge.registry.subjects import Subject
from fhirbridge.servers.ahead import ahead
from fhirbridge.servers.retry import ComeBack
from fhirbridge.sync.beside import ORDERS
from fhirbridge.sync.pulling.round import Place, Round, Taken, unserved
from fhirbridge.sync.pulling.walk import Walk

EVERYTHING = "everything"


@dataclass(frozen=True, slots=True)
class Question:
    """One stream: what is asked of one Patient there. `since` None: all of it."""

    stream: str
    path: str
    pairs: tuple[tuple[str, str], ...]
    since: datetime | None


def stream_of(subject: Subject, kind: str, patient: str) -> str:
    return f"{subject.study_id}/{kind}/{patient}"


def extra(searches: str, kind: str) -> Iterator[tuple[str, str]]:
    """What the option `searches` adds for a type.

    >>> [*extra("Observation?category=survey&code=a,b Condition?category=x", "Observation")]
    [('category', 'survey'), ('code', 'a,b')]
    """
    for word in searches.split():
        name, _, query = word.partition("?")
        if name == kind:
            for pair in query.split("&"):
                parameter, _, value = pair.partition("=")
                yield parameter, value


def by_type(round: Round, subject: Subject, kind: str, patient: str) -> Question:
    stream = stream_of(subject, kind, patient)
    since = start_of(round, kind, reading(round, stream))
    pairs = [("patient", patient), *extra(round.options.searches, kind)]
    if since is not None:
        pairs.append(("_lastUpdated", f"ge{stamp(since)}"))
    if kind in ORDERS:  # US Core 6.1: a server that has them apart must be able to send them along
        pairs.append(("_include", f"{kind}:medication"))
    pairs.append(("_count", str(round.size)))
    return Question(stream, kind, tuple(pairs), since)


def everything(round: Round, subject: Subject, types: list[str], patient: str) -> Question:
    """Always all of it: HAPI 8.4 takes `_since` here and does not look at it (November 2026)."""
    pairs = (("_type", ",".join(["Patient", *types])), ("_count", str(round.size)))
    path = f"Patient/{patient}/$everything"
    return Question(stream_of(subject, EVERYTHING, patient), path, pairs, None)


def reading(round: Round, stream: str) -> Reading | None:
    return round.streams.reading(stream)


def start_of(round: Round, kind: str, before: Reading | None) -> datetime | None:
    """From when on it is asked; None: all of it, as nothing was read before, the server has no
    `_lastUpdated` for the type, or it is time for a full reading."""
    options = round.options
    stamped = options.increments == "yes" or (
        options.increments == "auto" and kind in round.asked.stamped
    )
    if round.full or not stamped or before is None or before.full_at is None:
        return None
    if round.run.started_at - before.full_at >= timedelta(days=options.full_days):
        return None
    return before.since


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def mark(round: Round, walk: Walk) -> datetime | None:
    """From when on the next increment asks; None where there is nothing to go by."""
    if walk.newest is None or walk.unstamped:
        return None
    moments = [walk.newest, *([round.asked.moment] if round.asked.moment else [])]
    return min(moments) - timedelta(seconds=round.options.overlap)


def read(round: Round, question: Question) -> None:
    """All pages of the stream, from where an earlier attempt of this run stopped. What goes wrong
    with it is a reason of the run, and stops no other stream."""
    cursor = round.cursor(question.stream)
    if cursor is not None and cursor.state == "done":
        return
    walk = Walk(
        round.hospital.server,
        question.path,
        question.pairs,
        start=cursor.next_url if cursor else None,
    )
    try:
        _pages(round, question, walk)
    except ComeBack:
        raise
    except BridgeError as fault:
        if unserved(fault):
            raise
        round.reason(f"{question.stream}: {fault.issues[0].sentence()}")


def _pages(round: Round, question: Question, walk: Walk) -> None:
    faults: list[str] = []
    strangers = 0
    # The next one comes while this one is worked off.
    for page in ahead(walk.pages(), more=lambda page: page.next_url is not None):
        last = page.next_url is None
        place = Place(question.stream, "done" if last else "open", page.next_url, page.number)
        ended = partial(_end, round, question, walk, faults) if last else None
        taken = round.page(page, place, mark=ended)
        faults += taken.faults
        strangers = strangers + 1 if taken.foreign and not taken.here else 0
        if strangers >= 3 and not last:
            round.reason(
                f"{question.stream}: the server does not look at the patient: three pages in a"
                " row were all of others -> tell its operator"
            )
            return
    for fault in faults:
        round.reason(f"{question.stream}: the server says: {fault}")
    if walk.ignored:
        names = ", ".join(walk.ignored)
        round.remark(f"{question.stream}: the server did not look at {names}")
    if walk.short:
        round.remark(
            f"{question.stream}: the server says that there are {walk.total}, and {len(walk.met)}"
            " came: read again at the next full pull"
        )


def _end(
    round: Round,
    question: Question,
    walk: Walk,
    faults: list[str],
    taken: Taken,
) -> Reading | None:
    """What the last page of a stream says of all of it; nothing where the server told errors."""
    if faults or taken.faults:
        return None
    whole = question.since is None and not walk.short
    if whole:
        round.streams.whole.add(question.stream)
    round.streams.moved(question.stream)
    return Reading(
        round.run.connection_id,
        question.stream,
        mark(round, walk) or question.since,
        round.run.started_at if whole else None,
        round.run.id if whole else None,
        round.hospital.registry.now(),
    )
