"""Reads one mapping file into checked nouns; a fault is noted with its line and reading goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fhirbridge import lined_yaml
from fhirbridge.fhir import definitions
from fhirbridge.mapping import coded, crosswalk, fit
from fhirbridge.mapping.path import Path
from fhirbridge.mapping.read_inside import InsideReader
from fhirbridge.mapping.read_rows import Written, in_order
from fhirbridge.mapping.spec import Block, Fixed, FormMapping, Gate, Recogniser, Row
from fhirbridge.study.definition import Field, near

_PARTS = {
    "recognise": "recognise",
    "gate": "gate",
    "where": "gate",
    "besides": "gate",
    "review": "review",
    "absent": "reading",
}


class FileReader(InsideReader):
    """One form and the resource type that carries it, or a part of it."""

    def mapping(self) -> FormMapping | None:
        """The whole file; None where its form or its resource is not known."""
        self.content = self.words(self.document.content, (), "file")
        for part in sorted(_PARTS.keys() & self.content.keys()):
            self.content[part] = self.words(self.content[part], (part,), _PARTS[part])
        self.resource = str(self.content.get("resource"))
        form_name = str(self.content.get("form"))
        form = self.study.forms.get(form_name)
        if form is None:
            remedy = near(form_name, self.study.forms)
            self.fault(("form",), f"the study has no form '{form_name}'", remedy)
        types = definitions.resource_types()
        if self.resource not in types:
            remedy = near(self.resource, types)
            self.fault(("resource",), f"R4 has no resource type '{self.resource}'", remedy)
        if form is None or self.resource not in types:
            return None
        self.form, self.name = form, str(self.content.get("name", form_name))
        self.recogniser, gate = self.recognised(), self.gate(self.content, ())
        mapping = FormMapping(
            name=self.name,
            form=form,
            resource=self.resource,
            patients=tuple(self.patients()),
            recogniser=self.recogniser,
            gate=gate,
            blocks=tuple(self.blocks(gate)),
            where=self.gate(self.content, (), word="where"),
            besides=self.gate(self.content, (), word="besides"),
            review=self.review(),
            reads_only=bool(self.content.get("read only")),
            pulled=bool(self.content.get("pull", True)),
        )
        if not mapping.reads_only:
            for block in mapping.blocks:
                section = f"the block '{block.name}'"
                for misfit in fit.whole(mapping, block, section=section):
                    self.fault((), *misfit)
        return self.with_inside(mapping)

    def patients(self) -> Iterator[Path]:
        given = self.content.get("patient", [])
        for text in given if isinstance(given, list) else [given]:
            path = self.path(text, ("patient",))
            if path is not None:
                yield path

    def recognised(self) -> Recogniser | None:
        """What tells the mapping's resources, the codes of its rows and groups included."""
        if "recognise" not in self.content:
            return None
        at = ("recognise",)
        given = self.content["recognise"]
        reading = self.reading(given, Field("", "choice"), at)
        if reading is None or not isinstance(reading.codec, coded.Code):
            return None
        walk = reading.codec.crosswalk
        own = list(self.own_codes())
        if own:
            lines = [*walk.forward.values(), *own]
            site = [line for line in lines if line.system not in walk.covered and line not in own]
            lines = [line for line in lines if line not in site]
            walk, wrong = crosswalk.build(walk.name, lines, site, walk.systems)
            self.faults += wrong
        for name in given.get("doubt", ()):
            if name not in self.form.fields:
                cause = f"the form {self.form.name} has no field '{name}'"
                self.fault((*at, "doubt"), cause, near(name, self.form.fields))
        code = replace(reading.codec, crosswalk=walk)
        return Recogniser(reading.path, code, tuple(given.get("doubt", ())))

    def own_codes(self) -> Iterator[crosswalk.Line]:
        """`code: $system|code` of a row or a group: one more line of the recogniser's crosswalk."""
        for section, word in (("rows", "field"), ("groups", "name")):
            for number, given in enumerate(self.content.get(section) or ()):
                if isinstance(given, dict) and "code" in given:
                    at = (section, number, "code")
                    line = self.code_line(given, str(given.get(word)), at)
                    yield from (line,) if line else ()

    def code_line(
        self, given: Mapping[str, Any], target: str, at: lined_yaml.Path
    ) -> crosswalk.Line | None:
        system, _, code = str(given["code"]).partition("|")
        url, place = self.url(system, at), self.document.place(at)
        display = str(given.get("note", ""))
        line = crosswalk.Line(url, code, display, target, "equivalent", "", place)
        wrong = list(crosswalk.line_rules(line)) if not url.startswith("$") else [("", "")]
        for told in wrong:
            if told != ("", ""):
                self.fault(at, *told)
        return None if wrong else line

    def blocks(self, gate: Gate | None) -> Iterator[Block]:
        """One for the record, or with `each: field` one for each row and each group."""
        self.shared = self.listed("shared", absent=False)
        fixed = self.fixed(self.content.get("write only"), ("write only",), gate)
        each = self.content.get("each", "record")
        if each == "record":
            yield self.record_block(fixed)
            return
        if each != "field":
            self.fault(("each",), f"each: '{each}' is not known", "use record or field")
        own = [*self.row_blocks(fixed), *self.group_blocks(fixed)]
        words = [block.word for block in own]
        for word in {word for word in words if words.count(word) > 1}:
            self.fault(("rows",), f"two rows map {word}", "keep one row")
        if self.recogniser is not None:
            for line in fit.unknown_targets(self.recogniser.codec.crosswalk, words):
                self.told(line, (f"no row has the field '{line.target}'", near(line.target, words)))
        yield from own

    def listed(self, section: str, *, absent: bool) -> list[Written]:
        if section not in self.content:
            return []
        return self.rows(self.content[section], (section,), absent=absent)

    def record_block(self, fixed: Sequence[Fixed]) -> Block:
        rows = [*self.shared, *self.rows(self.content.get("rows"), ("rows",), absent=False)]
        written = (self.content.get("recognise") or {}).get("writes")
        main = self.name == self.form.name
        own = [told.row for told in rows if not told.row.reads_only]
        fields = [row.field.name for row in own if row.field.name not in self.form.key]
        return self.block(
            name=self.name,
            word="",
            given=self.content,
            rows=[told.row for told in rows],
            fields=() if main else tuple(fields),
            fixed=[*fixed, *self.code_written(written)],
        )

    def row_blocks(self, fixed: Sequence[Fixed]) -> Iterator[Block]:
        self.each_row = self.listed("rows", absent=True)
        for told in self.each_row:
            word = told.row.field.name
            yield self.block(
                name=f"{self.name}.{word}",
                word=word,
                given=told.given,
                rows=[*(shared.row for shared in self.shared), told.row],
                fields=(word,),
                fixed=[*fixed, *self.code_written(word)],
                main=word,
            )

    def group_blocks(self, fixed: Sequence[Fixed]) -> Iterator[Block]:
        self.each_group = []
        for number, given in enumerate(self.content.get("groups") or ()):
            at: lined_yaml.Path = ("groups", number)
            given = self.words(given, at, "group")
            rows = self.rows(given.get("rows"), (*at, "rows"), absent=True)
            word = str(given.get("name"))
            self.each_group.append((word, rows))
            own = self.fixed(given.get("write only"), (*at, "write only"), None)
            coded_row = self.recogniser is not None and any(
                told.row.first.path.steps == self.recogniser.path.steps for told in rows
            )
            needed = not coded_row or "code" in given
            yield self.block(
                name=f"{self.name}.{word}",
                word=word,
                given=given,
                rows=[told.row for told in (*self.shared, *rows)],
                fields=tuple(told.row.field.name for told in rows),
                fixed=[*fixed, *own],
                code=[*(self.code_written(word) if needed else ())],
                main="" if given.get("panel") or not rows else rows[0].row.field.name,
            )

    def block(
        self,
        *,
        name: str,
        word: str,
        given: Mapping[str, Any],
        rows: list[Row],
        fields: tuple[str, ...],
        fixed: Sequence[Fixed],
        code: Sequence[Fixed] = (),
        main: str = "",
    ) -> Block:
        """A block whose rows have one place each; `code` is written where no row says it better."""
        for misfit in fit.one_place_each(rows, fixed):
            self.fault(("rows",), *misfit)
        profile = given.get("profile", self.content.get("profile", ""))
        known = self.recogniser
        return Block(
            name=name,
            word=word,
            profile=self.url(profile, ("profile",)) if profile else "",
            rows=in_order(
                rows,
                known.path.steps if known else None,
                known.codec.crosswalk.name if known else "",
            ),
            fields=fields,
            fixed=(*fixed, *code),
            needs=tuple(given.get("needs", ())),
            main=main,
            deliver=bool(self.content.get("deliver")),
        )

    def code_written(self, word: str | None) -> Iterator[Fixed]:
        """The recogniser's own code, as something that is written."""
        recogniser = self.recogniser
        if recogniser is None or word is None or self.content.get("read only"):
            return
        walk = recogniser.codec.crosswalk
        if word in walk.back:
            yield Fixed(recogniser.path, recogniser.codec.write(word))
        else:
            remedy = f"give its row a 'code: $system|code', or {walk.name}.csv an 'equivalent' line"
            self.fault(("recognise",), f"no code is written for '{word}'", remedy)
