"""The one error policy: what can go wrong, and how every edge tells it.

A finding about data is an `Issue` in a returned outcome; a `BridgeError` means "cannot go on" and
carries issues. The category of an issue, looked up in one table, decides the HTTP status, the FHIR
issue code (https://hl7.org/fhir/R4/valueset-issue-type.html) and the log level.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

Severity = Literal["fatal", "error", "warning", "information"]


class Policy(NamedTuple):
    """What a category means at the edges: HTTP status, FHIR issue code, log level; and whether the
    same bytes sent again may fare better, as the fault need not lie in them.
    """

    status: int
    code: str
    level: int
    retryable: bool = False


POLICIES: dict[str, Policy] = {
    "structure": Policy(400, "structure", logging.INFO),  # no JSON, unknown element, wrong shape
    "value": Policy(400, "value", logging.INFO),  # an element's value is not of its type
    "invariant": Policy(400, "invariant", logging.INFO),
    "required": Policy(400, "required", logging.INFO),  # an element is missing
    "unknown-code": Policy(422, "code-invalid", logging.INFO, True),  # no crosswalk line for it
    "unknown-subject": Policy(
        422, "not-found", logging.INFO, True
    ),  # nobody enrolled has this identifier
    "business-rule": Policy(
        422, "business-rule", logging.INFO
    ),  # range, ambiguity, scope of the study
    "consent": Policy(422, "suppressed", logging.INFO),  # withdrawn, or not given yet
    "conflict": Policy(
        409, "conflict", logging.INFO
    ),  # two sources disagree; a version was overtaken
    "review": Policy(202, "business-rule", logging.INFO),  # a person must accept the value
    "precondition": Policy(412, "conflict", logging.INFO),
    "duplicate": Policy(409, "duplicate", logging.INFO),
    "repeated": Policy(400, "duplicate", logging.INFO),  # one resource twice in a transaction
    "not-supported": Policy(400, "not-supported", logging.INFO),
    "media-type": Policy(415, "not-supported", logging.INFO),
    "not-acceptable": Policy(406, "not-supported", logging.INFO),
    "not-found": Policy(404, "not-found", logging.INFO, True),  # it may come yet
    "gone": Policy(410, "not-found", logging.INFO),  # it was here, and is let go of
    "method": Policy(405, "not-supported", logging.INFO),
    "login": Policy(401, "login", logging.WARNING),
    "forbidden": Policy(403, "forbidden", logging.WARNING),
    "too-long": Policy(413, "too-long", logging.WARNING),
    "too-costly": Policy(413, "too-costly", logging.WARNING),  # more faults than are told
    "throttled": Policy(429, "throttled", logging.WARNING, True),  # too many requests at once
    "configuration": Policy(
        500, "exception", logging.ERROR, True
    ),  # a setting or a mapping file is wrong
    "transient": Policy(503, "transient", logging.WARNING, True),  # ask again later
    "remote": Policy(
        502, "transient", logging.WARNING, True
    ),  # a hospital server refused or failed
    "exception": Policy(500, "exception", logging.ERROR, True),
}


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding: where (`place` in the input, `expression` inside a resource), why, and what to
    do.
    """

    category: str
    cause: str
    remedy: str = ""
    expression: str = ""  # FHIRPath of the element, for example Bundle.entry[3].resource.code
    place: str = ""  # file:line, column or URL, where the input is no resource
    severity: Severity = "error"

    def __post_init__(self) -> None:
        if self.category not in POLICIES:
            raise ValueError(f"no such issue category: {self.category}")

    @property
    def policy(self) -> Policy:
        return POLICIES[self.category]

    @property
    def code(self) -> str:
        return self.policy.code

    @property
    def retryable(self) -> bool:
        return self.policy.retryable

    def sentence(self) -> str:
        """The issue as one line for a terminal: place, cause, remedy."""
        where = " ".join(part for part in (self.place, self.expression) if part)
        told = f"{where}: {self.cause}" if where else self.cause
        return f"{told} -> {self.remedy}" if self.remedy else told

    def as_json(self) -> dict[str, str]:
        """Non-empty parts only, `code` being the FHIR issue code."""
        parts = {**asdict(self), "code": self.policy.code}
        return {name: value for name, value in parts.items() if value}

    def as_fhir(self) -> dict[str, Any]:
        """The issue as `OperationOutcome.issue`."""
        told = f"{self.cause}; remedy: {self.remedy}" if self.remedy else self.cause
        issue: dict[str, Any] = {
            "severity": self.severity,
            "code": self.policy.code,
            "details": {"text": told},
        }
        if self.place:
            issue["diagnostics"] = self.place
        if self.expression:
            issue["expression"] = [self.expression]
        return issue


class BridgeError(Exception):
    """Cannot go on. The first issue decides the category; the others are told with it."""

    def __init__(self, issue: Issue, *others: Issue) -> None:
        super().__init__(issue.sentence())
        self.issues: tuple[Issue, ...] = (issue, *others)

    @property
    def policy(self) -> Policy:
        return self.issues[0].policy


def failed(issues: Iterable[Issue]) -> bool:
    """True where at least one issue is an error."""
    return any(issue.severity in ("fatal", "error") for issue in issues)


def operation_outcome(issues: Sequence[Issue]) -> dict[str, Any]:
    """An R4 OperationOutcome of the issues; of none, the all-clear that FHIR asks for.

    >>> operation_outcome([])["issue"][0]["severity"]
    'information'
    """
    told = [issue.as_fhir() for issue in issues] or [
        {"severity": "information", "code": "informational", "details": {"text": "No issue found."}}
    ]
    return {"resourceType": "OperationOutcome", "issue": told}
