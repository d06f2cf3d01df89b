"""The generated function that reads one block of a mapping from a resource of the usual shape,
which was recognised already: all that `decode.py` and `reader.py` do then.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any

from fhirbridge.fhir import definitions
from fhirbridge.mapping import compile_list, compile_read, compile_source, fit
from fhirbridge.mapping.codecs import (
    Boolean,
    Codings,
    Date,
    Ids,
    Number,
    NumberWord,
    Quantity,
    Text,
    There,
    YesNo,
)
from fhirbridge.mapping.coded import Code, Grade, OneCoding
from fhirbridge.mapping.compile_place import Unclear
from fhirbridge.mapping.compile_reach import MOST, NOTHING, Reach, Spot, Steps
from fhirbridge.mapping.compile_source import Source, identifier
from fhirbridge.mapping.crosswalk import Crosswalk
from fhirbridge.mapping.read_row import Trace, read_row
from fhirbridge.mapping.spec import Block, FormMapping, Gate, Reading, Row
from fhirbridge.study.checks import totals
from fhirbridge.study.fields import NUMBERS
from fhirbridge.study.forms import DAY
from fhirbridge.study.values import Absent, Identifier, is_date

HELPERS: Mapping[str, Any] = MappingProxyType(
    {
        "NOTHING": NOTHING,
        "NONE": [],
        "ONE_NOTHING": [NOTHING],
        "ODD": compile_read.ODD,
        "Decimal": Decimal,
        "Absent": Absent,
        "is_date": is_date,
        "is_day": lru_cache(maxsize=4096)(partial(is_date, time=True)),  # the days of a study recur
        "is_absent": compile_read.is_absent,
        "coding_of": compile_read.coding_of,
        "read_row": read_row,
        "totals": totals,
        "identifier": compile_source.quick(Identifier),
    }
)
_LISTED = (Ids, Codings)
_SURE = (Text, Date, Number, NumberWord, Quantity, Boolean, YesNo, There)
_CODED = (Code, Grade, OneCoding)


def write(mapping: FormMapping, block: Block, made: Source) -> str | None:
    """Adds `def name(r, source, refer)` and tells its name; None where it never could say
    anything. The caller binds `source_key`, `Decoded` and its `Twin`."""
    name = f"read_{identifier(block.name)}"
    lacking = set(mapping.form.key) - {row.field.name for row in block.rows}
    if lacking or (mapping.patient is not None and len(mapping.patient.steps) > 1):
        return None
    own = Source(names=made.names, constants=made.constants, indent=1)
    try:
        _Body(mapping, block, own).write()
    except Unclear:
        return None
    made.add(f"def {name}(r, source, refer):")
    made.lines += own.lines
    return name


class _Body:
    def __init__(self, mapping: FormMapping, block: Block, source: Source) -> None:
        self.mapping, self.block, self.source = mapping, block, source
        self.reach = Reach(source, mapping.resource)
        self.walks = _walks(mapping, block)
        self.ways = [r.path.steps[:1] for row in block.rows for r in row.readings]
        coded = [r for row in block.rows for r in row.readings if isinstance(r.codec, Code | Grade)]
        self.places = [r.path.steps for r in coded if not definitions.primitive(r.path.type)]

    def write(self) -> None:
        for gate in (self.mapping.gate, self.mapping.where):
            if gate is not None:
                self._gate(gate, refused="not in", codes=gate.passes)
        if self.mapping.where is not None:
            self._answered(self.mapping.where)
        if self.mapping.besides is not None:
            self._unsaid(self.mapping.besides)
        if self.mapping.review is not None:
            self._gate(self.mapping.review, refused="in", codes=self.mapping.review.holds)
        values = Source(names=self.source.names, constants=self.source.constants, indent=1)
        values.add("fields = {}", "traces = {}")
        for row in self.block.rows:
            self._row(row, values)
        self.source.lines += values.lines
        self._rest()

    def _gate(self, gate: Gate, *, refused: str, codes: frozenset[str]) -> None:
        """Refuses where one of the status's codes is, or is not, among those."""
        steps = gate.path.steps
        known = self.source.constant(f"codes_{gate.path.text}_{refused}", codes)
        last = steps[-1]
        if definitions.primitive(gate.path.type):
            above = self.reach.spot(steps[:-1])
            if last.is_list:
                raise Unclear
            self.source.add(f"s = {above.variable}.get({last.name!r})")
            self.reach.refuse_if(f"s {refused} {known} and s is not None")
            return
        spot = self.reach.spot(steps)
        with self.source.block(f"for c in {spot.variable}.get('coding', NONE):"):
            self.reach.refuse_if(f"type(c) is not dict or str(c.get('code')) {refused} {known}")

    def _answered(self, where: Gate) -> None:
        """Refuses where nothing says that the resource is meant."""
        steps = where.path.steps
        if definitions.primitive(where.path.type):
            above = self.reach.spot(steps[:-1])
            self.reach.refuse_if(f"{above.variable}.get({steps[-1].name!r}) is None")
        else:
            self.reach.refuse_if(f"not {self.reach.spot(steps).variable}.get('coding')")

    def _unsaid(self, besides: Gate) -> None:
        """Leaves to the interpreter what says anything there: few resources do."""
        path = besides.path
        first = path.steps[0].name
        known = self.source.constant(
            f"says_{identifier(path.text)}",
            lambda resource: next(path.read(resource, root=""), None) is not None,
        )
        self.reach.refuse_if(f"{first!r} in r and {known}(r)")

    def _row(self, row: Row, out: Source) -> None:
        """The field's value and trace by the first reading that has one."""
        out.add(f"# {row.field.name}")
        if row.field.many or any(isinstance(r.codec, _LISTED) for r in row.readings):
            out.add("x = None")
            self._listed(row, out)
            self._kept(row, out)
        else:
            self._readings(row, 0, out)

    def _readings(self, row: Row, number: int, out: Source) -> None:
        """By that reading and those after it. One that surely has a value, where its element is
        there, ends the search; after another, `x` says whether it is over."""
        if number == len(row.readings):
            self._missing(row, out)
        elif isinstance(row.readings[number].codec, _SURE):
            self._reading(row, number, out, keeps=True)
            with out.block("else:"):
                self._readings(row, number + 1, out)
                out.add("pass")
        else:
            out.add("x = None")
            self._reading(row, number, out, keeps=False)
            for later in range(number + 1, len(row.readings)):
                with out.block("if x is None:"):
                    self._reading(row, later, out, keeps=False)
            self._kept(row, out)

    def _kept(self, row: Row, out: Source) -> None:
        name = row.field.name
        with out.block("if x is not None:"):
            out.add(f"fields[{name!r}] = x", f"traces[{name!r}] = t")
        with out.block("else:"):
            self._missing(row, out)
            out.add("pass")

    def _listed(self, row: Row, out: Source) -> None:
        """A field of several values, which stand in the items of one list."""
        try:
            if len(row.readings) > 1:
                raise Unclear
            tried = Source(names=out.names, constants=out.constants, indent=out.indent)
            compile_list.write(row, self.reach, tried)
            out.lines += tried.lines
        except Unclear:
            self._as_interpreted(row, out)

    def _as_interpreted(self, row: Row, out: Source) -> None:
        """A list is read by the interpreter, where its elements are there at all."""
        tops = [reading.path.steps[0].name for reading in row.readings]
        there = " or ".join(f"{name!r} in r or '_{name}' in r" for name in tops)
        known = out.constant(f"row_{row.field.name}", row)
        fits = out.constant(f"fits_{row.field.name}", row.field.fits)
        with out.block(f"if {there}:"):
            out.add(f"told, issues = read_row({known}, r, {self.mapping.resource!r}, refer)")
            out.add("if issues:", "    return None")
            with out.block("if told is not None:"):
                out.add("x, t = told")
                out.add(f"if type(x) is Absent or not {fits}(x):", "    return None")

    def _reading(self, row: Row, number: int, out: Source, *, keeps: bool) -> None:
        """`x` and its trace `t`; with `keeps` they are the field's."""
        reading = row.readings[number]
        steps = reading.path.steps
        borrowed = self.walks if number in row.borrowed else None
        if self.places.count(steps) > 1 or steps[-1].is_list:
            spot = self._element(steps, reading, out)
            found, shadow = "v is not NOTHING", ""
        else:
            above, name = self._above(steps[:-1], number, out), steps[-1].name
            out.add(f"v = {above.variable}.get({name!r})")
            spot = Spot("v", f"{above.expression}.{name}", above.indexes)
            found, shadow = "v is not None", f"elif '_{name}' in {above.variable}:"
        with out.block(f"if {found}:"):
            key = ""
            if isinstance(reading.codec, _CODED):
                key = self.reach.key(steps) if self.places.count(steps) > 1 else ""
            elif not definitions.primitive(reading.path.type):
                with out.block("if type(v) is dict and 'extension' in v and is_absent(v):"):
                    out.add("return None")
            compile_read.usual(reading.codec, row.field, out, borrowed=borrowed, key=key)
            trace = self._trace(row, number, reading, spot, out)
            if keeps:
                name = repr(row.field.name)
                out.add(f"fields[{name}] = x", f"traces[{name}] = {trace}")
            else:
                out.add(f"t = {trace}")
        if shadow:
            out.add(shadow, "    return None")

    def _above(self, steps: Steps, number: int, out: Source) -> Spot:
        """The object that holds the value: taken only when it is asked, where this reading alone
        asks and another comes before it."""
        if number == 0 or len(steps) != 1 or steps[0].selector or self.ways.count(steps) != 1:
            return self.reach.spot(steps)
        return Reach(out, self.reach.root, spots={(): Spot("r", self.reach.root)}).spot(steps)

    def _element(self, steps: Steps, reading: Reading, out: Source) -> Spot:
        """An object that is taken before: the only item of a list, or what several rows read."""
        if definitions.primitive(reading.path.type):
            raise Unclear
        spot = self.reach.spot(steps)
        out.add(f"v = {spot.variable}")
        return spot

    def _trace(self, row: Row, number: int, reading: Reading, spot: Spot, out: Source) -> str:
        """The trace, made before: by place in a list, for each place that is looked at."""
        made = _traces(reading, spot.expression, len(spot.indexes))
        name = out.constant(f"trace_{row.field.name}_{number}", made)
        return name + "".join(f"[{index}]" for index in spot.indexes)

    def _missing(self, row: Row, out: Source) -> None:
        """What there is to do without a value."""
        name = row.field.name
        if row.from_source:
            origin = Trace(self.mapping.resource, "derived from the source resource", review=False)
            fits = out.constant(f"fits_{name}", row.field.fits)
            out.add(f"x = fields[{name!r}] = source_key(source)")
            out.add(f"traces[{name!r}] = {out.constant('origin', origin)}")
            out.add(f"if not {fits}(x):", "    return None")
        elif name in self.mapping.form.key or name == self.block.main:
            out.add("return None")
        elif row.absent is not None:
            *way, last = row.absent.path.steps
            beside = self.reach.spot(tuple(way)).variable
            out.add(f"if {last.name!r} in {beside} or '_{last.name}' in {beside}:")
            out.add("    return None")

    def _rest(self) -> None:
        """Totals, key and patient, and what is made of it all."""
        form, block = self.mapping.form, self.block
        sums = [f.name for f in form.totals if any(r.field.name == f.name for r in block.rows)]
        if sums:
            known = self.source.constant(f"form_{form.name}", form)
            there = " or ".join(f"{name!r} in fields" for name in sums)
            self.reach.refuse_if(f"({there}) and totals({known}, fields)")
        key = "''"
        if len(form.key) == 1:
            key = f"fields[{form.key[0]!r}]"
            if form.key[0] in form.daily:
                key = f"{key}[:{DAY}]"
            if form.fields[form.key[0]].type in NUMBERS:
                key = f"str({key})"
        elif form.key:
            key = f"{self.source.constant(f'key_of_{form.name}', form.key_of)}(fields)"
        patient = "None"
        if self.mapping.patient is not None:
            patient = "p"
            self.source.add(f"p = r.get({self.mapping.patient.steps[0].name!r})")
            self.reach.refuse_if("p is not None and type(p) is not dict")
        self.source.add("made = Twin()", "made.fate = 'record'", "made.issues = ()")
        self.source.add(f"made.form = {form.name!r}", f"made.key = {key}")
        self.source.add(f"made.block = {block.name!r}", "made.fields = fields")
        self.source.add("made.traces = traces", f"made.patient = {patient}")
        self.source.add(f"made.nulls = {self.source.constant('no_nulls', frozenset())}")
        self.source.add("made.__class__ = Decoded", "return made")


def _walks(mapping: FormMapping, block: Block) -> tuple[Crosswalk, ...]:
    """Those by which the block's elements and its recogniser are read."""
    own = mapping.recogniser
    codecs = [reading.codec for row in block.rows for reading in row.readings]
    walks = [own.codec.crosswalk] if own is not None else []
    walks += [walk for codec in codecs if (walk := fit.walk_of(codec)) is not None]
    return tuple({id(walk): walk for walk in walks}.values())


def _traces(reading: Reading, expression: str, indexes: int) -> Any:
    if not indexes:
        return Trace(expression, reading.rule, reading.review)
    return tuple(
        _traces(reading, expression.replace("{}", str(n), 1), indexes - 1) for n in range(MOST)
    )
