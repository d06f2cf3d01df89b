"""Python that calls an invariant of R4 only where a look at the object's names leaves it open.

The invariants themselves are those of the slow pass (fhirbridge/fhir/invariants.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from fhirbridge.fhir import definitions, quick, quick_narrative
from fhirbridge.fhir.compile_unit import Unit
from fhirbridge.fhir.invariants import INVARIANTS

_OUTCOME = '"clinicalStatus" in v and "verificationStatus" in v'

# Key -> condition on the object `v` without which the rule surely holds. A rule that is not here
# is always called. Names beside a primitive (`_code`) come to the conditions too.
MAY_BREAK: Mapping[str, str] = {
    "ait-2": _OUTCOME,
    "att-1": '"contentType" not in v',
    "att-data": '"data" in v',
    "att-hash": '"hash" in v',
    "att-size": '"size" in v',
    "cmp-2": '"emptyReason" in v',
    "con-1": '"summary" not in v',
    "con-2": '"code" not in v and "detail" not in v',
    "con-4": "not v.keys().isdisjoint(ABATEMENT)",
    "con-5": f'{_OUTCOME} and in_error(v["verificationStatus"])',
    "cpl-3": '"detail" in v and "reference" in v',
    "cpt-2": '"system" not in v',
    "drt-1": '"code" in v or "_code" in v',
    "ext-1": '"id" in v or "_url" in v or ("extension" in v) == (len(v) > 1 + ("extension" in v))',
    "lst-1": '"emptyReason" in v',
    "mdd-1": '"whenPrepared" in v and "whenHandedOver" in v',
    "obs-3": '"low" not in v and "high" not in v and "text" not in v',
    "obs-6": '"dataAbsentReason" in v',
    "obs-7": '"component" in v',
    "org-1": '"identifier" not in v and "name" not in v',
    "org-2": '"address" in v',
    "org-3": '"telecom" in v',
    "pat-1": '"name" not in v and "telecom" not in v',
    "per-1": '"start" in v and "end" in v',
    "ppc-1": '"policy" not in v and "policyRule" not in v',
    "prr-1": '"orderDetail" in v and "code" not in v',
    "qrs-1": '"answer" in v and "item" in v',
    "qty-3": '"system" not in v and ("code" in v or "_code" in v)',
    "rat-1": '"numerator" not in v or "denominator" not in v',
    "rng-2": '"low" in v and "high" in v',
    "tim-4": '"duration" in v',
    "tim-5": '"period" in v',
    "uri": 'v.get("system") == "urn:ietf:rfc:3986"',
    "url": '"url" not in v',
    "txt-1, txt-2": 'not plainly_allowed(v.get("div", ""))',
}


def rules(at: str, unit: Unit) -> None:
    """Refusals by the invariants of a type or backbone, and by those of a Bundle's entries."""
    for rule in INVARIANTS.get(at, ()):
        name = unit.constant(f"holds_{rule.key}", rule.holds)
        suspect = MAY_BREAK.get(rule.key)
        unit.refuse_if(f"({suspect}) and not {name}(v)" if suspect else f"not {name}(v)")
    if at == "Narrative":
        unit.constant("plainly_allowed", quick_narrative.plainly_allowed)
    if at == "Condition":
        unit.constant("in_error", quick.in_error)
        unit.constant("ABATEMENT", _names_of_choice(at, "abatement"))
    if at == "Bundle":
        unit.refuse_if(f"not {unit.constant('sound_bundle', quick.sound_bundle)}(v)")


def _names_of_choice(at: str, choice: str) -> frozenset[str]:
    """All that can be given of it; another name is refused before a rule is asked."""
    shape = definitions.shape(at)
    names = [e.name for e in shape.properties.values() if e.choice == choice] if shape else []
    return frozenset((*names, *(f"_{name}" for name in names)))
