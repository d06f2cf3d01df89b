"""Reads one mapping file into checked nouns; a fault is noted with its line and reading goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fhirbridge import lined_yaml
from fhirbridge.fhir import definitions
from fhirbridge.mapping import codecs, crosswalk, fit
from fhirbridge.mapping.parts import PartsReader
from fhirbridge.mapping.spec import Block, Fixed, FormMapping, Gate, Reading, Recogniser, Row
from fhirbridge.study.definition import ABSENT_REASONS, Field, Form, near


class FileReader(PartsReader):
    """One form and the resource type that carries it."""

    def mapping(self) -> FormMapping | None:
        """The whole file; None where its form or its resource is not known."""
        self.content = self.words(self.document.content, (), "file")
        for part in sorted({"recognise", "gate", "absent"} & self.content.keys()):
            kind = "reading" if part == "absent" else part
            self.content[part] = self.words(self.content[part], (part,), kind)
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
        patient = self.content.get("patient")
        recogniser, gate = self.recogniser(form), self.gate()
        return FormMapping(
            form=form,
            resource=self.resource,
            patient=self.path(patient, ("patient",)) if patient else None,
            recogniser=recogniser,
            gate=gate,
            blocks=tuple(self.blocks(form, recogniser, gate)),
        )

    def recogniser(self, form: Form) -> Recogniser | None:
        """What tells the mapping's resources, the codes of its rows included."""
        if "recognise" not in self.content:
            return None
        at = ("recognise",)
        given = self.content["recognise"]
        reading = self.reading(given, Field("", "choice"), at)
        if reading is None or not isinstance(reading.codec, codecs.Code):
            return None
        walk = reading.codec.crosswalk
        own = list(self.row_codes())
        if own:
            lines = [*walk.forward.values(), *own]
            site = [line for line in lines if line.system not in walk.covered and line not in own]
            lines = [line for line in lines if line not in site]
            walk, wrong = crosswalk.build(walk.name, lines, site, walk.systems)
            self.faults += wrong
        for name in given.get("doubt", ()):
            if name not in form.fields:
                cause = f"the form {form.name} has no field '{name}'"
                self.fault((*at, "doubt"), cause, near(name, form.fields))
        return Recogniser(reading.path, codecs.Code(walk), tuple(given.get("doubt", ())))

    def row_codes(self) -> Iterator[crosswalk.Line]:
        """`code: $system|code` of a row: one more line of the recogniser's crosswalk."""
        for number, row in enumerate(self.content.get("rows") or ()):
            if not isinstance(row, dict) or "code" not in row:
                continue
            at = ("rows", number, "code")
            system, _, code = str(row["code"]).partition("|")
            url = self.url(system, at)
            target, place = str(row.get("field")), self.document.place(at)
            line = crosswalk.Line(
                url, code, str(row.get("note", "")), target, "equivalent", "", place
            )
            wrong = list(crosswalk.line_rules(line)) if not url.startswith("$") else []
            for told in wrong:
                self.fault(at, *told)
            if not wrong:
                yield line

    def gate(self) -> Gate | None:
        if "gate" not in self.content:
            return None
        at = ("gate",)
        given = self.content["gate"]
        path = self.path(given.get("at"), at)
        if path is None:
            return None
        fates = ("pass", "withdraw", "refuse", "hold")
        passes, withdraws, refuses, holds = (frozenset(given.get(fate) or ()) for fate in fates)
        gate = Gate(path, passes, withdraws, refuses, holds, given.get("writes"))
        for told in fit.statuses(gate, self.resource):
            self.fault(at, *told)
        return gate

    def blocks(
        self, form: Form, recogniser: Recogniser | None, gate: Gate | None
    ) -> Iterator[Block]:
        """One for the record, or with `each: field` one for each row."""
        shared = self.rows(form, "shared") if "shared" in self.content else []
        rows = self.rows(form, "rows")
        fixed = list(self.fixed(gate))
        each, deliver = self.content.get("each", "record"), bool(self.content.get("deliver"))
        profile = self.content.get("profile", "")
        name = self.url(profile, ("profile",))
        if each == "record":
            written = (self.content.get("recognise") or {}).get("writes")
            everything = tuple(row for row, _ in (*shared, *rows))
            for misfit in fit.one_place_each(everything, fixed):
                self.fault(("rows",), *misfit)
            told = [*fixed, *self.recognised(recogniser, written)]
            yield Block(form.name, "", name, everything, (), tuple(told), deliver=deliver)
            return
        if each != "field":
            self.fault(("each",), f"each: '{each}' is not known", "use record or field")
        self.one_row_each(shared, rows, fixed, recogniser)
        for row, given in rows:
            word = row.field.name
            yield Block(
                name=f"{form.name}.{word}",
                word=word,
                profile=self.url(given["profile"], ("rows",)) if "profile" in given else name,
                rows=(*(row for row, _ in shared), row),
                fields=(word,),
                fixed=(*fixed, *self.recognised(recogniser, word)),
                absent=self.absent(row.field),
                deliver=deliver,
            )

    def one_row_each(
        self,
        shared: Sequence[tuple[Row, dict[str, Any]]],
        rows: Sequence[tuple[Row, dict[str, Any]]],
        fixed: Sequence[Fixed],
        recogniser: Recogniser | None,
    ) -> None:
        """With `each: field`: one row a field, which shares its resource with the shared rows
        alone, and every code that is recognised has a row."""
        own = [row.field.name for row, _ in rows]
        for row, _ in rows:
            misfits = list(fit.one_place_each([*(row for row, _ in shared), row], fixed))
            if own.count(row.field.name) > 1:
                misfits.append((f"two rows map {row.field.name}", "keep one row"))
            for misfit in misfits:
                self.fault(("rows",), *misfit)
        if recogniser is not None:
            for line in fit.unknown_targets(recogniser.codec, own):
                self.told(line, (f"no row has the field '{line.target}'", near(line.target, own)))

    def recognised(self, recogniser: Recogniser | None, word: str | None) -> Iterator[Fixed]:
        """The recogniser's own code, as something that is written."""
        if recogniser is None or word is None:
            return
        walk = recogniser.codec.crosswalk
        if word in walk.back:
            yield Fixed(recogniser.path, recogniser.codec.write(word))
        else:
            remedy = f"give its row a 'code: $system|code', or {walk.name}.csv an 'equivalent' line"
            self.fault(("recognise",), f"no code is written for '{word}'", remedy)

    def absent(self, field: Field) -> Reading | None:
        if "absent" not in self.content:
            return None
        reasons = Field(field.name, "choice", choices=ABSENT_REASONS)
        made = self.reading(self.content["absent"], reasons, ("absent",))
        for line, misfit in fit.targets(reasons, made.codec) if made else ():
            self.told(line, misfit)
        return made

    def rows(self, form: Form, section: str) -> list[tuple[Row, dict[str, Any]]]:
        given = self.content.get(section)
        if not isinstance(given, list) or not given:
            self.fault((section,), f"'{section}' holds no rows", "add a row for each field")
            return []
        made = [self.row(form, row, section, number) for number, row in enumerate(given)]
        return [pair for pair in made if pair is not None]

    def row(
        self, form: Form, given: Any, section: str, number: int
    ) -> tuple[Row, dict[str, Any]] | None:
        at: lined_yaml.Path = (section, number)
        given = self.words(given, at, "row")
        field = form.fields.get(str(given.get("field")))
        if field is None:
            cause = f"the form {form.name} has no field '{given.get('field')}'"
            self.fault(at, cause, near(str(given.get("field")), form.fields))
            return None
        told = self.spelled_out(given, field, at)
        if told is None:
            return None
        first, *others = told
        readings = [self.reading(first, field, at)]
        for number, other in enumerate(others):
            below = (*at, "accepts", number)
            readings.append(
                self.reading({**first, **self.words(other, below, "reading")}, field, below)
            )
        complete = tuple(reading for reading in readings if reading is not None)
        if readings[0] is None:
            return None
        misfits = [*fit.element(field, readings[0].path), *fit.ways_back(field, readings[0].codec)]
        if not (section == "rows" and "absent" in self.content) and field.name not in form.key:
            known_by = self.content.get("recognise", {}).get("at", "")
            misfits += fit.absence(field, readings[0].path, self.resource, known_by)
        for misfit in misfits:
            self.fault(at, *misfit)
        for reading in complete:
            for line, misfit in fit.targets(field, reading.codec):
                self.told(line, misfit)
        return Row(field, complete, bool(given.get("from source"))), given

    def spelled_out(
        self, given: dict[str, Any], field: Field, at: lined_yaml.Path
    ) -> list[dict[str, Any]] | None:
        """The row's readings; a row without `at` takes what `values` says of its field's type."""
        if "at" in given:
            first = {word: given[word] for word in ("at", "by") if word in given}
            return [first, *(given.get("accepts") or ())]
        values = self.content.get("values", {})
        if field.type not in values:
            remedy = f"give the row 'at' and 'by', or the file 'values: {{{field.type}: ...}}'"
            self.fault(at, f"nothing says where {field.name} stands", remedy)
            return None
        usual = self.words(values[field.type], ("values", field.type), "values")
        first = {word: usual[word] for word in ("at", "by") if word in usual}
        return [first, *(given.get("accepts") or ()), *(usual.get("accepts") or ())]

    def fixed(self, gate: Gate | None) -> Iterator[Fixed]:
        for number, given in enumerate(self.content.get("write only") or ()):
            at = ("write only", number)
            given = self.words(given, at, "write only")
            path = self.path(given.get("at"), at)
            if path is not None:
                yield Fixed(path, given.get("value"))
        if gate is not None and gate.writes is not None:
            yield Fixed(gate.path, gate.writes)
