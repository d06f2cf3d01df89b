"""The numbers of a message's person, each under the identifier system of its authority.

A number without an authority that the site names is nobody's: it is never padded, and no name or
birth date is compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from fhirbridge.formats.hl7v2 import Segment
from fhirbridge.formats.hl7v2_shapes import identifiers
from fhirbridge.mapping.feed import Feed
from fhirbridge.outcome import Issue

Pair = tuple[str, str]
NO_NUMBER = "no number says whose it is"
NO_AUTHORITY = "no repetition carries a number of an authority of this feed"
_PERSON = "urn:uuid:5f1d3b52-8b0c-5c1e-9d3a-2f6f0c1e"  # a name within one message


@dataclass
class People:
    feed: Feed
    pid: Segment
    given: list[tuple[str, str, str, str]] = field(init=False)
    pairs: list[Pair] = field(init=False)

    def __post_init__(self) -> None:
        self.given = identifiers(self.pid, 3, 2, 4)
        self.pairs = self.keyed(self.given)

    def keyed(self, given: Iterable[tuple[str, str, str, str]]) -> list[Pair]:
        found = ((self.system(name, oid), value) for value, name, oid, _ in given)
        return list(dict.fromkeys((s, v) for s, v in found if s))

    def system(self, name: str, oid: str) -> str:
        """By the authority's name or OID; one without both is the default, if there is one."""
        known = self.feed.assigning_authorities
        if not name and not oid:
            return known.get(self.feed.default_authority, self.feed.default_authority)
        by_name, by_oid = known.get(name, ""), known.get(oid, "")
        if by_name and by_oid and by_name != by_oid:
            return ""  # the name says one authority, the OID another
        if by_name and oid and not by_oid:
            return ""  # a name that another authority bears, too
        return by_name or by_oid

    @property
    def name(self) -> str:
        """Of this person's Patient, where a message is of several persons."""
        return f"{_PERSON}{self.pid.number:04x}"

    @property
    def several(self) -> bool:
        return len(self.pairs) > 1

    def identifiers(self) -> list[dict[str, str]]:
        return [{"system": s, "value": v} for s, v in self.pairs]

    def reference(self) -> dict[str, object]:
        """Whose the entries are, empty where nobody is named."""
        if not self.pairs:
            return {}
        if self.several:  # the Patient of the message says whose they all are
            return {"reference": self.name}
        system, value = self.pairs[0]
        return {"identifier": {"system": system, "value": value}}

    def fault(self) -> Issue | None:
        """Why nobody is named. The numbers themselves are told to nobody."""
        if self.pairs:
            return None
        if not self.given:
            cause, remedy = NO_NUMBER, "send PID-3"
        else:
            names = [name or oid or "none" for _, name, oid, _ in self.given]
            told = ", ".join(dict.fromkeys(n[:40] for n in names))
            cause = f"{NO_AUTHORITY}: {told}"
            remedy = "add the authority, or a default one, to the site's hl7v2.yaml; then replay"
        return Issue("unknown-subject", cause, remedy, place=f"{self.pid.at}-3")
