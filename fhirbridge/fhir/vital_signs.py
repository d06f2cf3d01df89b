"""Observations that are vital signs by their code, and the profile that R4 then asks of them.

Holds whether the profile is claimed or not (https://hl7.org/fhir/R4/observation-vitalsigns.html);
the codes beside the page's own are those that say the same measurement by another method.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fhirbridge.fhir.profile_invariants import SNOMED

LOINC = "http://loinc.org"
_PROFILE = "http://hl7.org/fhir/StructureDefinition/"

_LOINC_CODES = {
    "vitalspanel": "85353-1",
    "resprate": "9279-1 76170-0 76172-6 76171-8 19840-8 33438-3 76270-8 11291-2",
    "heartrate": """8867-4 8889-8 8890-6 8891-4 8892-2 8893-0 40443-4 55425-3 68999-2 11328-2
        69000-8 60978-4 73795-7 73799-9 76476-1 76477-9 8886-4""",
    "oxygensat": """2708-6 19224-5 20564-1 2709-4 2710-2 2713-6 51733-4 59408-5 59417-6 89276-0
        97549-0""",
    "bodytemp": """8310-5 60834-9 60835-6 60836-4 60838-0 60955-2 61009-7 75539-7 75987-8 76010-8
        76011-6 76278-1 8309-7 8328-7 8329-5 8330-3 8331-1 8332-9 8333-7 8334-5 91371-5 98657-0
        98663-8""",
    "bodyheight": "8302-2 3137-7 3138-5 8306-3 8308-9",
    "headcircum": "9843-4 8287-5",
    "bodyweight": "29463-7 3141-9 3142-7 75292-3 79348-9 8350-1 8351-9",
    "bmi": "39156-5 59574-4 89270-3",
    "bp": "85354-9 35094-2 8459-0 76534-7 55284-4 8480-6",
}
_SNOMED_CODES = {
    "vitalspanel": "46680005",
    "resprate": "86290005 271625008 271306003",
    "heartrate": """249043002 444981005 399017001 251670001 429525003 429614003""",
    "oxygensat": "442476006 431314004",
    "bodytemp": """386725007 276885007 300076005 1222808002 364246006 307047009 708499008 431598003
        698831002 698832009 415882003 415974002 415929009 415945006""",
    "bodyheight": """1153637007 1162419008 50373000 1162418000 1230278008 1162392001 1162417005""",
    "headcircum": "363812007 169876006 1269262007 363811000",
    "bodyweight": "735395000 425024002 424927000 784399000 1162416001 1162415002",
    "bmi": "60621009",
    "bp": """251076008 163033001 163035008 386534000 386536003 271649006 271650006 407556006
        407554009 716579001 399304008""",
}

PROFILES: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        (system, code): f"{_PROFILE}{name}"
        for system, table in ((LOINC, _LOINC_CODES), (SNOMED, _SNOMED_CODES))
        for name, codes in table.items()
        for code in codes.split()
    }
)
"""(system, code) of Observation.code -> URL of the vital sign's profile."""


_ORDER = {url: place for place, url in enumerate(dict.fromkeys(PROFILES.values()))}


def profile(observation: Mapping[str, Any]) -> str:
    """The profile that the codes of the Observation ask for, of several the first; "": none.

    >>> profile({"code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]}})
    'http://hl7.org/fhir/StructureDefinition/bodyweight'
    """
    codings = observation.get("code", {}).get("coding", ())
    found = (PROFILES.get((c.get("system", ""), c.get("code", ""))) for c in codings)
    return min((url for url in found if url), key=_ORDER.__getitem__, default="")
