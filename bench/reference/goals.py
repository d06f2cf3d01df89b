"""What must hold: how often the judge may differ from the reference, for each group of damage."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bench.reference.compare import Row
from fhirbridge.outcome import Issue

WRONGLY_ACCEPTED: Mapping[str, float] = {  # % of what the reference refuses
    "structural": 2.0,
    "probe": 10.0,
    "profile": 5.0,
    "extension": 5.0,
    "terminology": 5.0,
}
WRONGLY_REFUSED = 0.5  # % of what the reference accepts, all groups together
_REASONS = Path(__file__).parent / "reasons.json"


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of rows; `lax`: refused by us alone, and reasons.json names the rule."""

    planted: int = 0
    refused: int = 0  # by the reference
    let_through: int = 0  # of these accepted by us
    accepted: int = 0  # by the reference
    refused_alone: int = 0  # of these refused by us, without a named reason
    lax: int = 0
    silent: int = 0  # no verdict

    @property
    def wrongly_accepted(self) -> float:
        return 100 * self.let_through / self.refused if self.refused else 0.0

    @property
    def wrongly_refused(self) -> float:
        return 100 * self.refused_alone / self.accepted if self.accepted else 0.0


def tally(rows: Iterable[Row]) -> Tally:
    counts = dict.fromkeys(Tally.__slots__, 0)
    for row in rows:
        counts["planted"] += 1
        if row.theirs.word == "none":
            counts["silent"] += 1
        elif row.refused_by_them:
            counts["refused"] += 1
            counts["let_through"] += row.accepted_by_us_alone
        else:
            counts["accepted"] += 1
            if row.refused_by_us_alone:
                counts["lax" if lax_rule(row) else "refused_alone"] += 1
    return Tally(**counts)


@dataclass(frozen=True, slots=True)
class LaxRule:
    """A rule of the specification that the reference does not hold; ours tells it in `words`."""

    words: str
    why: str
    kinds: tuple[str, ...] = ()  # of damage; none: any

    def explains(self, issue: Issue, kind: str) -> bool:
        return self.words in issue.cause and (not self.kinds or kind in self.kinds)


@cache
def _reasons() -> Mapping[str, Any]:
    told: Mapping[str, Any] = json.loads(_REASONS.read_text(encoding="utf-8"))
    return told


@cache
def lax_rules() -> tuple[LaxRule, ...]:
    listed = _reasons()["laxer reference"]
    return tuple(LaxRule(r["words"], r["why"], tuple(r.get("kinds", ()))) for r in listed)


def lax_rule(row: Row) -> LaxRule | None:
    """The rule that explains our issues, or None where one of them is unexplained."""
    return lax_rule_of(row.issues, row.mutant.kind)


def lax_rule_of(issues: Sequence[Issue], kind: str) -> LaxRule | None:
    found = [next((r for r in lax_rules() if r.explains(i, kind)), None) for i in issues]
    return found[0] if found and all(found) else None


def example_reason(row: Row) -> str | None:
    """Why the two differ on an example of HL7's."""
    told: str | None = _reasons()["examples"].get(row.mutant.source)
    return told


def missed(rows: Iterable[Row]) -> list[str]:
    """A sentence for each goal that is missed, random damage left out; none: all hold."""
    everything = list(rows)
    told = [f"the judge breaks on {row.mutant.id}" for row in everything if row.broke]
    planted = [row for row in everything if row.mutant.group != "random"]
    for group, most in WRONGLY_ACCEPTED.items():
        share = tally(row for row in planted if row.mutant.group == group).wrongly_accepted
        if share > most:
            told.append(f"{group}: {share:.1f} % wrongly accepted, goal {most} %")
    share = tally(planted).wrongly_refused
    if share > WRONGLY_REFUSED:
        told.append(f"{share:.2f} % wrongly refused, goal {WRONGLY_REFUSED} %")
    return told
