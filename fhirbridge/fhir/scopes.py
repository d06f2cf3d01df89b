"""SMART's system scopes, version 2 and 1: what a client may do with which resource types.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html. As server we grant no scope
that filters by search parameters (`?category=...`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fhirbridge.fhir.definitions import resource_types
from fhirbridge.outcome import BridgeError, Issue

_SCOPE = re.compile(r"system/(\*|[A-Z][A-Za-z]{0,63})\.(read|write|\*|(?=.)c?r?u?d?s?)", re.ASCII)
_VERSION_1 = {"read": "rs", "write": "cud", "*": "cruds"}
ANY = "*"


@dataclass(frozen=True, slots=True)
class Scope:
    """The letters of `cruds` for one type, or for `*`."""

    type: str
    letters: str

    def __str__(self) -> str:
        return f"system/{self.type}.{self.letters}"


def read(text: str) -> Scope | None:
    """None for what is no system scope, or filters.

    >>> str(read("system/Observation.read"))
    'system/Observation.rs'
    """
    found = _SCOPE.fullmatch(text)
    return Scope(found[1], _VERSION_1.get(found[2], found[2])) if found else None


@dataclass(frozen=True, slots=True)
class Scopes:
    held: tuple[Scope, ...]

    @classmethod
    def of(cls, text: str, *, narrowed: bool = False) -> Scopes:
        """Those of the words that are system scopes; the others give nothing. `narrowed`: one that
        filters counts as one that does not, for who only asks whether it is worth a request."""
        words = (word.partition("?")[0] if narrowed else word for word in text.split())
        return cls(tuple(scope for word in words if (scope := read(word))))

    def __str__(self) -> str:
        return " ".join(map(str, self.held))

    def allow(self, type: str, letters: str) -> bool:
        """Every one of the letters for the type; `*` is allowed only as `*`."""
        held = {letter for s in self.held if s.type in (ANY, type) for letter in s.letters}
        return set(letters) <= held

    def allow_somewhere(self, letters: str) -> bool:
        return any(self.allow(scope.type, letters) for scope in self.held)

    def grant(self, asked: str) -> str:
        """What of the asked is held: in the words of the request where all of it is, else less."""
        given: list[str] = []
        for word in asked.split():
            scope = read(word)
            if scope and self.allow(scope.type, scope.letters):
                given.append(word)
            elif scope:
                given += map(str, self._part_of(scope))
        return " ".join(dict.fromkeys(given))

    def _part_of(self, asked: Scope) -> Iterator[Scope]:
        named = sorted({s.type for s in self.held} - {ANY}) if asked.type == ANY else []
        everywhere = self._letters(asked.type, asked.letters)
        for type in (asked.type, *named):
            letters = self._letters(type, asked.letters)
            if letters and (type == asked.type or letters != everywhere):
                yield Scope(type, letters)

    def _letters(self, type: str, letters: str) -> str:
        return "".join(letter for letter in letters if self.allow(type, letter))


EVERYTHING = Scopes.of("system/*.cruds")


def registered(words: tuple[str, ...]) -> Scopes:
    """The scopes of a client that is added; `BridgeError` (value) tells every word that is none."""
    texts = " ".join(words).split() or [str(EVERYTHING)]
    faults = [issue for text in texts if (issue := _fault(text))]
    if faults:
        raise BridgeError(*faults)
    return Scopes.of(" ".join(texts))


def in_version_1(text: str) -> str:
    """The scopes in the words of SMART's version 1, as wide as they have to be.

    >>> in_version_1("system/Patient.rs system/Observation.crus")
    'system/Patient.read system/Observation.read system/Observation.write'
    """
    words = []
    for scope in Scopes.of(text).held:
        words += [f"system/{scope.type}.read"] * bool({*scope.letters} & {*"rs"})
        words += [f"system/{scope.type}.write"] * bool({*scope.letters} & {*"cud"})
    return " ".join(dict.fromkeys(words))


def _fault(text: str) -> Issue | None:
    scope = read(text)
    if scope is None:
        cause, remedy = "it is no system scope", "write system/TYPE.LETTERS, as system/*.rs"
        return Issue("value", cause, remedy, place=f"scope {text}")
    if scope.type != ANY and scope.type not in resource_types():
        cause = f"R4 has no resource type '{scope.type}'"
        return Issue("value", cause, "write a type of R4, or *", place=f"scope {text}")
    return None
