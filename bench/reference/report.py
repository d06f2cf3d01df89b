"""docs/reference/validation.md: what the comparison found, in tables."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from bench.damage.mutant import Group
from bench.reference import examples, goals
from bench.reference.beside_hapi import TABLE
from bench.reference.compare import Row
from bench.reference.goals import Tally, tally

_GROUPS: tuple[Group, ...] = (
    "structural",
    "probe",
    "profile",
    "extension",
    "terminology",
    "random",
)
_HEAD = """\
# The judge beside HL7's validator

Written by `python -m bench.reference` ([how it works](../../bench/reference/README.md)); do not
edit. The reference is HL7's instance validator (`org.hl7.fhir.validation` 6.5.27) with R4 4.0.1,
HL7 Terminology 7.0.1, the extensions package 5.3.0-ballot-tc1, US Core 6.1.0, mCODE 4.0.0 and
genomics-reporting 3.0.0, without a terminology server. Ours is `fhirbridge.fhir.validate`. Both
get the same bytes: HL7's examples of the study's types, then each example harmed in one place.
A content is refused where at least one issue is an error.

Columns: how many contents; refused by the reference, how many of these we accept; accepted by the
reference, how many of these we refuse; of the latter those with a named reason (*lax*, see below);
contents on which the reference has no verdict.
"""
_COLUMNS = """\
| {} | planted | they refuse | we accept | % | they accept | we refuse | % | lax | no verdict |
|---|---|---|---|---|---|---|---|---|---|"""
_EXAMPLES = """\
## Examples

{} examples of {} types. Bundles that publish R4 itself are left out. So are ten of mCODE's, which
were made with genomics-reporting 2.0.0; npm has 3.0.0 alone, and a verdict by that means nothing:
"""
_LAX = """\
## Where the reference is laxer than the specification

Counted under *lax*, and not against a goal: the rule is in the specification, and the reference
does not hold it.

| our words | how often | why we refuse |
|---|---|---|"""
_DOOR = """\
## Where our door is stricter

`validate` judges as the reference does. The door (`fhirbridge.fhir.door`) refuses three more
things, because the study cannot know what they would mean: modifier extensions that are not known
here, extensions in HL7's own space whose names are misspelt, and UCUM codes that are none. They
are not counted above. An extension of HL7's space that is like none is of an older or newer guide
and is left aside. A display that is not the code's name is an error of `validate`, as it is the
reference's; at the door it is a warning, for the code counts. Of the contents that both accept,
the door refuses:

| what | contents |
|---|---|"""
_RANDOM = """\
## Random damage

Held out: random edits from seed {}, for what the kinds do not think of. No goal is set.
"""


def text(shown: Sequence[Row], rows: Sequence[Row], door: Counter[str], *, seed: int) -> str:
    """The page. `shown` are the unharmed examples, `rows` the mutants."""
    parts = [
        _HEAD,
        "\n".join(_totals(shown, rows)),
        "\n".join(_examples(shown)),
        "\n".join([_LAX, *_lax([*shown, *rows])]),
        "\n".join([_DOOR, *(f"| {what} | {count} |" for what, count in sorted(door.items()))]),
        "\n".join(_kinds(rows)),
        "\n".join(_random(rows, seed)),
        TABLE.read_text(encoding="utf-8"),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _totals(shown: Sequence[Row], rows: Sequence[Row]) -> Iterator[str]:
    yield "## Totals"
    yield ""
    yield _COLUMNS.format("group")
    yield _line("examples, unharmed", tally(shown))
    for group in _GROUPS:
        yield _line(group, tally(row for row in rows if row.mutant.group == group))
    planted = [*shown, *(row for row in rows if row.mutant.group != "random")]
    yield _line("all but random", tally(planted))
    yield ""
    yield "| goal | found | holds |"
    yield "|---|---|---|"
    for goal, most in goals.WRONGLY_ACCEPTED.items():
        found = tally(row for row in rows if row.mutant.group == goal).wrongly_accepted
        yield _goal(f"{goal}: at most {most:g} % wrongly accepted", found, most)
    found = tally(planted).wrongly_refused
    told = f"at most {goals.WRONGLY_REFUSED:g} % wrongly refused, all groups"
    yield _goal(told, found, goals.WRONGLY_REFUSED)
    whole = tally(planted)
    with_lax = 100 * (whole.refused_alone + whole.lax) / whole.accepted
    yield ""
    yield f"With the *lax* counted as wrong, {with_lax:.2f} % are wrongly refused."


def _goal(told: str, found: float, most: float) -> str:
    return f"| {told} | {found:.2f} % | {'yes' if found <= most else '**no**'} |"


def _line(name: str, t: Tally) -> str:
    alone = f"{t.refused_alone} | {t.wrongly_refused:.1f} | {t.lax} | {t.silent}"
    through = f"{t.refused} | {t.let_through} | {t.wrongly_accepted:.1f}"
    return f"| {name} | {t.planted} | {through} | {t.accepted} | {alone} |"


def _examples(shown: Sequence[Row]) -> Iterator[str]:
    yield _EXAMPLES.format(len(shown), len(examples.TYPES))
    yield from (f"* {name}" for name in examples.NOT_JUDGED)
    yield ""
    differing = [row for row in shown if row.accepted_by_us_alone or row.refused_by_us_alone]
    if not differing:
        yield "On all the others the two agree."
        return
    yield "| example | who refuses it | why |"
    yield "|---|---|---|"
    for row in differing:
        who = "the reference" if row.accepted_by_us_alone else "we"
        why = goals.example_reason(row) or "**no reason is named**"
        yield f"| {row.mutant.source} | {who} | {why} |"


def _lax(rows: Sequence[Row]) -> Iterator[str]:
    found = Counter(goals.lax_rule(row) for row in rows if row.refused_by_us_alone)
    for rule in goals.lax_rules():
        yield f"| {rule.words} | {found[rule]} | {rule.why} |"


def _kinds(rows: Sequence[Row]) -> Iterator[str]:
    yield "## Kinds of damage"
    for group in _GROUPS[:-1]:
        yield ""
        yield f"### {group}"
        yield ""
        yield _COLUMNS.format("kind")
        yield from _by_kind([row for row in rows if row.mutant.group == group])


def _by_kind(rows: Sequence[Row]) -> Iterator[str]:
    by_kind: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_kind[row.mutant.kind].append(row)
    for kind, found in sorted(by_kind.items()):
        yield _line(kind, tally(found))


def _random(rows: Sequence[Row], seed: int) -> Iterator[str]:
    yield _RANDOM.format(seed)
    yield _COLUMNS.format("edit")
    yield from _by_kind([row for row in rows if row.mutant.group == "random"])
