"""The parts that a mapping file is made of: words, paths, codecs, readings, each checked where it
stands.

A fault is noted with its line and reading goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhirbridge import lined_yaml
from fhirbridge.mapping import codecs, coded, crosswalk, fit, shape
from fhirbridge.mapping.parse_path import PathError, parse
from fhirbridge.mapping.path import Path
from fhirbridge.mapping.referring import Reference
from fhirbridge.mapping.spec import Reading
from fhirbridge.outcome import Issue
from fhirbridge.study.definition import Field, Study, near


class PartsReader:
    """`faults` is the caller's list: every file adds to it. `carriers` are the resource types by
    form."""

    def __init__(
        self,
        document: lined_yaml.Document,
        study: Study,
        names: Mapping[str, str],
        walks: Mapping[str, crosswalk.Crosswalk],
        carriers: Mapping[str, str],
        faults: list[Issue],
    ) -> None:
        self.carriers = carriers
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

    def path(self, text: Any, at: lined_yaml.Path, *, resource: str = "") -> Path | None:
        try:
            return parse(str(text), resource=resource or self.resource, names=self.names)
        except PathError as fault:
            self.fault(at, f"{text}: {fault}", fault.remedy)
            return None

    def reading(
        self, given: Any, to: Field, at: lined_yaml.Path, *, resource: str = ""
    ) -> Reading | None:
        """`{at, by, accept, system}` as a reading of the field; `resource` is the type or backbone
        that the path starts from."""
        path = self.path(given.get("at"), at, resource=resource)
        codec = self.codec(given, to, path, at) if path else None
        if path is None or codec is None:
            return None
        accept = given.get("accept", to.accept)
        if accept not in ("auto", "review"):
            self.fault(at, f"accept: '{accept}' is not known", "use auto or review")
        for misfit in fit.target(codec, path, resource or self.resource):
            self.fault(at, *misfit)
        return Reading(path, codec, f"{path.text} by {given['by']}", accept == "review")

    def codec(
        self, given: Mapping[str, Any], to: Field, path: Path, at: lined_yaml.Path
    ) -> codecs.Codec | None:
        """The codec of that name for the field, fit for the type at the end of the path."""
        by = str(given.get("by"))
        kind, _, argument = by.partition("/")
        made = self.made(kind, argument, to, path, at, system=str(given.get("system", "")))
        if made is None:
            return None
        if to.type not in fit.GIVES[kind]:
            self.fault(at, f"'{by}' gives no {to.type}", near(to.type, fit.GIVES[kind]))
            return None
        if path.type not in made.types:
            cause = f"'{by}' does not read {path.type or 'a backbone element'} ({path.text})"
            self.fault(at, cause, f"it reads {', '.join(sorted(made.types))}")
            return None
        return made

    def made(
        self, kind: str, argument: str, to: Field, path: Path, at: lined_yaml.Path, *, system: str
    ) -> codecs.Codec | None:
        whole = to.type == "integer"
        if kind in ("code", "grade") or (kind == "number-word" and argument):
            return self.walked(kind, argument, to, path, at, self.url(system, at))
        if kind == "reference":
            return self.reference(argument, at)
        if kind == "ids":
            return codecs.Ids(frozenset(self.names.values()))
        if kind == "quantity" and argument:
            return codecs.Quantity(whole, to.unit or "1", frozenset({argument}))
        if kind == "yes-no" and argument.count("/") == 1:
            return codecs.YesNo(*argument.split("/"))
        if kind == "there" and argument:
            return codecs.There(argument)
        if kind in codecs.PLAIN and not argument:
            return codecs.PLAIN[kind](to)
        by = f"{kind}/{argument}" if argument else kind
        self.fault(at, f"there is no codec '{by}'", near(by, {*codecs.PLAIN, *FORMS_OF_CODECS}))
        return None

    def walked(
        self, kind: str, name: str, to: Field, path: Path, at: lined_yaml.Path, system: str
    ) -> codecs.Codec | None:
        """A codec that goes through the crosswalk of that name."""
        walk = self.walks.get(name)
        if walk is None:
            self.fault(at, f"there is no crosswalk '{name}'", near(name, self.walks))
            return None
        if kind == "number-word":
            reasons = tuple((line.code.upper(), line.target) for line in walk.forward.values())
            return codecs.NumberWord(to.type == "integer", reasons, to.range)
        code = self.code(walk, path, system)
        if kind == "grade":
            return coded.Grade(code)
        return coded.OneCoding(code) if path.type == "Coding" else code

    def code(self, walk: crosswalk.Crosswalk, path: Path, system: str = "") -> coded.Code:
        """A bare `code` element implies its system: that of the crosswalk's way back."""
        bare = path.type in coded.BARE
        if bare and walk.back and not system:
            system = next(iter(walk.back.values())).system
        endless = path.type in ("canonical", "uri")
        return coded.Code(walk, system, bare=bare, endless=endless)

    def reference(self, form: str, at: lined_yaml.Path) -> Reference | None:
        """To the form's record, by the identifier system that is named like the form."""
        name = form.replace("_", "-")
        if form not in self.carriers:
            self.fault(at, f"no file maps the form '{form}'", near(form, self.carriers))
            return None
        return Reference(form, self.carriers[form], self.url(f"${name}", at))

    def told(self, line: crosswalk.Line, misfit: fit.Misfit) -> None:
        """A fault of a crosswalk's line, at its own place."""
        self.faults.append(Issue("configuration", *misfit, place=line.place))

    def url(self, name: str, at: lined_yaml.Path) -> str:
        """The URL of a `$name`, or what is written out."""
        if name.startswith("$") and name[1:] not in self.names:
            self.fault(at, f"'{name}' is not among the names", near(name[1:], self.names))
        return self.names.get(name[1:], name) if name.startswith("$") else name


FORMS_OF_CODECS = (
    "ids",
    "code/<crosswalk>",
    "grade/<crosswalk>",
    "number-word/<crosswalk>",
    "quantity/<unit>",
    "reference/<form>",
    "yes-no/<yes>/<no>",
    "there/<word>",
)
