"""Source that reads a field of several values from the items of one list, in a generated
function.
"""

from __future__ import annotations

from dataclasses import replace

from fhirbridge.fhir import definitions
from fhirbridge.mapping import compile_read
from fhirbridge.mapping.codecs import Codec, Codings, Ids
from fhirbridge.mapping.compile_place import Unclear
from fhirbridge.mapping.compile_reach import Reach
from fhirbridge.mapping.compile_source import Source
from fhirbridge.mapping.path import Selector, Step
from fhirbridge.mapping.read_row import Trace
from fhirbridge.mapping.spec import Row


def write(row: Row, reach: Reach, out: Source) -> None:
    """Leaves all values in `x`, None where there is none, and their trace in `t`; returns None
    where an item is not usual."""
    reading = row.first
    steps = reading.path.steps
    number = max((n for n, step in enumerate(steps) if step.is_list), default=-1)
    selector = steps[number].selector
    primitive = definitions.primitive(reading.path.type)
    if number < 0 or primitive or row.borrowed or (selector and selector.system is not None):
        raise Unclear
    above = reach.spot(steps[:number])
    out.add(f"found, items = [], {above.variable}.get({steps[number].name!r}, NONE)")
    out.add("if type(items) is not list:", "    return None")
    with out.block("for v in items:"):
        _item(selector, steps[number + 1 :], out)
        with out.block("if 'extension' in v and is_absent(v):"):
            out.add("return None")
        _value(row, reading.codec, out)
    with out.block("if found:"):
        out.add("x = tuple(found) if len(found) < 2 else tuple(dict.fromkeys(found))")
        fits = out.constant(f"fits_{row.field.name}", row.field.fits)
        out.add(f"if not {fits}(x):", "    return None")
        trace = Trace(f"{reach.root}.{reading.path.text}", reading.rule, reading.review)
        out.add(f"t = {out.constant(f'trace_{row.field.name}', trace)}")


def _item(selector: Selector | None, rest: tuple[Step, ...], out: Source) -> None:
    """From an item to the object in it that is read."""
    out.add("if type(v) is not dict:", "    return None")
    if selector is not None:
        out.add(f"if v.get({selector.key!r}) != {selector.value!r}:", "    continue")
    for step in rest:
        out.add(f"v = v.get({step.name!r})", "if type(v) is not dict:", "    return None")


def _value(row: Row, codec: Codec, out: Source) -> None:
    if isinstance(codec, Codings):
        out.add("if v.get('userSelected') is False:", "    continue")
        out.add("if not v.get('system') or not v.get('code'):", "    return None")
        out.add("found.append(identifier(v['system'], v['code']))")
    elif isinstance(codec, Ids):
        known = out.constant(f"codec_{row.field.name}", codec)
        out.add(f"found += {known}.read(v) or ()")
    else:
        one = replace(row.field, many=False)
        compile_read.usual(codec, one, out)
        out.add("if x is not None:", "    found.append(x)")
        out.add("x = None")
