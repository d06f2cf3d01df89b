"""The facts of one entry: each to its record, into quarantine, or refused, with a line in the
receipt.

What an earlier version of the resource gave and this one says no more is taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from fhirbridge.mapping.decode import Decoded
from fhirbridge.outcome import Issue
from fhirbridge.registry.origins import Origin
from fhirbridge.registry.receipts import ReceiptEntry
from fhirbridge.registry.subjects import Subject
from fhirbridge.sync.accept import Context, accept, take_back
from fhirbridge.sync.said import Said, together


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a receipt without its number; `waits`: why it, or a part of it, waits."""

    entry: ReceiptEntry
    waits: tuple[Issue, ...] = ()

    def placed(self, place: Callable[[Issue], Issue]) -> Line:
        """The same, its issues where they stand in the message's own words."""
        issues = tuple(map(place, self.entry.issues))
        return Line(replace(self.entry, issues=issues), tuple(map(place, self.waits)))

    def warned(self, issues: tuple[Issue, ...]) -> Line:
        """The same, with what must be said of the entry besides."""
        return replace(self, entry=replace(self.entry, issues=(*issues, *self.entry.issues)))


def numbered(lines: Iterable[Line]) -> list[Line]:
    """The lines by what became of them: the first stands for the entry. Parts have even numbers;
    the odd ones behind them are what of a record's line waits."""
    order = ("applied", "unchanged", "quarantined", "superseded", "refused")
    ordered = sorted(lines, key=lambda line: order.index(line.entry.fate))
    return [
        line
        if line.entry.part == 2 * number
        else replace(line, entry=replace(line.entry, part=2 * number))
        for number, line in enumerate(ordered)
    ]


@dataclass
class Facts:
    """`whose` finds the subject of a record; `turned_away`: the site refuses whom nobody
    enrolled."""

    context: Context
    told: ReceiptEntry
    origin: Origin
    decoded: Sequence[Decoded]
    whose: Callable[[Said], Subject | Issue]
    turned_away: bool
    root: str
    before: list[str] = field(init=False)  # the records that it was about
    now: set[str] = field(init=False, default_factory=set)  # those that it is about
    unsure: set[str] = field(init=False, default_factory=set)  # forms of which something waits

    def __post_init__(self) -> None:
        self.before = self.context.unit.origins.records(self.origin.id)

    def lines(self) -> list[Line]:
        said = together(self.context.mappings, self.decoded)
        made = [self.record(one) for one in said]
        made += [self.held(fact) for fact in self.decoded if fact.fate == "hold"]
        made += [self.line("refused", f) for f in self.decoded if f.fate == "refuse"]
        return [*made, *self.gone()]

    def line(self, fate: str, fact: Decoded) -> Line:
        return Line(replace(self.told, fate=fate, rule=fact.block or None, issues=fact.issues))

    def record(self, said: Said) -> Line:
        subject = self.whose(said)
        if isinstance(subject, Issue):
            told = replace(self.told, rule=said.rule)
            issues = (subject, *said.issues)
            if self.turned_away and not self.before:
                return Line(replace(told, fate="refused", issues=issues))
            return self.waiting(told, said.form, issues)
        result = accept(self.context, said, subject, self.origin, position=self.told.position)
        record_id = result.record.id if result.record else None
        held = result.fate == "quarantined"
        if held:
            self.unsure.add(said.form)
            issues = waits = (*result.issues, *said.issues)
        else:
            self.now.add(record_id or "")
            issues = (*said.issues, *result.issues, *result.conflicts)
            waits = (*(i for i in said.issues if i.severity == "error"), *result.conflicts)
        told = replace(
            self.told,
            rule=said.rule,
            subject_id=subject.id,
            fate=result.fate,
            record_id=record_id,
            issues=issues,
        )
        return Line(told, waits)

    def held(self, fact: Decoded) -> Line:
        told = replace(self.told, rule=fact.block or None)
        return self.waiting(told, fact.form, fact.issues)

    def waiting(self, told: ReceiptEntry, form: str, issues: tuple[Issue, ...]) -> Line:
        """What waits may have been a record's before: the record keeps that until it is settled."""
        self.unsure.add(form)
        if self.before:
            cause = "an earlier version of it was taken, and the record still says what that said"
            warning = Issue(
                "conflict", cause, "look at the record, too", self.root, severity="warning"
            )
            issues = (*issues, warning)
        return Line(replace(told, fate="quarantined", issues=issues), issues)

    def gone(self) -> Iterator[Line]:
        """The records that it is not about any more, without what it gave them."""
        withdrawn = [fact for fact in self.decoded if fact.fate == "withdraw"]
        if self.context.partial and not withdrawn:
            return  # it says nothing of what it does not name
        reason = "withdrawn by its source" if withdrawn else "corrected by its source"
        taken_back = 0
        for record_id in self.before:
            if record_id in self.now or self.may_stay(record_id):
                continue
            stored = take_back(self.context, self.origin, record_id, reason=reason)
            if stored is None:
                continue
            taken_back += 1
            told = replace(self.told, fate="applied", record_id=record_id, rule=stored.form)
            yield Line(replace(told, issues=() if withdrawn else (_TAKEN_BACK,)))
        if withdrawn and not taken_back:
            rule = withdrawn[0].block or None
            yield Line(replace(self.told, fate="unchanged", rule=rule, issues=(_NOTHING,)))

    def may_stay(self, record_id: str) -> bool:
        """True where what waits may be about it."""
        record = self.context.unit.records.get(record_id)
        return bool(self.unsure) and (
            "" in self.unsure or record is None or record.form in self.unsure
        )


_TAKEN_BACK = Issue(
    "conflict", "an earlier version of it was taken, and is taken back", severity="information"
)
_NOTHING = Issue(
    "business-rule",
    "it is entered in error, and nothing of it is in a record",
    "nothing to do",
    severity="information",
)
