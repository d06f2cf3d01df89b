"""The parts that a mapping file is made of: words, paths, codecs, readings, each checked where it
stands.

A fault is noted with its line and reading goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhirbridge import lined_yaml
from fhirbridge.mapping import codecs, crosswalk, fit, shape
from fhirbridge.mapping.path import Path, PathError, parse
from fhirbridge.mapping.spec import Reading
from fhirbridge.outcome import Issue
from fhirbridge.study.definition import Field, Study, near


class PartsReader:
    """`faults` is the caller's list: every file adds to it."""

    def __init__(
        self,
        document: lined_yaml.Document,
        study: Study,
        names: Mapping[str, str],
        walks: Mapping[str, crosswalk.Crosswalk],
        faults: list[Issue],
    ) -> None:
        self.document = document
        self.study = study
        self.names = names
        self.walks = walks
        self.faults = faults
        self.content: dict[str, Any] = {}
        self.resource = ""

    def fault(self, at: lined_yaml.Path, cause: str, remedy: str) -> None:
        place = self.document.place(at)
        self.faults.append(Issue("configuration", cause, remedy, place=place))

    def words(self, given: Any, at: lined_yaml.Path, kind: str) -> dict[str, Any]:
        """The words at this place that are known and hold what they should."""
        if not isinstance(given, dict):
            told = "words with values are needed here"
            self.fault(at, told, f"use {', '.join(shape.SHAPES[kind])}")
            return {}
        fitting = {}
        for word, value in given.items():
            misfit = shape.misfit(kind, word, value)
            if misfit is None:
                fitting[word] = value
            else:
                self.fault((*at, word), *misfit)
        return fitting

    def path(self, text: Any, at: lined_yaml.Path) -> Path | None:
        try:
            return parse(str(text), resource=self.resource, names=self.names)
        except PathError as fault:
            self.fault(at, f"{text}: {fault}", fault.remedy)
            return None

    def reading(self, given: Any, to: Field, at: lined_yaml.Path) -> Reading | None:
        """`{at, by, accept}` as a reading of the field."""
        path = self.path(given.get("at"), at)
        codec = self.codec(str(given.get("by")), to, path, at) if path else None
        if path is None or codec is None:
            return None
        accept = given.get("accept", to.accept)
        if accept not in ("auto", "review"):
            self.fault(at, f"accept: '{accept}' is not known", "use auto or review")
        return Reading(path, codec, f"{path.text} by {given['by']}", accept == "review")

    def codec(self, by: str, to: Field, path: Path, at: lined_yaml.Path) -> codecs.Codec | None:
        """The codec of that name for the field, fit for the type at the end of the path."""
        kind, _, argument = by.partition("/")
        made: codecs.Codec
        if kind in ("code", "grade"):
            if argument not in self.walks:
                remedy = near(argument, self.walks)
                self.fault(at, f"there is no crosswalk '{argument}'", remedy)
                return None
            code = self.code(self.walks[argument], path)
            made = code if kind == "code" else codecs.Grade(code)
        elif kind == "ids":
            made = codecs.Ids(frozenset(self.names.values()))
        elif kind in codecs.PLAIN:
            made = codecs.PLAIN[kind](to)
        else:
            remedy = near(by, {*codecs.PLAIN, "ids", "code/<crosswalk>", "grade/<crosswalk>"})
            self.fault(at, f"there is no codec '{by}'", remedy)
            return None
        if to.type not in fit.GIVES[kind]:
            self.fault(at, f"'{by}' gives no {to.type}", near(to.type, fit.GIVES[kind]))
            return None
        if path.type not in made.types:
            cause = f"'{by}' does not read {path.type or 'a backbone element'} ({path.text})"
            self.fault(at, cause, f"it reads {', '.join(sorted(made.types))}")
            return None
        return made

    def code(self, walk: crosswalk.Crosswalk, path: Path) -> codecs.Code:
        """A bare `code` element implies its system: that of the crosswalk's way back."""
        bare = path.type == "code" and walk.back
        return codecs.Code(walk, next(iter(walk.back.values())).system if bare else "")

    def told(self, line: crosswalk.Line, misfit: fit.Misfit) -> None:
        """A fault of a crosswalk's line, at its own place."""
        self.faults.append(Issue("configuration", *misfit, place=line.place))

    def url(self, name: str, at: lined_yaml.Path) -> str:
        """The URL of a `$name`, or what is written out."""
        if name.startswith("$") and name[1:] not in self.names:
            self.fault(at, f"'{name}' is not among the names", near(name[1:], self.names))
        return self.names.get(name[1:], name) if name.startswith("$") else name
