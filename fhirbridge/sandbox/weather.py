"""How the sandbox hospital is all the time, where a fault is how it answers now and then: clocks,
stamps, filters that it does not look at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fhirbridge.outcome import BridgeError, Issue


@dataclass
class Weather:
    """`ahead`: seconds of its clock before the true one; `coarse`: stamps have whole seconds;
    `lag`: seconds after which a write shows in searches, under its first stamp; `ignored`:
    parameters that it takes and does not look at; `unlisted`: those that its CapabilityStatement
    leaves out.
    """

    ahead: float = 0.0
    coarse: bool = False
    lag: float = 0.0
    ignored: set[str] = field(default_factory=set)
    unlisted: set[str] = field(default_factory=set)
    no_bulk: bool = False

    def time(self, moment: datetime) -> datetime:
        there = moment + timedelta(seconds=self.ahead)
        return there.replace(microsecond=0 if self.coarse else there.microsecond // 1000 * 1000)

    def shows(self, written: datetime, now: datetime) -> bool:
        return written + timedelta(seconds=self.lag) <= now

    def asked(self, pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        return [pair for pair in pairs if pair[0] not in self.ignored]

    def take(self, words: Sequence[str]) -> bool:
        """Whether the words are weather: `ignore _lastUpdated`, `clock 600`, `lag 30`, `coarse`."""
        match [*words]:
            case ["ignore", name]:
                self.ignored.add(name)
            case ["unlisted", name]:
                self.unlisted.add(name)
            case ["clock", seconds]:
                self.ahead = _number(seconds)
            case ["lag", seconds]:
                self.lag = _number(seconds)
            case ["coarse"]:
                self.coarse = True
            case ["no-bulk"]:
                self.no_bulk = True
            case _:
                return False
        return True


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        issue = Issue("value", f"'{text}' is no number of seconds")
        raise BridgeError(issue) from None
