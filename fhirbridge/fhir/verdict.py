"""The fast verdict: accepts a resource, or says nothing. Compiled from the judge's own data.

`accepts` is True only where `validate` finds no error. Every type becomes one Python function at
first use; `source` shows it. What is not compiled is not accepted, and left to `validate`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from fhirbridge.fhir import (
    compile_profile,
    compile_shape,
    definitions,
    packages,
    primitives,
    profiles,
    quick,
    references,
    vital_signs,
)
from fhirbridge.fhir.compile_unit import Unit, identifier
from fhirbridge.fhir.quick import Around
from fhirbridge.fhir.quick_memory import Memory
from fhirbridge.fhir.surroundings import Entries, Target
from fhirbridge.fhir.validate import validate
from fhirbridge.outcome import Issue


def accepts(resource: Mapping[str, Any], *, profiles: Sequence[str] = ()) -> bool:
    """True: no error, by R4, its profiles and those given. False: no, or not decided here."""
    return type(resource) is dict and _program().accepts(resource, profiles)


def judge(resource: Mapping[str, Any], *, profiles: Sequence[str] = ()) -> list[Issue]:
    """The issues as `validate` tells them; of an accepted resource none, not even advice."""
    if accepts(resource, profiles=profiles):
        return []
    return validate(resource, profiles=profiles)


def source(key: str) -> str:
    """The Python of one function: of a type, a backbone path, or a profile's or extension's URL."""
    return _unit(key).text


def constants(key: str) -> Mapping[str, Any]:
    """What the names in the source mean; None: a function of the running judge."""
    return _unit(key).constants


@cache
def _program() -> _Program:
    return _Program()


def _unit(key: str) -> Unit:
    return compile_profile.write(key) if ":" in key else compile_shape.write(key)


class _Program:
    """The functions compiled so far; one that is called for the first time is compiled then."""

    __slots__ = ("extensions", "functions", "names", "profiles", "types")

    def __init__(self) -> None:
        memory = Memory()
        learn = (memory.new_uri, memory.new_day, memory.new_coding, memory.right_alone)
        own = (self.held, self.whole, self.fits, self.fits_inside, self.aims, *learn)
        self.names: dict[str, Any] = {f.__name__: f for f in own}  # globals of what is compiled
        self.names["seen_uris"] = memory.uris
        self.names["seen_days"] = memory.days
        self.names["seen_codings"] = memory.codings
        self.types = definitions.resource_types()
        self.extensions = _known_extensions()
        self.profiles = definitions.content("profiles.json")["profiles"]
        self.functions: dict[str, Callable[[Any, Around], bool]] = {}  # by key

    def function(self, key: str) -> Callable[[Any, Around], bool]:
        found = self.functions.get(key)
        if found is None:
            name = identifier(key)
            found = self.functions[key] = self.names[name] = self._first_call(key, name)
        return found

    def _first_call(self, key: str, name: str) -> Callable[[Any, Around], bool]:
        def compile_and_call(value: Any, s: Around) -> bool:
            self._link(_unit(key), key)
            self.functions[key] = self.names[name]
            return self.functions[key](value, s)

        return compile_and_call

    def _link(self, unit: Unit, key: str) -> None:
        for callee in unit.callees.values():
            self.function(callee)
        for name, value in unit.constants.items():
            if self.names.setdefault(name, value) != value and value is not None:
                raise ValueError(f"{name} means two things")
        exec(compile(unit.text, f"<verdict of {key}>", "exec"), self.names)

    # -- resources

    def accepts(self, resource: dict[str, Any], profiles: Sequence[str]) -> bool:
        """`whole`, in fewer steps for what stands alone and contains nothing."""
        name = resource.get("resourceType")
        if type(name) is not str or name == "Bundle" or "contained" in resource:
            return self.whole(resource, None, profiles)
        check = self.functions.get(name)
        if check is None:
            return self.whole(resource, None, profiles)
        s = Around(resource, None, None)
        return check(resource, s) and self.claimed(resource, s, profiles)

    def whole(
        self, resource: Any, around: Around | None = None, profiles: Sequence[str] = ()
    ) -> bool:
        """A resource by itself or in a Bundle's entry, with what it contains."""
        if type(resource) is not dict:
            return False
        entries = None if around is None else around.entries
        if resource.get("resourceType") == "Bundle":
            entries = Entries(resource)
        s = Around(resource, entries, around)
        if s.nest > quick.DEEPEST_NEST or not self.body(resource, s, profiles):
            return False
        return "contained" not in resource or quick.referred_to(resource, s)

    def body(self, resource: Any, s: Around, profiles: Sequence[str] = ()) -> bool:
        name = resource.get("resourceType")
        if type(name) is not str or name not in self.types:
            return False
        return self.sound(resource, name, s) and self.claimed(resource, s, profiles)

    def sound(self, resource: Mapping[str, Any], name: str, s: Around) -> bool:
        """By the base specification; a resource that is met again while it is judged is refused."""
        if s.entries is None and not s.contained:
            return (self.functions.get(name) or self.function(name))(resource, s)
        key = (id(resource), "")
        s.conforming[key] = False
        s.conforming[key] = self.function(name)(resource, s)
        return s.conforming[key]

    def held(self, resource: Any, s: Around) -> bool:
        return type(resource) is dict and quick.held(resource, self.body, s)

    # -- profiles

    def claimed(self, resource: Mapping[str, Any], s: Around, asked: Sequence[str]) -> bool:
        """The profiles asked for, claimed, or of a vital sign."""
        wanted = [*asked, *resource["meta"].get("profile", ())] if "meta" in resource else [*asked]
        kind = resource["resourceType"]
        if kind == "Observation" and _may_be_vital(resource):
            wanted.append(vital_signs.profile(resource))
        elif kind == "CareTeam" and _may_break_ctm_1(resource, s):
            return False
        if len(wanted) < 2:
            return not wanted or not wanted[0] or self.conforms(resource, wanted[0], s)
        wanted = [*dict.fromkeys(wanted)]
        return all(self.conforms(resource, url, s) for url in wanted if url)

    def conforms(self, resource: Mapping[str, Any], url: str, s: Around) -> bool:
        """By a profile of the resource's own type; one that is not known is only warned of."""
        told = self.profiles.get(url) or packages.profile(url)
        if told is None:
            return packages.claimed_type(url) in ("", resource["resourceType"])
        if told["type"] != resource["resourceType"]:
            return False
        bare = url.partition("|")[0]
        return (self.functions.get(bare) or self.function(bare))(resource, s)

    def aims(
        self, reference: Mapping[str, Any], types: frozenset[str], urls: Sequence[str], s: Around
    ) -> bool:
        """A Reference means a resource of the types; of the profiles, where it is at hand."""
        text = reference.get("reference", "")
        if s.entries is None and (not text or (types and quick.plain_reference(types)(text))):
            return True  # elsewhere
        found = s.surroundings.resolve(text)
        if found is None:
            parts = references.literal(text)
            return not parts or not types or parts.type in types
        kind = found.resource.get("resourceType")
        if type(kind) is not str or kind not in (types or definitions.resource_types()):
            return False
        return any(self.is_target(found, url, s) for url in urls)

    def is_target(self, found: Target, url: str, s: Around) -> bool:
        """As Profiler.conforms: a circle of references closes well."""
        told, kind = packages.profile(url), str(found.resource.get("resourceType"))
        if told is None:
            return not url.startswith(profiles.BASE) or profiles.target_type(url) in ("", kind)
        if told["type"] != kind:
            return False
        known, within = s.conforming, found.around
        other = Around(within.root, within.entries, s)
        if (id(found.resource), "") not in known:
            self.sound(found.resource, kind, other)
        if not known.get((id(found.resource), "")) or other.nest > quick.DEEPEST_NEST:
            return False
        key = (id(found.resource), url)
        if key not in known:
            known[key] = True
            known[key] = self.function(url)(found.resource, other)
        return known[key]

    # -- extensions

    def fits(
        self, extension: Mapping[str, Any], places: quick.Places, modifier: bool, s: Around
    ) -> bool:
        """An extension with an absolute URL, in its place, as its definition says."""
        url = extension.get("url")
        if url is None:
            return False
        known = self.extensions.get(url)
        if known is None:
            known_uri = url in self.names["seen_uris"] or primitives.is_absolute(url)
            return known_uri and "|" not in url
        contexts, is_modifier = known
        if is_modifier != modifier or (contexts is not None and contexts.isdisjoint(places)):
            return False
        return (self.functions.get(url) or self.function(url))(extension, s)

    def fits_inside(self, part: Mapping[str, Any], whole: Mapping[str, Any], s: Around) -> bool:
        """A part of an extension, which may be an extension in its own right."""
        url = part.get("url")
        if url is None or url.isalpha() or not primitives.is_absolute(url):
            return True
        return self.fits(part, ("Extension", whole.get("url", "")), False, s)


_VITAL_CODES = frozenset(code for _, code in vital_signs.PROFILES)


def _may_be_vital(observation: Mapping[str, Any]) -> bool:
    concept = observation["code"]
    if "coding" in concept:
        for coding in concept["coding"]:
            if "code" in coding and coding["code"] in _VITAL_CODES:
                return True
    return False


def _may_break_ctm_1(team: Mapping[str, Any], s: Around) -> bool:
    """Somebody takes part on behalf of an organization, and it may be seen here who."""
    seen = s.entries is not None or "contained" in s.root
    return seen and any("onBehalfOf" in one for one in team.get("participant", ()))


def _known_extensions() -> Mapping[str, tuple[frozenset[str] | None, bool]]:
    """Url -> where an extension may stand (None: anywhere, as far as is judged), and a modifier."""
    return {
        url: (_contexts(told["context"]), bool(told.get("modifier")))
        for url, told in packages.extensions().items()
    }


def _contexts(told: Sequence[Sequence[str]]) -> frozenset[str] | None:
    if any(kind == "fhirpath" or where in ("Any", "Element") for kind, where in told):
        return None
    return frozenset(where for _, where in told)
