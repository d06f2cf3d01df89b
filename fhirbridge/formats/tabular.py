"""Rows of a table as facts about records: what each says, what of it waits, and where it stands.

Three depths of fault: the file is refused (its columns cannot be known), a row waits (its key is in
doubt), a cell waits alone. A blank is no statement; a row that is missing says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from fhirbridge.formats import csv_cells, tabular_cells
from fhirbridge.formats.tabular_cells import WITHDRAW, Cells, Wrong
from fhirbridge.formats.tabular_columns import NUMBERS, SUBJECT, Column, Columns
from fhirbridge.formats.tabular_text import RawRow, trimmed
from fhirbridge.formats.tabular_told import Double, Fact, Held, Place, Told
from fhirbridge.outcome import Issue
from fhirbridge.study.definition import Form
from fhirbridge.study.values import Identifier, has_value


@dataclass(frozen=True, slots=True)
class Rows:
    """Reads the rows of one form."""

    form: Form
    columns: Columns
    cells: Cells
    delimiter: str = ","

    @property
    def notes(self) -> tuple[str, ...]:
        return self.columns.notes

    @property
    def by_field(self) -> Mapping[str, int]:
        """Which column gives a field."""
        made = {column.field.name: column.index for column in self.columns.fields}
        numbers = self.columns.numbers
        return {**made, NUMBERS: numbers.index} if numbers else made

    def told(self, row: RawRow, double: Double | None, above: str = "") -> Told:
        """`above` is the subject of the row before."""
        study_id = self.cell(row, self.columns.subject)
        numbers, number_at, wrong = self.numbers(row)
        whose = self.place(row, max(self.columns.subject, 0), SUBJECT)
        if self.columns.subject < 0 and number_at:
            whose = number_at
        held = list(self.whole(row, double, study_id, numbers, wrong, above))
        facts: list[Fact] = []
        if not held:
            for word in self.columns.rows:
                made = self.fact(row, word, study_id)
                if isinstance(made, Held):
                    held.append(made)
                elif made is not None and self.cell(row, self.columns.word):
                    facts.append(_withdrawn(made, self.form.key))
                elif made is not None:
                    facts.append(_added(made, wrong, number_at) if wrong else made)
        name = "|".join((study_id or _anonymous(numbers), *(fact.key for fact in facts)))
        if not facts:
            name = f"row:{blake2b('|'.join(row.cells).encode(), digest_size=12).hexdigest()}"
        return Told(row, name, study_id, numbers, tuple(facts), tuple(held), whose, number_at)

    def cell(self, row: RawRow, index: int) -> str:
        return trimmed(row.cells[index]) if 0 <= index < len(row.cells) else ""

    def place(self, row: RawRow, index: int, header: str = "") -> Place:
        known = index < len(self.columns.headers)
        return row.at(index), header or (self.columns.headers[index] if known else "")

    def issue(self, row: RawRow, index: int, wrong: Wrong) -> Issue:
        at, header = self.place(row, index)
        return Issue(wrong.category, wrong.cause, wrong.remedy, at, header)

    def numbers(self, row: RawRow) -> tuple[tuple[Identifier, ...], Place | None, Issue | None]:
        column = self.columns.numbers
        text = self.cell(row, column.index) if column else ""
        if column is None or not text:
            return (), None, None
        at = self.place(row, column.index)
        made = tabular_cells.numbers(column, text)
        if isinstance(made, Wrong):
            return (), at, self.issue(row, column.index, made)
        return made, at, None

    def whole(
        self,
        row: RawRow,
        double: Double | None,
        study_id: str,
        numbers: tuple[Identifier, ...],
        wrong: Issue | None,
        above: str,
    ) -> Iterator[Held]:
        """Why the whole row waits."""
        issue = self.count(row)
        if issue is None and self.columns.subject >= 0 and not study_id:
            issue = self.nobody(row, above)
        if issue is None and self.columns.subject < 0 and not numbers:
            at = self.columns.numbers.index if self.columns.numbers else 0
            told = Wrong("the row says not whose it is", "give the person's number", "required")
            issue = wrong or self.issue(row, at, told)
        if issue is None and sum(1 for cell in row.cells if trimmed(cell)) == 1:
            cause = "the row says nothing else: a note below the table?"
            told = Wrong(cause, "delete the row", "required")
            issue = self.issue(row, max(self.columns.subject, 0), told)
        if issue is None and double is not None and double.column >= 0:
            cause = f"same key as line {double.line}, with another value"
            where = row.at(0, len(self.columns.headers) - 1)
            header = self.columns.headers[double.column]
            issue = Issue("duplicate", cause, "delete one of the two rows", where, header)
        if issue is None:
            issue = self.of_word(row)
        if issue is not None:
            yield Held(self.form.name, (issue,))

    def of_word(self, row: RawRow) -> Issue | None:
        """Why what the row says of its whole record is not done."""
        text = self.cell(row, self.columns.word)
        if not text:
            return None
        if text != WITHDRAW:
            wrong = Wrong("no word for a row", f"write {WITHDRAW}, or leave it blank")
        elif not self.form.key:
            remedy = "withdraw consent, or take the person out: see the documents"
            wrong = Wrong(f"a {self.form.name} is not taken back by a table", remedy)
        elif self.columns.rows != ("",):
            remedy = "send a table with one record a row"
            wrong = Wrong("the row is several records: which is taken back?", remedy)
        else:
            return None
        return self.issue(row, self.columns.word, wrong)

    def count(self, row: RawRow) -> Issue | None:
        have, wanted = len(row.cells), len(self.columns.headers)
        while have > wanted and not trimmed(row.cells[have - 1]):
            have -= 1
        if have == wanted:
            return None
        cause = f"{have} cell{'s' if have != 1 else ''}, the header has {wanted}"
        remedy = "give the row as many cells as the header has"
        if have > wanted:
            cause += ": a comma outside quotes?" if self.delimiter == "," else ""
            remedy = "put the text in quotes"
            if not self.delimiter:  # a workbook's cells are not divided by signs
                cause += ": a remark beside the table?"
                remedy = "give its column a name, or delete it"
        return Issue("structure", cause, remedy, row.at(0, have - 1), "(row)")

    def nobody(self, row: RawRow, above: str) -> Issue:
        first = self.columns.subject
        rest = [c for i, c in enumerate(row.cells) if trimmed(c) and i != first]
        cause, remedy = "no study_id", "give it, or delete the row"
        if len(rest) <= 2 and any(not any(s.isdigit() for s in text) for text in rest):
            cause, remedy = "no study_id (a total row?)", "delete the row"
        if above and len(rest) > 1 and self.all_keys(row):
            cause = f"no study_id; the cell above is {above}: merged cells?"
            remedy = "unmerge and fill down"
        return self.issue(row, first, Wrong(cause, remedy, "required"))

    def all_keys(self, row: RawRow) -> bool:
        keys = [c for c in self.columns.fields if c.field.name in self.form.key]
        read = (self.cells.read(c, row.cells[c.index], key=True) for c in keys)
        return bool(keys) and all(not isinstance(v, Wrong) and v is not None for v in read)

    def fact(self, row: RawRow, word: str, study_id: str) -> Fact | Held | None:
        fields: dict[str, Any] = {}
        places: dict[str, Place] = {}
        nulls: set[str] = set()
        issues: list[Issue] = []
        in_doubt: list[Issue] = []
        for column in self.columns.of(word):
            key = column.field.name in self.form.key
            raw = csv_cells.unguarded(row.cells[column.index])
            if column.index in row.formulas:
                value: Any = Wrong("a formula", "paste its value instead")
            else:
                value = self.cells.read(column, raw, key=key)
            places[column.field.name] = self.place(row, column.index)
            if isinstance(value, Wrong):
                (in_doubt if key else issues).append(self.issue(row, column.index, value))
            elif value is None and key:
                told = Wrong(f"no {column.header}", "give it: it is a part of the key", "required")
                in_doubt.append(self.issue(row, column.index, told))
            elif key and not has_value(value):
                told = Wrong(f"{column.header} is a part of the key", "give its value", "required")
                in_doubt.append(self.issue(row, column.index, told))
            elif value is WITHDRAW:
                nulls.add(column.field.name)
            elif value is not None:
                fields[column.field.name] = value
        if word and not self.says(word, row):
            return None
        if in_doubt:
            return Held(self.form.name, _row_not_applied(in_doubt, issues))
        if word and word in self.visits and "visit" not in fields:
            fields["visit"] = word
            places["visit"] = self.place(row, self.columns.of(word)[0].index)
        if SUBJECT in self.form.fields and study_id:
            fields[SUBJECT] = study_id
            places[SUBJECT] = self.place(row, self.columns.subject)
        numbers, number_at, _ = self.numbers(row)
        if numbers and number_at:
            fields[NUMBERS], places[NUMBERS] = numbers, number_at
        assumed = self.assume(row, fields, places)
        key_text = self.form.key_of(fields)
        return Fact(
            self.form.name, key_text, fields, places, frozenset(nulls), assumed, tuple(issues)
        )

    @property
    def visits(self) -> tuple[str, ...]:
        known = self.form.fields.get("visit")
        return known.choices if known else ()

    def says(self, word: str, row: RawRow) -> bool:
        """Whether anything stands in the columns that are the word's own."""
        own = [c for c in self.columns.of(word) if c.row]
        return any(trimmed(row.cells[c.index]) for c in own)

    def assume(
        self, row: RawRow, fields: dict[str, Any], places: dict[str, Place]
    ) -> frozenset[str]:
        """What the site's map says of all its rows, where the study asks for it."""
        assumed = set()
        for name, text in self.columns.constants.items():
            known = self.form.fields.get(name)
            if known is None or name in fields:
                continue
            needed = any(
                name in self.form.fields[other].with_ and has_value(value)
                for other, value in fields.items()
                if other in self.form.fields
            )
            if not (needed or name in self.form.required):
                continue
            value = self.cells.read(Column(-1, name, known), text)
            if value is not None and not isinstance(value, Wrong):
                fields[name] = value
                places[name] = (f"line {row.line}", name)
                assumed.add(name)
        return frozenset(assumed)


def _anonymous(numbers: Sequence[Identifier]) -> str:
    """Where no pseudonym is told: not the number, which belongs into the vault."""
    told = "|".join(f"{one.system}|{one.value}" for one in numbers)
    return f"?{blake2b(told.encode(), digest_size=12).hexdigest()}" if told else "?"


def _withdrawn(fact: Fact, key: Sequence[str]) -> Fact:
    """The record of the row without what it says, as it is taken back whatever that is."""
    kept = {n: v for n, v in fact.fields.items() if n in key}
    places = {n: p for n, p in fact.places.items() if n in key}
    return Fact(fact.form, fact.key, kept, places, withdrawn=True)


def _row_not_applied(in_doubt: Sequence[Issue], others: Sequence[Issue]) -> tuple[Issue, ...]:
    told = [
        Issue(i.category, i.cause, f"{i.remedy}; row not applied: the key is in doubt",
              i.expression, i.place)
        for i in in_doubt
    ]  # fmt: skip
    return (*told, *others)


def _added(fact: Fact, wrong: Issue, at: Place | None) -> Fact:
    return Fact(
        fact.form, fact.key, fact.fields, fact.places, fact.nulls, fact.assumed,
        (wrong, *fact.issues),
    )  # fmt: skip
