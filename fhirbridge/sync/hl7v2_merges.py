"""Two numbers of one person (A18, A40, A47): the subject is found by both from then on.

Two subjects are never made one here, and a merge that is turned round asks a person.
"""

from __future__ import annotations

from collections.abc import Sequence

from fhirbridge.outcome import Issue
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit
from fhirbridge.sync.judge import Act, Done

Pair = tuple[str, str]


def act(stays: Sequence[Pair], goes: Sequence[Pair], at: str) -> Act:
    """`stays` are the numbers of PID-3, `goes` those of MRG-1, which stands at `at`."""

    def done(unit: Unit, actor: str) -> Done:
        place = f"{at}-1"
        if not stays or not goes:
            cause = "no number of an authority of this feed on one of its sides"
            return _waits("unknown-subject", cause, "add the authority, then replay", place)
        if {*stays} & {*goes}:
            return _waits("duplicate", "equals PID-3: no merge", "nothing to do", place)
        return _merged(unit, stays, goes, place, actor=actor)

    return done


def _merged(
    unit: Unit, stays: Sequence[Pair], goes: Sequence[Pair], place: str, *, actor: str
) -> Done:
    staying, going = _who(unit, stays), _who(unit, goes)
    known = {one.id: one for one in (*staying, *going)}
    unit.hold(known)  # whoever they are, nobody else changes them meanwhile
    if not known:
        cause = "nobody enrolled here has one of the two numbers"
        return _waits("unknown-subject", cause, "enrol the person, then replay", place)
    if len(known) > 1:
        told = " and ".join(sorted(one.study_id for one in known.values()))
        cause = f"{told} are two enrolled subjects"
        return _waits("conflict", cause, "a person decides; both stay as they are", place)
    (subject,) = known.values()
    if any(unit.subjects.is_old(*pair) for pair in stays):
        cause = "the number that is to stay was merged away before: the merge is turned round"
        return _waits("conflict", cause, "ask the hospital which number is the current one", place)
    fresh = [pair for pair in (*stays, *goes) if unit.subjects.by_identity(*pair) is None]
    unit.subjects.enrol(subject.study_id, [*stays, *goes])
    retired = [pair for pair in goes if unit.subjects.retire(*pair)]
    if not fresh and not retired:
        return Done("unchanged", subject_id=subject.id)
    unit.audit.note("U", "merge", actor=actor, entities={"subjects": [subject.id]})
    return Done("applied", subject_id=subject.id)


def _who(unit: Unit, pairs: Sequence[Pair]) -> list[Subject]:
    found = (unit.subjects.by_identity(*pair) for pair in pairs)
    return [one for one in found if one is not None]


def _waits(category: str, cause: str, remedy: str, place: str) -> Done:
    return Done("quarantined", (Issue(category, cause, remedy, place=place),))
