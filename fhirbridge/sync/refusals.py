"""What a hospital's answer to a write means: ask again, never again, or it is gone."""

from __future__ import annotations

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.servers.answer import Answer, outcome_text

# A 409 that outlasts its repetitions: others write there at the same time.
_ASK_AGAIN = frozenset({408, 409, 425})


class Refused(BridgeError):
    """The server's no to one resource. Sent again as it is, it would be refused again."""

    def __init__(self, issue: Issue, *others: Issue, answer: Answer | None = None) -> None:
        super().__init__(issue, *others)
        self.answer = answer


class NotWritable(Refused):
    """Our own no, from what we know of the server: nothing was sent."""


class Gone(BridgeError):
    """What was delivered is not there any more."""


class Failing(BridgeError):
    """The server could not, this time; the fault may lie in the resource all the same."""


def refused(answer: Answer, doing: str, *, made: bool = False) -> BridgeError:
    told = outcome_text(answer) or "no reason given"
    issue = Issue(
        "remote",
        f"{doing} was answered with {answer.status}: {told}",
        "show this to the hospital's IT",
    )
    if answer.status >= 500 or answer.status in _ASK_AGAIN:
        return Failing(issue)
    if answer.status == 410 or (answer.status == 404 and not made):
        cause = f"{doing} was answered with {answer.status}: it was deleted there"
        return Gone(Issue("conflict", cause, "a person decides whether it is made again"))
    return Refused(issue, answer=answer)
