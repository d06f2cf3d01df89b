"""The steps of a check, in order. A step that cannot be passed ends it; what was seen is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fhirbridge.outcome import BridgeError
from fhirbridge.sync.check import promised, reaching, searching
from fhirbridge.sync.check.step import Examination, Step, Stop

Look = Callable[[Examination], Iterator[Step]]

STEPS: tuple[Look, ...] = (
    reaching.address,
    reaching.certificate,
    reaching.metadata,
    reaching.clock,
    reaching.token_url,
    reaching.login,
    searching.searches,
    searching.paging,
    promised.everything,
    promised.export,
    promised.writing,
)


def examine(seen: Examination) -> Iterator[Step]:
    """Each step as it is done."""
    for look in STEPS:
        try:
            yield from look(seen)
        except Stop:
            yield Step("the rest", "unknown", "not looked at, because of the step before")
            return
        except BridgeError as fault:
            yield Step.of(look.__name__.replace("_", " "), fault)
