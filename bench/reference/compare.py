"""The judge beside the oracle: one row for each content, and what the two say of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bench.damage.mutant import Mutant
from bench.reference import oracle
from bench.reference.oracle import Verdict
from fhirbridge.fhir.door import door
from fhirbridge.fhir.validate import validate
from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError, Issue, failed

_BREAKS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Row:
    """One content with both verdicts; `issues` are our errors."""

    mutant: Mutant
    theirs: Verdict
    issues: tuple[Issue, ...]

    @property
    def refused_by_us(self) -> bool:
        return bool(self.issues)

    @property
    def refused_by_them(self) -> bool:
        return self.theirs.word == "invalid"

    @property
    def broke(self) -> bool:
        return any(issue.category == "exception" for issue in self.issues)

    @property
    def accepted_by_us_alone(self) -> bool:
        return self.refused_by_them and not self.refused_by_us

    @property
    def refused_by_us_alone(self) -> bool:
        return self.theirs.word == "valid" and self.refused_by_us


def ours(raw: bytes) -> tuple[Issue, ...]:
    """Our errors of a text, as the door finds them: the JSON first, then the resource.

    Where the judge breaks, that is the finding: an issue of category `exception`.
    """
    try:
        issues = validate(fhir_json.parse(raw))
    except BridgeError as refused:
        return refused.issues
    except _BREAKS as fault:
        return (Issue("exception", f"the judge breaks: {fault!r}"),)
    return tuple(issue for issue in issues if failed([issue]))


def rows(mutants: Iterable[Mutant], verdicts: Mapping[str, Verdict]) -> Iterator[Row]:
    for mutant in mutants:
        yield Row(mutant, verdicts[oracle.key(mutant.raw)], ours(mutant.raw))


def at_the_door(raw: bytes) -> set[str]:
    """The causes for which the door refuses a valid resource."""
    return {issue.cause for issue in door(fhir_json.parse(raw))}
