"""Rows of a REDCap export as facts about records, by the map of one project: variable -> field.

A row is (record, event, instrument, instance). Blank cells of other instruments say nothing; a box
that is not ticked says nothing either, for an unopened form looks the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b
from typing import Any

from fhirbridge.formats import csv_cells, redcap, redcap_goals, tabular_cells
from fhirbridge.formats.redcap import Shape, Variable
from fhirbridge.formats.redcap_goals import CellsOf, Goal, Project
from fhirbridge.formats.tabular_cells import Wrong
from fhirbridge.formats.tabular_columns import NUMBERS, SUBJECT, Column
from fhirbridge.formats.tabular_text import RawRow, plain, trimmed
from fhirbridge.formats.tabular_told import Double, Fact, Held, Place, Told
from fhirbridge.outcome import Issue
from fhirbridge.study.values import has_value


@dataclass(frozen=True, slots=True)
class RedcapRows:
    """`raw`: the file shows that what is a code in its cells is one, and no label of another."""

    project: Project
    shape: Shape
    header: RawRow
    cells: CellsOf
    raw: bool = True

    @property
    def notes(self) -> tuple[str, ...]:
        names = [self.header.cells[i] for i in self.shape.unread]
        named = self.shape.variables.values()
        names += [v for v in named if v not in self.project.goals and v != self.record_name]
        return (f"not read: {', '.join(names)}",) if names else ()

    @property
    def record_name(self) -> str:
        return self.shape.variables.get(self.shape.record, "record")

    @property
    def by_field(self) -> Mapping[str, int]:
        known = self.shape.variables.items()
        return {self.project.goals[v].field.name: i for i, v in known if v in self.project.goals}

    def cell(self, row: RawRow, index: int) -> str:
        inside = 0 <= index < len(row.cells)
        return trimmed(csv_cells.unguarded(row.cells[index])) if inside else ""

    def place(self, row: RawRow, index: int, last: int | None = None) -> Place:
        shown = last if last is not None else index
        return row.at(index, last), self.header.cells[shown].strip()

    def name(self, row: RawRow) -> tuple[str, str, str, str]:
        shape = self.shape
        instrument = plain(self.cell(row, shape.instrument)).replace(" ", "_")
        return (
            self.cell(row, shape.record),
            self.cell(row, shape.event),
            instrument,
            self.cell(row, shape.instance),
        )

    def told(self, row: RawRow, double: Double | None, above: str = "") -> Told:
        record = self.cell(row, self.shape.record)
        study_id = self.project.records.get(record, "" if self.project.records else record)
        whose = self.place(row, self.shape.record)
        held = list(self.whole(row, double, record, study_id))
        facts: list[Fact] = []
        if not held:
            for one in self.facts(row, study_id):
                (facts if isinstance(one, Fact) else held).append(one)  # type: ignore[arg-type]
        name = "|".join(self.name(row))
        if self.shape.eav:
            name += f"|{self.cell(row, self.shape.name)}|{self.box(row)}"
        if held and not facts:
            name = f"row:{blake2b('|'.join(row.cells).encode(), digest_size=12).hexdigest()}"
        numbers = next((f.fields[NUMBERS] for f in facts if NUMBERS in f.fields), ())
        return Told(row, name, study_id, numbers, tuple(facts), tuple(held), whose)

    def box(self, row: RawRow) -> str:
        variable = self.project.variables.get(self.cell(row, self.shape.name))
        is_box = variable is not None and variable.type == "checkbox"
        return self.cell(row, self.shape.value) if is_box else ""

    def whole(
        self, row: RawRow, double: Double | None, record: str, study_id: str
    ) -> Iterator[Held]:
        issue: Issue | None = None
        wanted = len(self.header.cells)
        if len(row.cells) != wanted:
            cause = f"{len(row.cells)} cells, the header has {wanted}"
            at = row.at(0, len(row.cells) - 1)
            issue = Issue("structure", cause, "put the text in quotes", at, "(row)")
        elif not record:
            issue = self.issue(row, self.shape.record, Wrong("no record id", "delete the row"))
        elif not study_id:
            cause = f"record {record} is no subject of this site's map"
            remedy = "add a line to redcap-records.csv of the site"
            issue = self.issue(row, self.shape.record, Wrong(cause, remedy, "unknown-subject"))
        else:
            issue = self.foreign(row) or self.doubled(row, double)
        if issue is not None:
            yield Held("", (issue,))

    def foreign(self, row: RawRow) -> Issue | None:
        group = self.cell(row, self.shape.group)
        if not group or plain(group).replace(" ", "_") in self.project.groups:
            return None
        cause = "another site's group; the site comes from the credential"
        remedy = "remove the row, or send it by that site"
        return self.issue(row, self.shape.group, Wrong(cause, remedy, "forbidden"))

    def doubled(self, row: RawRow, double: Double | None) -> Issue | None:
        if double is None or double.column < 0:
            return None
        shape = self.shape
        cause = f"same record and instance as line {double.line}, with other values"
        first, last = shape.record, shape.record
        if shape.instrument >= 0 and self.cell(row, shape.instrument):
            first, last = shape.instrument, shape.instance
            cause = f"same instance as line {double.line}, with other values"
        at, header = self.place(row, first, last)
        return Issue("duplicate", cause, "ask the site which row is meant", at, header)

    def issue(self, row: RawRow, index: int, wrong: Wrong) -> Issue:
        at, header = self.place(row, index)
        return Issue(wrong.category, wrong.cause, wrong.remedy, at, header)

    def said(self, row: RawRow) -> Iterator[tuple[str, str, int]]:
        """Variable, text and column of what is not blank; a box's text is its code."""
        shape = self.shape
        if shape.eav:
            text = self.cell(row, shape.value)
            if text:
                yield self.cell(row, shape.name), text, shape.value
            return
        for index, name in shape.variables.items():
            text = self.cell(row, index)
            if text and index != shape.record:
                yield name, text, index
        for index, (name, box) in shape.boxes.items():
            if redcap.ticked(row.cells[index]):
                yield name, self.code(name, box), index

    def code(self, name: str, box: str) -> str:
        """The code of a box; that of missing data is none."""
        known = self.project.variables[name].choices
        return next((code for code, _ in known if redcap.box_name(code) == box), "")

    def facts(self, row: RawRow, study_id: str) -> Iterator[Fact | Held]:
        by_form: dict[str, list[tuple[Variable, Goal, str, int]]] = {}
        unread: list[Issue] = []
        for name, text, index in self.said(row):
            variable, goal = self.project.variables.get(name), self.project.goals.get(name)
            if variable is None:
                at, header = self.place(row, index)
                cause = f"{name} is not in the data dictionary: not read"
                unread.append(Issue("not-supported", cause, "", at, header, "warning"))
            elif goal is not None and text:
                by_form.setdefault(goal.form, []).append((variable, goal, text, index))
        for name, given in row.context:
            variable, goal = self.project.variables[name], self.project.goals[name]
            if goal.form in by_form and all(v.name != name for v, *_ in by_form[goal.form]):
                by_form[goal.form].append((variable, goal, given, self.shape.value))
        made = [fact for form, told in by_form.items() for fact in self.of_form(row, form, told)]
        doubtful = {
            variable.form
            for form, told in by_form.items()
            for variable, *_ in told
            if any(isinstance(one, Held) and one.form == form for one in made)
        }
        for form, told in by_form.items():  # what stands on the same page waits with it
            if all(variable.form in doubtful for variable, *_ in told):
                made = [one for one in made if isinstance(one, Held) or one.form != form]
        yield from made
        if not made:
            places = {SUBJECT: self.place(row, self.shape.record)}
            yield Fact("subject", "", {SUBJECT: study_id}, places, issues=tuple(unread))

    def of_form(
        self, row: RawRow, form: str, told: Sequence[tuple[Variable, Goal, str, int]]
    ) -> Iterator[Fact | Held]:
        boxes = [one for one in told if one[0].type == "checkbox" and not one[1].field.many]
        plain_ones = [one for one in told if one not in boxes]
        if plain_ones or not boxes:
            yield self.fact(row, form, plain_ones)
        for one in boxes:
            yield self.fact(row, form, [one], box=True)

    def fact(
        self,
        row: RawRow,
        form: str,
        told: Sequence[tuple[Variable, Goal, str, int]],
        *,
        box: bool = False,
    ) -> Fact | Held:
        known = self.project.study.form(form)
        fields: dict[str, Any] = {}
        places: dict[str, Place] = {}
        issues: list[Issue] = []
        in_doubt: list[Issue] = []
        for variable, goal, text, index in told:
            value = self.value(variable, goal, text, index, key=goal.field.name in known.key)
            places[goal.field.name] = self.place(row, index)
            key = goal.field.name in known.key
            if key and not isinstance(value, Wrong) and not has_value(value):
                cause = f"{goal.field.name} is said not to be known, and is a part of the key"
                value = Wrong(cause, "row not applied: give the day, at least of the visit")
            if isinstance(value, Wrong):
                (in_doubt if key else issues).append(self.issue(row, index, value))
            elif goal.field.many and isinstance(fields.get(goal.field.name), tuple):
                fields[goal.field.name] = (*fields[goal.field.name], *value)
            elif value is not None:
                fields[goal.field.name] = value
        for part in known.key:
            if part in fields or in_doubt:
                continue
            if known.fields[part].type == "text" and len(known.key) == 1:
                fields[part] = self.key(row, told[0], box=box)
                places[part] = self.place(row, self.shape.record)
                continue
            wrong = Wrong(f"a {known.name} without {part}", "give it: it is the key", "required")
            in_doubt.append(self.issue(row, told[0][3], wrong))
        if in_doubt:
            return Held(form, (*in_doubt, *issues))
        if form == "subject":
            fields[SUBJECT] = self.project.records.get(
                self.cell(row, self.shape.record), self.cell(row, self.shape.record)
            )
            places[SUBJECT] = self.place(row, self.shape.record)
        assumed = self.assume(form, row, fields, places)
        return Fact(form, known.key_of(fields), fields, places, frozenset(), assumed, tuple(issues))

    def key(self, row: RawRow, first: tuple[Variable, Goal, str, int], *, box: bool) -> str:
        """Stable over uploads: record, instrument and instance, or where a single form stands."""
        record, event, instrument, instance = self.name(row)
        parts = [record, instrument, instance] if instrument else [record, event, first[0].form]
        if box:
            parts = [*parts[:2], first[0].name, first[2]]
        return "-".join(part for part in parts if part)

    def value(self, variable: Variable, goal: Goal, text: str, index: int, *, key: bool) -> Any:
        cells = self.cells(goal.form)
        reason = cells.absence(goal.field, text)
        if reason:
            return cells.absent(goal.field, reason)
        if variable.choices and goal.field.type in ("choice", "boolean"):
            value = redcap_goals.word(
                variable, goal, text, labelled=not self.raw or index in self.shape.labelled
            )
            return value if isinstance(value, Wrong) else redcap_goals.typed(goal.field, value)
        comma = "," if "comma_decimal" in variable.validation else ""
        column = Column(index, variable.name, goal.field, "", comma, goal.system, Decimal(1))
        if goal.field.name == NUMBERS:
            return tabular_cells.numbers(column, text)
        value = cells.read(column, text, key=key)
        if isinstance(value, Wrong) and variable.choices and variable.code(text):
            value = cells.read(column, goal.codes.get(variable.code(text), text), key=key)
        if isinstance(value, Wrong) and self.project.missing and value.category != "unknown-code":
            codes = ", ".join(sorted(self.project.missing))
            cause = f"no missing data code of this project ({codes}), and {value.cause}"
            return Wrong(cause, "correct it, or add the code to the project's list")
        return value

    def assume(
        self, form: str, row: RawRow, fields: dict[str, Any], places: dict[str, Place]
    ) -> frozenset[str]:
        known, made = self.project.study.form(form), set()
        for name, text in self.project.constants.get(form, {}).items():
            needed = name in known.required or any(
                name in known.fields[f].with_ and has_value(v)
                for f, v in fields.items()
                if f in known.fields
            )
            if needed and name not in fields and name in known.fields:
                value = self.cells(form).read(Column(-1, name, known.fields[name]), text)
                if value is not None and not isinstance(value, Wrong):
                    fields[name], places[name] = value, (f"line {row.line}", name)
                    made.add(name)
        return frozenset(made)
