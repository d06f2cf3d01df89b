"""What changes at a hospital on the second and the third day, and in its truth with it.

Second: scores corrected, a score that was taken earlier, an examination deleted, a preliminary
result made final. Third: an operation entered again under another id, two Patients made one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fhirbridge.sandbox.dialects.chart import Chart, Told, Written
from fhirbridge.sandbox.dialects.tables import Resource
from fhirbridge.sandbox.truth import Fact, Person

EARLIER = 20
"""Days before the first assessment at which the backdated score was taken."""
_NEW = "-2"
PRELIMINARY = "a preliminary result"


def person_on(person: Person, day: int) -> Person:
    """The person's course as it is known on that day."""
    changes: list[Callable[[Person], Person]] = []
    if day >= 2:
        by_turn = (_corrected, _backdated, _deleted)
        changes.append(by_turn[person.number % len(by_turn)])
    for change in changes:
        person = change(person)
    return person


def _corrected(person: Person) -> Person:
    return replace(person, facts=tuple(_other_pain(fact) for fact in person.facts))


def _other_pain(fact: Fact) -> Fact:
    if (fact.form, fact.name) != ("assessment", "A0"):
        return fact
    pain = (fact["pain_activity"] + 1) % 11
    return replace(fact, fields={**fact.fields, "pain_activity": pain})


def _backdated(person: Person) -> Person:
    first = person.of("assessment")[0]
    day = _before(first["assessed_on"])
    fields = {"assessed_on": day, "pain_activity": 9, "ecog": 2}
    return replace(person, facts=(*person.facts, Fact("assessment", "A9", fields)))


def _before(day: str) -> str:
    """The same day of the month before."""
    year, month, rest = day.split("-")
    before = (int(year), int(month) - 1) if month != "01" else (int(year) - 1, 12)
    return f"{before[0]}-{before[1]:02}-{min(int(rest), 28):02}"


def _deleted(person: Person) -> Person:
    kept = tuple(fact for fact in person.facts if fact.form != "imaging")
    return replace(person, facts=kept)


def chart_on(chart: Chart, day: int) -> Chart:
    """The chart with what happens to resources and not to facts."""
    if day >= 2 and chart.person.number % 4 == 0:
        _made_final(chart)
    if day >= 3 and chart.person.number % 3 == 2:
        _entered_again(chart)
    if day >= 3 and chart.person.number % 5 == 3:
        _made_one(chart)
    return chart


def _made_final(chart: Chart) -> None:
    decoy = next(one for one in chart.decoys if one.why == PRELIMINARY)
    chart.decoys.remove(decoy)
    found = next(r for r in chart.resources if f"{r['resourceType']}/{r['id']}" == decoy.source)
    found["status"] = "final"
    says = {"assessed_on": found["effectiveDateTime"], "ecog": found["valueInteger"]}
    told = Told(chart.person.study_id, "assessment", "A8", says, [decoy.source])
    for one in chart.told:  # a score of a day that is assessed already is part of that assessment
        if one.form == "assessment" and one.fields["assessed_on"][:10] == says["assessed_on"][:10]:
            one.sources.append(decoy.source)
            one.fields.setdefault("ecog", says["ecog"])
            return
    chart.told.append(told)


def _entered_again(chart: Chart) -> None:
    """Under another id, by which all that refers to it calls it now."""
    old = chart.references["surgery/S1"]
    _renamed(chart, old, f"{old}{_NEW}")


def _made_one(chart: Chart) -> None:
    """The Patient becomes another one; what was left is told as replaced."""
    old = f"Patient/{chart.patient}"
    left = next(r for r in chart.resources if r["resourceType"] == "Patient")
    gone: Resource = {
        "resourceType": "Patient",
        "id": chart.patient,
        "active": False,
        "name": left["name"],
        "link": [{"other": {"reference": f"{old}{_NEW}"}, "type": "replaced-by"}],
    }
    _renamed(chart, old, f"{old}{_NEW}")
    chart.patient = f"{chart.patient}{_NEW}"
    chart.resources.append(gone)


def _renamed(chart: Chart, old: str, new: str) -> None:
    chart.resources[:] = [_with(one, old, new) for one in chart.resources]
    for told in chart.told:
        told.sources[:] = [new if source == old else source for source in told.sources]
    chart.references = {n: new if s == old else s for n, s in chart.references.items()}


def _with(resource: Resource, old: str, new: str) -> Resource:
    made: Resource = _replaced(resource, old, new)
    if f"{made['resourceType']}/{made['id']}" == old:
        made["id"] = new.partition("/")[2]
    return made


def _replaced(value: Any, old: str, new: str) -> Any:
    if isinstance(value, Mapping):
        return {name: _replaced(one, old, new) for name, one in value.items()}
    if isinstance(value, list):
        return [_replaced(one, old, new) for one in value]
    return new if value == old else value


def changes(before: Written, after: Written) -> tuple[list[Resource], list[str]]:
    """What must be put into a server of the day before, and what must be deleted, in this order."""
    known = {f"{r['resourceType']}/{r['id']}": r for r in before.resources()}
    now = {f"{r['resourceType']}/{r['id']}": r for r in after.resources()}
    changed = [name for name, resource in now.items() if known.get(name) != resource]
    return (
        [now[name] for name in sorted(changed, key=lambda name: name in known)],  # new ones first
        [name for name in reversed(known) if name not in now],
    )
