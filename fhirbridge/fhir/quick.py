"""What the compiled judge asks of values: first the usual case, then the slow pass's own test.

Every function here is True only where the slow pass finds no error; False may mean "not decided".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from functools import cache, lru_cache, partial
from math import isfinite
from typing import Any

from fhirbridge.fhir import bundle_rules, codings, contained, packages, primitives, references
from fhirbridge.fhir.surroundings import Entries, Resource, Surroundings, check_target
from fhirbridge.outcome import failed

DEEPEST_NEST = 5  # of what can hold itself; each such level is at most ten of the slow pass's

_DAY = (
    r"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)"
    r"|(?:0[13578]|1[02])-31)"  # 29 February takes the long way
)
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?"
_ZONE = r"(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9])"

usual_id = re.compile(r"[A-Za-z0-9.\-]{1,64}").fullmatch
usual_uri = re.compile(
    r"https?:[!-~]+|urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
).fullmatch
usual_link = re.compile(
    r"https?:[!-~]+|[A-Za-z][A-Za-z0-9\-]*|urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
).fullmatch
usual_date = re.compile(rf"(?!0000)[0-9]{{4}}-(?:{_DAY}|0[1-9]|1[0-2])").fullmatch
usual_moment = re.compile(rf"(?!0000)[0-9]{{4}}-{_DAY}T{_CLOCK}{_ZONE}").fullmatch
usual_date_or_moment = re.compile(
    rf"(?!0000)[0-9]{{4}}-(?:{_DAY}(?:T{_CLOCK}{_ZONE})?|0[1-9]|1[0-2])"
).fullmatch


@cache
def plain_reference(types: frozenset[str]) -> Callable[[str], object]:
    """Matches what is surely a RESTful reference to one of the types; to any, where there is none.

    >>> bool(plain_reference(frozenset(("Patient",)))("https://example.org/fhir/Patient/1"))
    True
    """
    told = "|".join(sorted(types)) or "[A-Za-z]+"
    return re.compile(rf"(?:https?://[^\s?]*/)?(?:{told})/[A-Za-z0-9.\-]+").fullmatch


class Around:
    """What surrounds an object: the state of one pass over a resource and what it contains."""

    __slots__ = (
        "_surroundings", "anchors", "conforming", "contained", "entries", "ids", "inside", "nest",
        "root",
    )  # fmt: skip

    def __init__(self, root: Resource, entries: Entries | None, above: Around | None) -> None:
        self.root = root
        self.entries = entries
        self._surroundings: Surroundings | None = None
        self.contained = contained.types(root) if "contained" in root else {}
        # Id of a referenced resource and profile -> as profiles.seen.
        self.conforming: dict[tuple[int, str], bool] = {} if above is None else above.conforming
        self.nest: int = 0 if above is None else above.nest + 1  # how deep in what can hold itself
        self.anchors: list[str] = []
        self.inside = False
        self.ids: set[str] = set()

    @property
    def surroundings(self) -> Surroundings:
        if self._surroundings is None:
            self._surroundings = Surroundings(self.root, self.entries)
        return self._surroundings


Check = Callable[[Any, Around], bool]
Places = Collection[str]
Fits = Callable[[Mapping[str, Any], Places, bool, Around], bool]
"""An extension, the contexts that fit its place, whether it is a modifier: as its definition."""


# -- primitive values


def anchored(kind: str, text: str, s: Around) -> bool:
    """A uri, url or canonical that is not usual; `#…` is remembered, for dom-3."""
    if not text or not primitives.well_formed(kind, text):
        return False
    if text[0] == "#":
        s.anchors.append(text)
    return True


def absolute(text: str, s: Around) -> bool:
    return primitives.is_absolute(text) and anchored("uri", text, s)


def number(value: Any) -> bool:
    """A decimal; from JSON it comes as int or Decimal."""
    kind = type(value)
    if kind is Decimal:
        return bool(value.is_finite())
    return kind is int or (kind is float and isfinite(value))


def beside(
    shadow: Any,
    s: Around,
    *,
    element: Check,
    has_value: bool,
    fits: Fits,
    places: Places,
    is_bound: bool,
) -> bool:
    """`_name` next to `name`, or in its place: then it has extensions, and no set wants a code."""
    if type(shadow) is not dict or not element(shadow, s):
        return False
    for one in shadow.get("extension", ()):
        if not fits(one, places, False, s):
            return False
    return has_value or ("extension" in shadow and not is_bound)


def beside_all(
    shadows: Any,
    values: Any,
    s: Around,
    *,
    element: Check,
    fits: Fits,
    places: Places,
    is_bound: bool,
) -> bool:
    """The same of a list, in which null stands for what is only on the other side."""
    told = partial(beside, element=element, fits=fits, places=places, is_bound=is_bound)
    values = [] if values is None else values
    if type(shadows) is not list or not shadows or type(values) is not list:
        return False
    shadows = shadows + [None] * (len(values) - len(shadows))
    values = values + [None] * (len(shadows) - len(values))
    for value, shadow in zip(values, shadows, strict=True):
        is_given = value is not None
        if not (is_given and shadow is None) and not told(shadow, s, has_value=is_given):
            return False
    return True


# -- objects


def element_id(given: Any, one: Mapping[str, Any], s: Around) -> bool:
    """The id of an object that has more than an id, and no other has it."""
    if type(given) is not str or not given or given in s.ids or len(one) == 1:
        return False
    s.ids.add(given)
    return True


def element_id_again(given: Any, one: Mapping[str, Any], s: Around) -> bool:
    """The id where the same may come twice: ElementDefinition in snapshot and differential."""
    return type(given) is str and bool(given) and len(one) > 1


def shadow_id(given: Any, one: Mapping[str, Any], s: Around) -> bool:
    """The id beside a primitive."""
    return type(given) is str and bool(given)


def one_type_each(names: Iterable[str], choices: Mapping[str, tuple[str, str]]) -> bool:
    """No choice is given in two types; `choices` is name or `_name` -> the choice, the name."""
    seen: dict[str, str] = {}
    for one in names:
        if one in choices:
            choice, name = choices[one]
            if seen.setdefault(choice, name) != name:
                return False
    return True


def points(one: Mapping[str, Any], targets: frozenset[str], s: Around) -> bool:
    """A Reference's text and type fit the targets of its element; none: any resource type."""
    if "reference" not in one:
        return True  # its type is a hint for whoever looks up the identifier
    text = one["reference"]
    if "type" not in one:
        if plain_reference(targets)(text):
            return True
        if "/" not in text and text[:1] != "#" and s.entries is None:
            return primitives.BLANK.search(text) is None
    if text[:1] == "#":
        s.anchors.append(text)
    elif s.entries is not None and failed(check_target(one, targets, s.surroundings, "")):
        return False
    told = references.check(one, targets, path="", contained=s.contained, inside=s.inside)
    return not failed(told)


def in_set(concept: Mapping[str, Any], systems: Mapping[str, Collection[str]]) -> bool:
    """A coding of the concept is in the required set."""
    for coding in concept.get("coding", ()):
        if coding.get("code") in systems.get(coding.get("system", ""), ()):
            return True
    return False


def in_error(concept: Mapping[str, Any]) -> bool:
    """A coding of the concept may say that it was entered in error."""
    return "entered-in-error" in [coding.get("code") for coding in concept.get("coding", ())]


def coding_in_set(coding: Mapping[str, Any], systems: Mapping[str, Collection[str]]) -> bool:
    return coding.get("code") in systems.get(coding.get("system", ""), ())


def right_code(coding: Mapping[str, Any]) -> bool:
    """The code and its display are those of the system, where its codes are known."""
    system = coding.get("system", "")
    known = _code_system(system) if len(system) < 200 else packages.code_system(system)
    if known is None:
        return True
    listed = known["codes"].get(coding.get("code"))
    if listed is not None and coding.get("display", listed) == listed:
        return True
    return not failed(codings.check(coding, ""))


def right_unit(quantity: Mapping[str, Any]) -> bool:
    """The same of a Quantity with a code."""
    return right_code(quantity) and not codings.is_value_set(quantity.get("system", ""))


_code_system = lru_cache(maxsize=512)(packages.code_system)


def deeper(check: Check, one: Any, s: Around) -> bool:
    """An object that can stand in its own like."""
    s.nest += 1
    if s.nest > DEEPEST_NEST or not check(one, s):
        return False
    s.nest -= 1
    return True


# -- resources


def sound_bundle(bundle: Mapping[str, Any]) -> bool:
    return not failed(bundle_rules.check(bundle, ""))


def held(one: Mapping[str, Any], body: Check, s: Around) -> bool:
    """A contained resource, given the judge of its body."""
    if s.inside:
        return False  # dom-2
    seen, ids = len(s.anchors), s.ids
    s.inside, s.ids = True, set()
    if not body(one, s):
        return False
    s.inside, s.ids = False, ids
    own = f"#{one.get('id')}"
    inner = [anchor for anchor in s.anchors[seen:] if anchor != own]  # not by itself
    s.anchors[seen:] = [*inner, own] if "#" in inner else inner
    return not failed(contained.check(one, ""))


def referred_to(resource: Mapping[str, Any], s: Around) -> bool:
    """Each contained resource has an id of its own that something refers to."""
    anchors = frozenset(s.anchors)
    for one in resource["contained"]:
        name = f"#{one['id']}"
        if name in s.ids or name not in anchors:
            return False
        s.ids.add(name)
    return True
