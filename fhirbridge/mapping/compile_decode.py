"""Generated Python that reads the usual resources of a type: what `decode.py` does with every
mapping of the type, for a resource that one of them or several surely know.

It says the same as the interpreter, or None: look closer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha1
from typing import Any, TypeVar

import msgspec

from fhirbridge.mapping import compile_block
from fhirbridge.mapping.compile_source import Source, twin
from fhirbridge.mapping.crosswalk import Line, Systems
from fhirbridge.mapping.derived import VARIANT, space
from fhirbridge.mapping.referring import Refer
from fhirbridge.mapping.spec import FormMapping, Inside, MappingSet
from fhirbridge.mapping.within import items, recognised

T = TypeVar("T")
ReadBlock = Callable[[Mapping[str, Any], str, Refer], T | None]
ReadType = Callable[[Mapping[str, Any], str, Refer, bool], list[T] | None]
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Known:
    """What a code says: the blocks that read its resource, and the lines by which they know it.
    `alone`: only the resource's other codes could tell more of it."""

    reads: tuple[ReadBlock[Any], ...]
    lines: tuple[Line, ...]
    alone: bool

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(line.target for line in self.lines)

    def shown_as(self, display: str) -> bool:
        return all(line.display == display for line in self.lines)


def source(mappings: MappingSet, resource_type: str) -> tuple[Source, dict[str, str]]:
    """A function for each block of the type, and their names by block."""
    made, names = Source(constants=dict(compile_block.HELPERS)), {}
    made.constants["source_key"] = _source_key(mappings)
    for mapping in mappings.of_resource(resource_type):
        for block in mapping.blocks:
            name = compile_block.write(mapping, block, made)
            if name is not None:
                names[block.name] = name
    return made, names


def _source_key(mappings: MappingSet) -> Callable[[str], str]:
    """`mappings.source_key`, with its name space made once."""
    before = space(mappings.study.canonical) + b"source\n"

    def made(source: str) -> str:
        h = sha1(before + source.encode()).hexdigest()
        return f"{h[:8]}-{h[8:12]}-5{h[13:16]}-{VARIANT[h[16]]}{h[17:20]}-{h[20:32]}"

    return made


def program(mappings: MappingSet, resource_type: str, decoded: type[T]) -> ReadType[T] | None:
    """Reads the resources of a type; None where nothing is generated for it."""
    made, names = source(mappings, resource_type)
    made.constants.update(Decoded=decoded, Twin=twin(decoded))
    linked = made.linked(f"decode {resource_type}")
    functions = {block: linked[name] for block, name in names.items()}
    candidates = mappings.of_resource(resource_type)
    whole = Source(constants=dict(compile_block.HELPERS))
    whole.constants["encode"] = msgspec.msgpack.Encoder().encode
    forms = mappings.study.forms.values()
    whole.constants["keys"] = {form.name: frozenset(form.key) for form in forms}
    with whole.block("def read(r, source, refer, unmodified=False):"):
        if len(candidates) == 1 and candidates[0].recogniser is None:
            only = functions.get(candidates[0].blocks[0].name)
            if only is None:
                return None
            whole.constants["reads"] = (only,)
        elif not candidates or not _recognise(candidates, functions, whole):
            return None
        _read(list(mappings.inside_of(resource_type)), whole)
    read: ReadType[T] = whole.linked(f"decode any {resource_type}")["read"]
    return read


def _read(within: list[tuple[FormMapping, Inside]], whole: Source) -> None:
    """The functions of those that know the resource, where nothing turns its meaning round and
    nothing inside it is a fact of its own."""
    whole.add("first = reads[0](r, source, refer)", "if first is None:", "    return None")
    whole.add("made = [first]")
    with whole.block("if len(reads) > 1:"):
        whole.add("made += [one(r, source, refer) for one in reads[1:]]")
        whole.add("if None in made:", "    return None")
    for number, (mapping, inside) in enumerate(within):
        whole.constants[f"outside{number}"] = _outside(mapping, inside)
        unread = "all(told.fields.keys() <= keys[told.form] for told in made)"
        with whole.block(f"if {inside.items!r} in r and (not outside{number}(r) or {unread}):"):
            whole.add("return None")
    # All that is in it, at the speed of C: a walk in Python takes three times as long.
    # Most resources have no E, and one letter is found in no time.
    with whole.block("if not unmodified:"):
        whole.add("told = encode(r)")
        whole.add(f"if {ord('E')} in told and b'modifierExtension' in told:", "    return None")
    whole.add("return made")


# -- which blocks know a resource


def _recognise(
    candidates: tuple[FormMapping, ...], functions: Mapping[str, ReadBlock[Any]], whole: Source
) -> bool:
    """Which functions read a resource, by the codes at the one place where all mappings of its
    type look; False where they look at several, or where it is no usual one."""
    codecs = [m.recogniser.codec for m in candidates if m.recogniser]
    paths = {m.recogniser.path.steps if m.recogniser else () for m in candidates}
    steps = paths.pop()
    if paths or not steps or any(s.selector for s in steps) or any(s.is_list for s in steps[:-1]):
        return False
    codes = _Codes(candidates, functions)
    whole.constants.update(usual=codes.usual, of_several=codes.of_several)
    for number, step in enumerate(steps):
        whole.add(f"held = {'held' if number else 'r'}.get({step.name!r})")
        if number < len(steps) - 1:
            whole.add("if type(held) is not dict:", "    return None")
    if codecs[0].bare:
        whole.add(f"reads = usual.get(({codecs[0].system!r}, held, None), ())")
        whole.add("if not reads:", "    return None")
        return len(codecs) == 1
    if steps[-1].is_list:
        whole.add("held = held[0] if type(held) is list and held else None")
    whole.add("if type(held) is not dict or 'code' in held:", "    return None")
    whole.add("codings = held.get('coding')")
    whole.add("if type(codings) is not list:", "    return None")
    whole.add("reads = None")
    with whole.block("if len(codings) == 1 and type(codings[0]) is dict:"):
        whole.add("c = codings[0]")
        whole.add("reads = usual.get((c.get('system'), c.get('code'), c.get('display')))")
    with whole.block("if not reads:"):
        whole.add("reads = of_several(codings)", "if not reads:", "    return None")
    return True


class _Codes:
    """What each code says. `usual` is by system, code and display as they are usually sent, `known`
    by the pair that is compared; `parts` are codes that mean another thing together."""

    __slots__ = ("known", "parts", "systems", "usual")

    def __init__(
        self, candidates: tuple[FormMapping, ...], functions: Mapping[str, ReadBlock[Any]]
    ) -> None:
        walks = [m.recogniser.codec.crosswalk for m in candidates if m.recogniser]
        self.systems: Systems = walks[0].systems
        self.parts = {pair for walk in walks for parts in walk.combined for pair in parts}
        self.known: dict[Pair, Known] = {}
        self.usual: dict[tuple[Any, Any, Any], tuple[ReadBlock[Any], ...]] = {}
        for key in {key for walk in walks for key in walk.forward}:
            lines = [walk.forward[key] for walk in walks if key in walk.forward]
            known = self.known[key] = _known(candidates, key, functions)
            displays = (
                [known.lines[0].display] if len({x.display for x in known.lines}) == 1 else []
            )
            for pair in {key, *((line.system, line.code) for line in lines)}:
                if self.systems.normal(*pair) == key:
                    self.usual |= {(*pair, shown): known.reads for shown in (None, *displays)}

    def of_several(self, codings: list[Any]) -> tuple[ReadBlock[Any], ...] | None:
        """Those that know one of the codings, where the others say nothing, or the same."""
        first: Known | None = None
        for coding in codings:
            if type(coding) is not dict:
                return None
            system, code = coding.get("system"), coding.get("code")
            if type(system) is not str or type(code) is not str or not code:
                return None
            pair = self.systems.normal(system, code)
            known = self.known.get(pair)
            if pair in self.parts:
                return None
            if known is None:
                continue
            shown = "display" not in coding or known.shown_as(coding["display"])
            if not shown or not known.alone:
                return None
            if first is None:
                first = known
            elif (first.reads, first.words) != (known.reads, known.words):
                return None  # a block may take any word, and its codes say several
        return None if first is None else first.reads


def _known(
    candidates: tuple[FormMapping, ...], key: Pair, functions: Mapping[str, ReadBlock[Any]]
) -> Known:
    reads: list[ReadBlock[Any]] = []
    lines: list[Line] = []
    alone = True
    for mapping in candidates:
        assert mapping.recogniser is not None
        line = mapping.recogniser.codec.crosswalk.forward.get(key)
        if line is None:
            continue
        block = mapping.block_of(line.target) if line.reads else None
        alone = alone and block is not None
        if block is None:
            continue
        read = functions.get(block.name)
        if read is None or line.relationship == "deprecated":
            return Known((), (), alone=False)
        reads.append(read)
        lines.append(line)
    return Known(tuple(reads), tuple(lines), alone=alone)


# -- what stands inside


def _outside(mapping: FormMapping, inside: Inside) -> Callable[[Mapping[str, Any]], bool]:
    """Whether no item of the resource is a fact of its own, or complains that it may be one."""
    assert mapping.recogniser is not None
    walk = mapping.recogniser.codec.crosswalk

    def foreign(item: Mapping[str, Any]) -> bool:
        """Surely nobody's: one coding in a system as it is usually sent, that is not listed."""
        held = item.get(inside.code)
        codings = held.get("coding") if type(held) is dict and "code" not in held else None
        if type(codings) is not list or len(codings) != 1 or type(codings[0]) is not dict:
            return False
        system, code = codings[0].get("system"), codings[0].get("code")
        return type(system) is str and type(code) is str and walk.find(system, code) is None

    def outside(resource: Mapping[str, Any]) -> bool:
        return all(
            foreign(item) or recognised(mapping, inside, item, resource, at) == (None, None)
            for item, at in items(resource, inside.items, "")
        )

    return outside
