"""Faults of the words beyond type and range, each with file and line: on a study of our own."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fhirbridge.outcome import BridgeError
from fhirbridge.study import definition
from fhirbridge.study.definition import Total, Window
from tests.study.tiny import STUDY, TEXT


def line(word: str) -> int:
    before, found, _ = TEXT.partition(word)
    assert found
    return before.count("\n") + 1


PATTERN = '"[A-Z]{2}-[0-9]{1,3}"'

# reason, old, new, word on the line that is told, words of the cause, words of the remedy
FAULTS = [
    ("a reference to no form", "to: attack, required", "to: attak, required", "to: attack, required", "no form 'attak'", "did you mean 'attack'"),
    ("a reference to a form without key", "to: attack, required", "to: child, required", "to: attack, required", "'child' has no key", "give it a key"),
    ("a reference to nothing", "to: attack, required", "required", "to: attack, required", "'to' belongs to the type 'reference'", "name the form"),
    ("'to' of a text", "device: { type: text", "device: { type: text, to: attack", "device: {", "'to' belongs to the type 'reference'", "name the form"),
    ("'to' that is no word", "to: attack, required", "to: [attack], required", "to: attack, required", "is no str", "mend"),
    ("many numbers", "range: [0, 4], only", "many: true, range: [0, 4], only", "only: [0, 1, 4]", "only a choice or a reference", "leave"),
    ("many that is no yes", "many: true }\n      triggers", "many: sure }\n      triggers", "attacks: {", "'sure' is no bool", "mend"),
    ("a list as key", "key: [attack, day]", "key: [attacks, day]", "key: [attack, day]", "'attacks' is a list", "one value"),
    ("a list of system and value as key", "key: [attack_id]", "key: [codes]", "key: [attack_id]", "'codes' is a list", "one value"),
    ("'with' no field", "with: [device]", "with: [devise]", "puffs:", "no other field of diary 'devise'", "device"),
    ("'with' itself", "with: [device]", "with: [puffs]", "puffs:", "no other field of diary 'puffs'", "use one of"),
    ("'with' no list", "with: [device]", "with: device", "puffs:", "'with' is no list", "[field]"),
    ("'with' nothing", "with: [device]", "with: []", "puffs:", "'with' is no list", "[field]"),
    ("'with' a field that says no words", "with: { age_form: [toddler] }", "with: { device: [x] }", "nap: {", "no choice of device 'x'", "use one of"),
    ("'with' no word of a field", "with: { age_form: [toddler] }", "with: { age_form: [todler] }", "nap: {", "no choice of age_form 'todler'", "did you mean 'toddler'"),
    ("'with' words of no field", "with: { age_form: [toddler] }", "with: { age_from: [toddler] }", "nap: {", "no other field of diary 'age_from'", "age_form"),
    ("'with' no list of words", "with: { age_form: [toddler] }", "with: { age_form: toddler }", "nap: {", "gives a field no list of words", "{ field: [word] }"),
    ("'among' by no field", "among: { age_form:", "among: { age_from:", "sleep: {", "no other field of diary 'age_from'", "age_form"),
    ("'among' by no word", "toddler: [cot, bed]", "baby: [cot, bed]", "sleep: {", "no choice of age_form 'baby'", "use one of"),
    ("'among' no word of its own", "[bed, tent]", "[bed, tents]", "sleep: {", "the word 'tents', which is no choice", "take it from"),
    ("'among' a list", "among: { age_form: { toddler: [cot, bed], pupil: [bed, tent] } }", "among: [cot]", "sleep: {", "no field with lists of words", "write { field"),
    ("'among' of no choice", "nap: { type: boolean", "nap: { type: boolean, among: { age_form: { pupil: [x] } }", "nap: {", "belongs to a single choice", "leave it out"),
    ("'after' no field", "after: day", "after: night_", "until:", "no other field of diary 'night_'", "did you mean"),
    ("'after' itself", "after: day", "after: until", "until:", "no other field of diary 'until'", "use one of"),
    ("'after' no date", "after: day", "after: night", "until:", "'night' is no date", "name a date"),
    ("a number 'after'", "nap: { type: boolean", "nap: { type: boolean, after: day", "nap: {", "belong to dates", "leave them out"),
    ("a precision", "precision: second", "precision: hour", "woken:", "'hour' is not known", "day or second"),
    ("a precision of a number", "nap: { type: boolean", "nap: { type: boolean, precision: day", "nap: {", "belong to dates", "leave them out"),
    ("a precision that is a list", "precision: second", "precision: [day]", "woken:", "is no str", "mend"),
    ("a total of no field", "of: [worry_a, worry_b]", "of: [worry_a, worry_c]", "worry: {", "no other field of diary 'worry_c'", "did you mean"),
    ("a total of itself", "of: [worry_a, worry_b]", "of: [worry_a, worry]", "worry: {", "no other field of diary 'worry'", "did you mean"),
    ("a total of one twice", "of: [worry_a, worry_b]", "of: [worry_a, worry_a]", "worry: {", "no list of different fields", "of: [fields]"),
    ("a total of nothing", "of: [worry_a, worry_b]", "of: []", "worry: {", "no list of different fields", "of: [fields]"),
    ("a total of words", "of: [worry_a, worry_b]", "of: [worry_a, device]", "worry: {", "'device' is no number", "leave it out"),
    ("a total that is a text", "worry: { type: decimal, range: [0, 2]", "worry: { type: text", "worry: {", "a total is an integer or decimal", "type"),
    ("a total that is a list", "total: { of: [worry_a, worry_b] }", "total: [worry_a, worry_b]", "worry: {", "words of, alone and by", "{ of: [fields] }"),
    ("a total of nothing said", "total: { of: [worry_a, worry_b] }", "total: { alone: true }", "worry: {", "'of' fields, or 'by'", "keep one"),
    ("a word of a total", "total: { of:", "total: { off: [x], of:", "worry: {", "words of, alone and by", "write"),
    ("a total alone that is no yes", "alone: true } }", "alone: maybe } }", "sum: {", "alone: is true or false", "mend"),
    ("a total by no word", "toddler: [night, play]", "baby: [night, play]", "sum: {", "no choice of age_form 'baby'", "use one of"),
    ("a total by a list", "by: { age_form: { toddler: [night, play], pupil: [night, sport] } }", "by: [age_form]", "sum: {", "'by' is no field", "by: { field"),
    ("a total by a field that it may lack", "with: [age_form], ", "", "sum: {", "by a field that it may be without", "'with'"),
    ("a total by a number", "by: { age_form:", "by: { night:", "sum: {", "by a field that it may be without", "'with'"),
    ("'only' outside the range", "only: [0, 1, 4]", "only: [0, 5]", "grade: {", "outside the range", "correct"),
    ("'only' twice", "only: [0, 1, 4]", "only: [0, 0]", "grade: {", "different numbers", "[0, 1, 3]"),
    ("'only' of words", "only: [0, 1, 4]", "only: [a]", "grade: {", "different numbers", "[0, 1, 3]"),
    ("'only' of a text", "device: { type: text", "device: { type: text, only: [1]", "device: {", "of an integer or decimal", "[0, 1, 3]"),
    ("a step of 0", "step: 2.5", "step: 0", "flow: {", "a number above 0", "step: 10"),
    ("a step of a word", "step: 2.5", "step: two", "flow: {", "a number above 0", "step: 10"),
    ("a step without end", "step: 2.5", "step: .inf", "flow: {", "a number above 0", "step: 10"),
    ("a range without end", "range: [0, 4], only", "range: [0, .inf], only", "only: [0, 1, 4]", "a range is two numbers", "[low, high]"),
    ("'only' no number", "only: [0, 1, 4]", "only: [0, 1, .nan]", "only: [0, 1, 4]", "a list of different numbers", "write"),
    ("'among' of choices that are no list", "choices: [cot, bed, tent]", "choices: 5", "sleep: {", "choices belong to", "a list of words"),
    ("'among' of choices that are no words", "choices: [cot, bed, tent]", "choices: [[cot]]", "sleep: {", "is no word", "put it in quotes"),
    ("a total by a word, with no list", "with: [age_form], total", "with: 5, total", "sum: {", "'with' is no list", "[field]"),
    ("a step and only", "step: 2.5", "step: 2.5, only: [5]", "flow: {", "both say which", "keep one"),
    ("a pattern of a number", "range: [0, 4], only", 'pattern: "[0-9]", range: [0, 4], only', "grade: {", "a pattern belongs to the type 'text'", "leave"),
    ("a pattern with a group", PATTERN, '"([A-Z]+)+"', "school:", "not a safe one", "no ( )"),
    ("a pattern with alternatives", PATTERN, '"a|b"', "school:", "not a safe one", "no |"),
    ("a pattern with three varying parts", PATTERN, '"a*b*c*"', "school:", "not a safe one", "at most two"),
    ("a pattern that refers back", PATTERN, '"a\\\\1"', "school:", "not a safe one", "use characters"),
    ("a pattern that looks ahead", PATTERN, '"(?=a)"', "school:", "not a safe one", "use characters"),
    ("a pattern that repeats a repetition", PATTERN, '"a{2}{3}"', "school:", "not a safe one", "use characters"),
    ("a pattern with a lazy length", PATTERN, '"a+?"', "school:", "not a safe one", "use characters"),
    ("a pattern with an anchor", PATTERN, '"^a$"', "school:", "not a safe one", "use characters"),
    ("a pattern of nothing", PATTERN, '""', "school:", "not a safe one", "use characters"),
    ("a pattern of a number of YAML", PATTERN, "5", "school:", "not a safe one", "use characters"),
    ("a set of sets", PATTERN, '"[a--b]"', "school:", "not a safe one", "use characters"),
    ("a set the wrong way", PATTERN, '"[z-a]"', "school:", "no regular expression", "mend"),
    ("a length the wrong way", PATTERN, '"a{3,2}"', "school:", "no regular expression", "mend"),
    ("a MID without source", "value: 1.5, source: made up", "value: 1.5", "breath: {", "needs its source", "published"),
    ("a MID with an empty source", "value: 1.5, source: made up", 'value: 1.5, source: " "', "breath: {", "needs its source", "published"),
    ("a MID with a sign", "value: 1.5", "value: -1.5", "breath: {", "no size above 0", "without sign"),
    ("a MID of a word", "value: 1.5", "value: large", "breath: {", "no size above 0", "without sign"),
    ("a MID without value", "value: 1.5, ", "", "breath: {", "no size above 0", "without sign"),
    ("a MID that is a number", "mid: { value: 1.5, source: made up, note: for tests }", "mid: 1.5", "breath: {", "value, source and note", "write {"),
    ("a word of a MID", "note: for tests", "notes: for tests", "breath: {", "value, source and note", "write {"),
    ("a MID without direction", "better: lower, ", "", "breath: {", "a number with a direction", "'better'"),
    ("a MID of a text", "breath: { type: integer, range: [0, 10]", "breath: { type: text", "breath: {", "a number with a direction", "'better'"),
    ("no instrument", "instrument: diary", "instrument: dairy", "breath: {", "no instrument 'dairy'", "did you mean 'diary'"),
    ("a pick at no visit", "pick: { before: last }", "pick: { befor: last }", "breath: {", "no visit 'befor'", "did you mean 'before'"),
    ("a pick of nothing known", "pick: { before: last }", "pick: { before: best }", "breath: {", "which candidate it takes", "last"),
    ("a pick that is a word", "pick: { before: last }", "pick: last", "breath: {", "which candidate it takes", "last"),
    ("an instrument without title", 'title: Wheeze diary, version: "2"', 'version: "2"', "  diary: { title", "has no title", "text"),
    ("an instrument's number", 'version: "2"', "version: 2", "  diary: { title", "2 is no text", "quotes"),
    ("a word of an instrument", 'version: "2"', 'edition: "2"', "  diary: { title", "'edition' is not known", "use one of"),
    ("no instruments", '  diary: { title: Wheeze diary, version: "2", source: made up, licence: none }\n', "", "instruments:", "no instruments", "leave it out"),
    ("an anchor in no form", "form: attack", "form: atack", "anchor:", "no form 'atack'", "did you mean"),
    ("an anchor at no field", "field: began_on", "field: began", "anchor:", "no field of attack 'began'", "did you mean"),
    ("an anchor that is no date", "field: began_on", "field: severity", "anchor:", "'severity' is a choice", "date or datetime"),
    ("an anchor where nothing says yes", "where: first", "where: severity", "anchor:", "'severity' is a choice", "boolean"),
    ("a word of the anchor", "where: first", "were: first", "anchor:", "'were' is not known", "where"),
    ("no anchor", "  anchor: { form: attack, field: began_on, where: first }\n", "", "visits:", "no anchor", "'form'"),
    ("windows that overlap", "window: [3, 10]", "window: [3, 11]", "late: {", "'after' and 'late' overlap", "one visit"),
    ("windows one in another", "window: [11, 60]", "window: [4, 60]", "late: {", "'after' and 'late' overlap", "one visit"),
    ("a window the wrong way", "window: [3, 10]", "window: [10, 3]", "after: {", "a target day inside", "write {"),
    ("a target outside", "target: 7", "target: 11", "after: {", "a target day inside", "write {"),
    ("half a day", "target: 7", "target: 7.5", "after: {", "a target day inside", "write {"),
    ("a window of one day", "window: [3, 10]", "window: [3]", "after: {", "a target day inside", "write {"),
    ("a visit without target", "target: 7, ", "", "after: {", "a target day inside", "write {"),
    ("a word of a visit", "target: 7,", "target: 7, about: 2,", "after: {", "a target day inside", "write {"),
    ("'else' that is a visit", "else: other", "else: late", "else:", "no name of its own", "unscheduled"),
    ("no 'else'", "  else: other\n", "", "visits:", "no name of its own", "unscheduled"),
    ("a word of the visits", "  else: other", "  else: other\n  rest: x", "outcomes:", "'rest' is not known", "use one of"),
    ("an outcome that is no field", "[diary.breath]", "[diary.breth]", "primary:", "no field 'diary.breth'", "did you mean 'diary.breath'"),
    ("an outcome without its form", "[diary.breath]", "[breath]", "primary:", "no field 'breath'", "diary.breath"),
    ("outcomes that are no list", "[diary.breath]", "diary.breath", "primary:", "no list of different fields", "[form.field]"),
    ("outcomes from no visit", "from: before", "from: begin", "from:", "no visit 'begin'", "use one of"),
    ("outcomes to no visit", "to: late", "to: never", "to: late", "no visit 'never'", "use one of"),
    ("outcomes without an end", "  to: late\n", "", "outcomes:", "no visit 'None'", "use one of"),
    ("a word of the outcomes", "  from: before", "  since: before", "from:", "'since' is not known", "use one of"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "word", "cause", "remedy"), [r[1:] for r in FAULTS], ids=[r[0] for r in FAULTS]
)
def test_a_fault_is_told_with_file_and_line(
    old: str, new: str, word: str, cause: str, remedy: str
) -> None:
    assert TEXT.count(old) >= 1
    with pytest.raises(BridgeError) as told:
        definition.load(TEXT.replace(old, new, 1))
    fitting = [i for i in told.value.issues if cause in i.cause and remedy in i.remedy]
    assert [issue.place for issue in fitting] == [f"study.yaml:{line(word)}"], [
        issue.sentence() for issue in told.value.issues
    ]
    assert all(issue.category == "configuration" for issue in told.value.issues)


def test_the_words_are_read_as_they_were_meant() -> None:
    diary = STUDY.forms["diary"].fields
    by = (("toddler", ("night", "play")), ("pupil", ("night", "sport")))
    assert diary["sum"].total == Total(by="age_form", lists=by, alone=True)
    assert diary["sum"].with_ == ("age_form",)
    assert diary["worry"].total == Total(of=("worry_a", "worry_b"))
    assert diary["grade"].only == (Decimal(0), Decimal(1), Decimal(4))
    assert diary["flow"].step == Decimal("2.5")
    assert (diary["attacks"].to, diary["attacks"].many) == ("attack", True)
    assert STUDY.instruments["diary"].version == "2"
    assert STUDY.visits is not None
    assert STUDY.visits.schedule["late"] == Window(30, 11, 60)
    assert (STUDY.visits.anchor.where, STUDY.visits.otherwise) == ("first", "other")
    assert STUDY.outcomes.primary == ("diary.breath",)
    assert (STUDY.outcomes.start, STUDY.outcomes.end) == ("before", "late")


def test_a_study_may_have_neither_instruments_nor_visits_nor_outcomes() -> None:
    bare = "id: a\ntitle: b\ncanonical: c\nforms: { f: { fields: { x: { type: text } } } }\n"
    study = definition.load(bare)
    assert (dict(study.instruments), study.visits, study.outcomes.primary) == ({}, None, ())


def test_definitions_are_values_that_compare_and_cannot_change() -> None:
    again = definition.load(TEXT)
    assert again == STUDY
    assert hash(again.forms["diary"].fields["sum"]) == hash(STUDY.forms["diary"].fields["sum"])
    with pytest.raises(AttributeError):
        STUDY.forms["diary"].fields["sum"].name = "other"  # type: ignore[misc]
