"""What one pass of the judge has found: of a resource so many errors, and it says where it stopped.

Whoever sends a million faults gets the first thousand, and is refused. Every entry of a Bundle has
a verdict of its own, however many faults stand before it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable

from fhirbridge.outcome import Issue, failed

MOST = 1_000  # errors of one resource
MOST_IN_ALL = 10_000  # errors of a Bundle's entries; beyond, of an entry only that it has some
MOST_ADVICE = 1_000  # warnings and information of a whole pass
_SUGGESTIONS = 20  # difflib is slow: a thousand unknown names must not buy a minute of work
_LONGEST = 200


class Findings:
    """The issues of one resource, in the list that it shares with the others of its pass.

    `full`: no more is told, and nothing more need be judged.
    """

    __slots__ = ("_left", "_pass", "_path", "full")

    def __init__(self, path: str, within: Findings | None = None) -> None:
        self._pass: _Pass = _Pass() if within is None else within._pass
        self._path = path
        self._left = min(MOST, MOST_IN_ALL - self._pass.errors)
        self.full = False

    @property
    def issues(self) -> list[Issue]:
        """All of the pass; the last says that advice was left out."""
        left_out = self._pass.advice - MOST_ADVICE
        if left_out <= 0:
            return self._pass.issues
        cause = f"{left_out} more warnings and remarks are not told"
        remedy = "correct what is told here first"
        last = Issue("too-costly", cause, remedy, severity="information")
        return [*self._pass.issues, last]

    def append(self, issue: Issue) -> None:
        if not failed([issue]):
            self._pass.advice += 1
            if self._pass.advice <= MOST_ADVICE:
                self._pass.issues.append(issue)
        elif self._left > 0:
            self._left -= 1
            self._pass.errors += 1
            self._pass.issues.append(issue)
        elif not self.full:
            self.full = True
            cause = "more faults than are told; the rest was not judged"
            remedy = "correct what is told here first, in the other resources too"
            self._pass.issues.append(Issue("too-costly", cause, remedy, self._path))

    def extend(self, issues: Iterable[Issue]) -> None:
        """Of an iterator no more is asked once it is full."""
        if self.full:
            return
        for issue in issues:
            self.append(issue)
            if self.full:
                return

    def near(self, name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
        """The name that may have been meant, or ""."""

        def find() -> str:
            found = difflib.get_close_matches(name[:_LONGEST], list(known), n=1, cutoff=cutoff)
            return found[0] if found else ""

        return self.suggestion(find)

    def suggestion(self, find: Callable[[], str]) -> str:
        """What `find` says; "" where the pass has had enough of them."""
        if self._pass.suggestions >= _SUGGESTIONS:
            return ""
        self._pass.suggestions += 1
        return find()


class _Pass:
    """What the resources of a pass share."""

    __slots__ = ("advice", "errors", "issues", "suggestions")

    def __init__(self) -> None:
        self.issues: list[Issue] = []
        self.errors = 0
        self.advice = 0
        self.suggestions = 0
