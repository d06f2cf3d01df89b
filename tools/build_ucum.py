"""Writes fhirbridge/fhir/ucum.json, the unit codes of UCUM, from UCUM's own ucum-essence.xml.

Usage: python -m tools.build_ucum ESSENCE, the file that https://ucum.org publishes beside the
specification.
Takes case-sensitive codes of prefixes and units only, no names and no values.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tools.build_r4 import TARGET, render

UCUM = TARGET.with_name("ucum.json")


def build(essence: str) -> dict[str, Any]:
    """The content of ucum.json: header, prefixes, units with prefix, units without."""
    root = ElementTree.fromstring(essence)
    found: dict[str, list[str]] = {"prefixes": [], "metric": [], "plain": []}
    for element in root.iter():
        kind = element.tag.rpartition("}")[2]
        if kind == "prefix":
            found["prefixes"].append(element.attrib["Code"])
        elif kind == "base-unit" or (kind == "unit" and element.get("isMetric") == "yes"):
            found["metric"].append(element.attrib["Code"])
        elif kind == "unit" and "Code" in element.attrib and "isMetric" in element.attrib:
            found["plain"].append(element.attrib["Code"])
    header = {
        "source": f"UCUM essence {root.attrib['version']}",
        "licence": "UCUM licence, https://ucum.org/license; copyright Regenstrief Institute, Inc.",
        "note": "codes of units, made by tools/build_ucum.py; do not edit",
    }
    return {"header": header, **found}


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: build_ucum.py ESSENCE", file=sys.stderr)
        return 2
    text = render(build(Path(arguments[0]).read_text(encoding="utf-8")))
    UCUM.write_text(text, encoding="utf-8")
    print(f"{UCUM.name}: {len(text.encode())} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
