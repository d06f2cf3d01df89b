"""Codecs for codes: CodeableConcept, Coding or a bare code, through a crosswalk."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fhirbridge.mapping.codecs import Fault, Read, Remark
from fhirbridge.mapping.crosswalk import Crosswalk, Line, check_digit_ok
from fhirbridge.study.records import Value

BARE = frozenset({"code", "string", "uri", "canonical", "id"})
"""Types that hold a code without its system."""
NULL_FLAVOR = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"
_WORDS = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Code:
    """`bare`: the element is a text, and `system` is what it implies; else `system` is that of a
    coding that names none at this place. `derived`: what is written is marked as chosen by the
    mapping, because the sender's own codings stand beside it. `endless`: the system has no list
    that could be complete (URLs), so nothing is foreign to it.

    A code that the crosswalk does not list is refused where all its codings are of systems that the
    crosswalk covers, and waits for a person otherwise.
    """

    crosswalk: Crosswalk
    system: str = ""
    bare: bool = False
    derived: bool = False
    endless: bool = False
    types = frozenset({"CodeableConcept", "Coding"}) | BARE
    parts = frozenset({"", "system", "code", "version", "userSelected"}) | frozenset(
        {"coding.system", "coding.code", "coding.display", "coding.version", "coding.userSelected"}
    )

    def read(self, raw: Any) -> Read:
        codings = list(self._codings(raw))
        found = [(coding, self._line(coding)) for coding in codings]
        lines = [line for _, line in found if line is not None]
        refusing = next((line for line in lines if line.relationship == "disjoint"), None)
        if refusing is not None:
            cause = f"{refusing.system}|{refusing.code} is not meant: {refusing.note}"
            return Fault("business-rule", cause, "nothing to do", refused=True)
        together = self.crosswalk.together(codings)
        words = {line.target for line in lines if line.reads} if not together else {together.target}
        if len(words) == 1:
            word = words.pop()
            return next((r for pair in found for r in self._remarks(word, *pair)), word)
        if words:
            told = ", ".join(sorted(words))
            return Fault("business-rule", f"the codings say {told}", "a person decides")
        if lines:
            line = lines[0]
            cause = f"{line.system}|{line.code} does not say which: {line.note}"
            remedy = "a person decides, or a crosswalk line of the site"
            return Fault("business-rule", cause, remedy)
        return self._unknown(raw, codings)

    def _line(self, coding: Mapping[str, Any]) -> Line | None:
        return self.crosswalk.find(coding.get("system", self.system), coding.get("code", ""))

    def _codings(self, raw: Any) -> Iterator[Mapping[str, Any]]:
        if isinstance(raw, str):
            yield {"system": self.system, "code": raw.partition("|")[0] if self.bare else raw}
        elif isinstance(raw, Mapping):
            codings = raw.get("coding", ()) if "code" not in raw else (raw,)
            given = codings if isinstance(codings, list | tuple) else ()
            yield from (c for c in given if isinstance(c, Mapping) and c.get("code"))

    def _remarks(
        self, word: Value, coding: Mapping[str, Any], line: Line | None
    ) -> Iterator[Remark]:
        if line is None:
            return
        named = f"{line.system}|{line.code}"
        if line.relationship == "deprecated":
            cause = f"{named} is withdrawn: {line.note}"
            yield Remark(word, cause, "send the code that took its place")
        other = self.crosswalk.contradiction(line, str(coding.get("display", "")))
        if other:
            cause = f"{named} is '{line.display}', and its display says {other}; the code was taken"
            yield Remark(word, cause, "have the source looked at: one of the two is wrong there")

    def _unknown(self, raw: Any, codings: list[Mapping[str, Any]]) -> Fault | None:
        if not codings:
            if isinstance(raw, Mapping) and raw.get("text"):
                cause = "there is a text and no code; a text is never coded by itself"
                return Fault("unknown-code", cause, "code it at its source, or decide by hand")
            return None
        named = ", ".join(f"{c.get('system', '(no system)')}|{c['code']}" for c in codings)
        foreign = not self.endless and all(
            self.crosswalk.covers(c.get("system", self.system)) for c in codings
        )
        cause = f"{named} is not in the crosswalk '{self.crosswalk.name}'"
        wrong = [c["code"] for c in codings if not check_digit_ok(c.get("system", ""), c["code"])]
        if wrong:  # a slip of the pen may have been meant
            foreign = False
            cause = f"{cause}, and {wrong[0]} fails its check digit"
        line = f"add a line to {self.crosswalk.name}.csv of the site"
        remedy = f"nothing to do; where it is meant, {line}" if foreign else f"{line}, then replay"
        if wrong:  # no crosswalk takes a line with that code
            remedy = "correct the code at its source"
        walk, slip = self.crosswalk.name, wrong[0] if wrong else ""
        return Fault(
            "unknown-code", cause, remedy, refused=foreign, code=named, walk=walk, slip=slip
        )

    def write(self, value: str) -> Any:
        line = self.crosswalk.back[value]
        if self.bare:
            return line.code
        coding: dict[str, Any] = {"system": line.system, "code": line.code}
        if line.display:
            coding["display"] = line.display
        if self.derived:
            coding["userSelected"] = False
        concept: dict[str, Any] = {"coding": [coding]}
        if line.system == NULL_FLAVOR and line.display:  # a flavour of null needs its words
            concept["text"] = line.display
        return concept


@dataclass(frozen=True, slots=True)
class Grade:
    """A code that stands for a whole number; the crosswalk's targets are the numbers."""

    code: Code
    types = frozenset({"CodeableConcept", "Coding"})
    parts = Code.parts

    def read(self, raw: Any) -> Read:
        word = self.code.read(raw)
        if isinstance(word, Remark):
            return Remark(int(str(word.value)), word.cause, word.remedy)
        return int(word) if isinstance(word, str) else word

    def write(self, value: int) -> Any:
        return self.code.write(str(value))


@dataclass(frozen=True, slots=True)
class OneCoding:
    """A code as the single Coding that the element holds."""

    code: Code
    types = frozenset({"Coding"})
    parts = frozenset({"system", "code", "display", "version", "userSelected"})

    def read(self, raw: Any) -> Read:
        return self.code.read(raw)

    def write(self, value: str) -> Any:
        return self.code.write(value)["coding"][0]
