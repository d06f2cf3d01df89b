"""Visits: which visit a day is counted to, and which of several candidates a visit takes.

Days are counted from the anchor, the index operation. A partial date is never guessed, a value is
never made up, and each candidate that is not taken keeps its reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.study.forms import Form, Study, Visits, Window
from fhirbridge.study.values import Absent, Value, has_value, is_date

_DAY = len("2024-05-01")


@dataclass(frozen=True, slots=True)
class Moment:
    """A date to the day; with its instant where a time is known."""

    day: date
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """The visit of a date and its day from the anchor; no visit: `reason` says why."""

    visit: str
    day: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record that may give values to a visit: its id, its date and its fields."""

    id: str
    on: str
    fields: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Passed:
    """A candidate that was not taken, its day where that is known, and why."""

    candidate: Candidate
    day: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Taken:
    """The candidate that gives a field its value at a visit, why it, and those passed over."""

    candidate: Candidate
    day: int
    reason: str
    others: tuple[Passed, ...] = ()

    def value(self, field: str) -> Value:
        return self.candidate.fields[field]


@dataclass(frozen=True, slots=True)
class Chosen:
    """`visits`: for each visit of the schedule and each field what was taken; a field that nobody
    gave is not there. `unscheduled` lies in no window; `undated` cannot be placed."""

    visits: Mapping[str, Mapping[str, Taken]]
    unscheduled: tuple[Passed, ...] = ()
    undated: tuple[Passed, ...] = ()


def moment(text: str) -> Moment | None:
    """The date as its source wrote it, in its own zone; None where the day is not known."""
    if len(text) < _DAY or not is_date(text, time=True):
        return None
    at = datetime.fromisoformat(text) if len(text) > _DAY else None
    return Moment(date.fromisoformat(text[:_DAY]), at)


def visit_of(study: Study, index: str, on: str) -> Placed:
    """The visit to which the date `on` is counted where the anchor is `index`.

    Raises `BridgeError` where the study defines no visits.
    """
    visits = _visits(study)
    zero, then = moment(index), moment(on)
    if zero is None:
        return Placed("", None, "the index operation is not dated to the day")
    if then is None:
        return Placed("", None, "the date is not known to the day")
    day = (then.day - zero.day).days
    for name, window in visits.schedule.items():
        if window.low <= day <= window.high and _on_its_side(window, day, zero, then):
            return Placed(name, day)
    if day == 0 and zero.at and then.at:
        side = "before" if then.at < zero.at else "after"
        return Placed(visits.otherwise, day, f"on the day of the operation, {side} it")
    return Placed(visits.otherwise, day, f"day {day} is in no window")


def _visits(study: Study) -> Visits:
    if study.visits is None:
        remedy = "add 'visits' to the study definition"
        raise BridgeError(Issue("configuration", "the study has no visits", remedy))
    return study.visits


def _on_its_side(window: Window, day: int, zero: Moment, then: Moment) -> bool:
    """A window that ends or begins on day 0 does so with the anchor, where both times are known."""
    if day != 0 or zero.at is None or then.at is None:
        return True
    if window.high == 0 and then.at > zero.at:
        return False
    return not (window.low == 0 and then.at < zero.at)


def difference(placed: Placed, claimed: Value | None) -> str:
    """What to tell where the source named another visit than its date gives; the date decides."""
    if not has_value(claimed) or not placed.visit or claimed == placed.visit:
        return ""
    return f"the source says {claimed}, day {placed.day} is {placed.visit}; the day decides"


def choose(study: Study, form: Form, index: str, candidates: Iterable[Candidate]) -> Chosen:
    """For each visit and each field the candidate that it takes, and the others with the reason.

    A value goes before a reason of absence, then the nearest to the target day (or the last, where
    the field says so), then the earlier; of two that no time divides, the one given first.
    """
    visits = _visits(study)
    within: dict[str, list[_Dated]] = {name: [] for name in visits.schedule}
    unscheduled: list[Passed] = []
    undated: list[Passed] = []
    for candidate in candidates:
        placed = visit_of(study, index, candidate.on)
        then = moment(candidate.on)
        if then is None or placed.day is None:
            undated.append(Passed(candidate, None, placed.reason))
        elif placed.visit in within:
            within[placed.visit].append(_Dated(candidate, placed.day, then))
        else:
            unscheduled.append(Passed(candidate, placed.day, placed.reason))
    chosen = {
        name: dict(_of_visit(form, name, visits.schedule[name], dated))
        for name, dated in within.items()
    }
    return Chosen(chosen, tuple(unscheduled), tuple(undated))


@dataclass(frozen=True, slots=True)
class _Dated:
    candidate: Candidate
    day: int
    moment: Moment


def _of_visit(
    form: Form, visit: str, window: Window, dated: Sequence[_Dated]
) -> Iterator[tuple[str, Taken]]:
    for field in form.fields.values():
        given = [one for one in dated if field.name in one.candidate.fields]
        if field.name not in form.key and given:
            yield field.name, _taken(field.name, field.picks(visit), window, given)


def _taken(name: str, pick: str, window: Window, given: Sequence[_Dated]) -> Taken:
    valued = [one for one in given if has_value(one.candidate.fields[name])]
    first, *others = _in_order(valued or given, pick, window.target)
    reason = "the last of its window" if pick == "last" else f"nearest to day {window.target}"
    passed = [Passed(one.candidate, one.day, _why(one, first, pick, window)) for one in others]
    if valued:
        lacking = (one for one in given if not has_value(one.candidate.fields[name]))
        passed += [_without_value(one, name) for one in lacking]
    return Taken(first.candidate, first.day, reason, tuple(passed))


def _without_value(one: _Dated, name: str) -> Passed:
    absent = one.candidate.fields[name]
    told = absent.reason if isinstance(absent, Absent) else "nothing"
    return Passed(one.candidate, one.day, f"gives no value: {told}")


def _in_order(dated: Sequence[_Dated], pick: str, target: int) -> list[_Dated]:
    """The one that is taken first."""
    alike = _alike(dated)
    if pick == "last":
        return sorted(alike, key=lambda one: (-one.day, -_clock(one)))
    return sorted(alike, key=lambda one: (abs(one.day - target), one.day, _clock(one)))


def _alike(dated: Sequence[_Dated]) -> list[_Dated]:
    """Times order a day only where all of that day have one; elsewhere they are left out."""
    untimed = {one.day for one in dated if one.moment.at is None}
    return [
        replace(one, moment=Moment(one.moment.day)) if one.day in untimed else one for one in dated
    ]


def _clock(one: _Dated) -> float:
    return one.moment.at.timestamp() if one.moment.at else 0.0


def _why(one: _Dated, first: _Dated, pick: str, window: Window) -> str:
    if one.day == first.day:
        if one.moment.at == first.moment.at:
            return "on the same day as the one taken, which was given first"
        return f"on the same day as the one taken, {'earlier' if pick == 'last' else 'later'}"
    if pick == "last":
        return "earlier than the one taken"
    far, near = abs(one.day - window.target), abs(first.day - window.target)
    if far == near:
        return f"as near to day {window.target} as the one taken, and later"
    return f"{far} days from day {window.target}, the one taken {near}"
