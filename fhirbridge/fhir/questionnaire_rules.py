"""R4's invariants of Questionnaire, as a table, and that enableWhen asks about an item.

Follows https://hl7.org/fhir/R4/questionnaire.html; answers are not compared with their questions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from fhirbridge.fhir.datatype_rules import Rule, Value, has

_WITH_OPTIONS = frozenset(
    (
        "choice",
        "open-choice",
        "decimal",
        "integer",
        "date",
        "dateTime",
        "time",
        "string",
        "quantity",
    )
)
_WITH_LENGTH = frozenset(("boolean", "decimal", "integer", "string", "text", "url", "open-choice"))


def _items(value: Value) -> Iterator[Value]:
    for item in value.get("item", ()):
        yield item
        yield from _items(item)


def _links(value: Value) -> list[str]:
    return [item.get("linkId", "") for item in _items(value)]


def _distinct(value: Value) -> bool:
    links = _links(value)
    return len(links) == len(set(links))


def _asked(value: Value) -> bool:
    """enableWhen names another item's linkId."""
    links = set(_links(value))
    return all(
        told.get("question") in links and told.get("question") != item.get("linkId")
        for item in _items(value)
        for told in item.get("enableWhen", ())
    )


def _filled(value: Value) -> bool:
    kind = value.get("type")
    return (kind != "group" or has(value, "item")) and (kind != "display" or not has(value, "item"))


def _not_for(kinds: tuple[str, ...], *names: str) -> Callable[[Value], bool]:
    return lambda value: value.get("type") not in kinds or not has(value, *names)


def _only_for(kinds: frozenset[str], *names: str) -> Callable[[Value], bool]:
    return lambda value: value.get("type") in kinds or not has(value, *names)


def _not_both(name: str, other: str) -> Callable[[Value], bool]:
    return lambda value: not (has(value, name) and has(value, other))


def _joined(value: Value) -> bool:
    return len(value.get("enableWhen", ())) <= 2 or has(value, "enableBehavior")


def _started(value: Value) -> bool:
    return value.get("repeats") is True or len(value.get("initial", ())) <= 1


def _exists(value: Value) -> bool:
    return value.get("operator") != "exists" or "answerBoolean" in value


_NO_DISPLAY = "leave it out, or change the item's type"

QUESTIONNAIRE_RULES: Mapping[str, tuple[Rule, ...]] = {
    "Questionnaire": (
        Rule("que-2", _distinct, "two items have one linkId", "give each item its own"),
        Rule("enableWhen", _asked, "enableWhen asks about no other item", "name an item's linkId"),
    ),
    "Questionnaire.item": (
        Rule("que-1", _filled, "a group has items, a display has none", "correct type or items"),
        Rule("que-3", _not_for(("display",), "code"), "a display has a code", _NO_DISPLAY),
        Rule(
            "que-4",
            _not_both("answerOption", "answerValueSet"),
            "answerOption and answerValueSet",
            "keep one of them",
        ),
        Rule(
            "que-5",
            _only_for(_WITH_OPTIONS, "answerOption", "answerValueSet"),
            "this type of item has no listed answers",
            "leave the answers out, or change the type",
        ),
        Rule(
            "que-6",
            _not_for(("display",), "required", "repeats"),
            "a display is neither required nor repeated",
            _NO_DISPLAY,
        ),
        Rule(
            "que-8",
            _not_for(("group", "display"), "initial"),
            "a group or display has an initial value",
            _NO_DISPLAY,
        ),
        Rule("que-9", _not_for(("display",), "readOnly"), "a display is read-only", _NO_DISPLAY),
        Rule(
            "que-10",
            _only_for(_WITH_LENGTH, "maxLength"),
            "this type of item has no maxLength",
            "leave it out, or change the type",
        ),
        Rule(
            "que-11", _not_both("answerOption", "initial"), "answerOption and initial", "keep one"
        ),
        Rule("que-12", _joined, "several enableWhen without enableBehavior", "add all or any"),
        Rule("que-13", _started, "several initial values, not repeated", "keep one, or repeat"),
    ),
    "Questionnaire.item.enableWhen": (
        Rule("que-7", _exists, "exists asks for true or false", "send answerBoolean"),
    ),
}
