"""Loads a set of mapping files: every fault of every file in one go, each with file and line.

Takes texts, not folders; whoever calls has read them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from fhirbridge import lined_yaml
from fhirbridge.mapping import crosswalk, read_shapes
from fhirbridge.mapping.read_file import FileReader
from fhirbridge.mapping.spec import FormMapping, MappingSet
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.study import definition
from fhirbridge.study.definition import Study, near

_NOT_FORMS = ("study.yaml", "names.yaml")
_READ = re.compile(
    r"[^/]+\.yaml|crosswalks/[^/]+\.csv|sites/[^/]+/(?!systems\.csv)[^/]+\.csv"
    r"|hl7v2/([^/]+\.yaml|coding-systems\.csv)|sites/[^/]+/hl7v2\.yaml"
)
# What a site says of its own files: read by who reads those, and counted in the version.
_TABLES = re.compile(r"sites/([^/]+)/((?:columns|redcap)[^/]*|absence)\.csv")
_WHERE = "put a .yaml beside study.yaml, a crosswalk into crosswalks/ or sites/<site>/"


def load(files: Mapping[str, str], *, site: str = "") -> MappingSet:
    """The mappings of a study for one site.

    `files` maps a name inside the mappings folder to its text: `study.yaml`, `names.yaml`, one
    `<form>.yaml` a form, `crosswalks/*.csv`, and the site's own `sites/<site>/*.csv`.
    Raises `BridgeError` (configuration) with all faults.
    """
    faults = [
        Issue("configuration", "the file stands where nothing is read", _WHERE, place=name)
        for name in sorted(files)
        if not _READ.fullmatch(name)
    ]
    walks = _crosswalks(files, site, faults)
    try:
        study = definition.load(files["study.yaml"])
    except BridgeError as fault:  # what the other files say cannot be judged without it
        raise BridgeError(*fault.issues, *faults) from fault
    names = _names(files, study, faults)
    documents = _documents(files, faults)
    carriers = _carriers(documents)
    made: dict[str, FormMapping] = {}
    for document in documents:
        mapping = FileReader(document, study, names, walks, carriers, faults).mapping()
        if mapping is not None and mapping.name in made:
            cause = f"another file is called {mapping.name}"
            remedy = "give one of them a 'name' of its own"
            faults.append(Issue("configuration", cause, remedy, place=document.place(("form",))))
        elif mapping is not None:
            made[mapping.name] = mapping
    shapes = read_shapes.read(files, site, names, walks, faults)
    faults += _places(study, made, files["study.yaml"]) if not faults else []
    if faults:
        raise BridgeError(*dict.fromkeys(faults))  # two rows may tell the same of one crosswalk
    return MappingSet(
        study,
        site,
        MappingProxyType(_covering(made)),
        names,
        _version(files, site),
        _tables(files, site),
        walks,
        shapes,
    )


def _tables(files: Mapping[str, str], site: str) -> Mapping[str, str]:
    """The site's files that are no crosswalks, by their names without folder and ending."""
    found = {path: _TABLES.fullmatch(path) for path in files}
    made = {told[2]: files[path] for path, told in found.items() if told and told[1] == site}
    return MappingProxyType(made)


def _documents(files: Mapping[str, str], faults: list[Issue]) -> list[lined_yaml.Document]:
    made = []
    for name, text in sorted(files.items()):
        if "/" in name or not name.endswith(".yaml") or name in _NOT_FORMS:
            continue
        try:
            made.append(lined_yaml.load(text, name=name))
        except BridgeError as fault:
            faults += fault.issues
    return made


def _carriers(documents: list[lined_yaml.Document]) -> dict[str, str]:
    """The resource type that carries each form's records, for the references to them."""
    made = {}
    for document in documents:
        given = document.content if isinstance(document.content, dict) else {}
        form = str(given.get("form", ""))
        if form and given.get("name", form) == form:
            made[form] = str(given.get("resource"))
    return made


def _covering(made: dict[str, FormMapping]) -> dict[str, FormMapping]:
    """Each recogniser knows the systems of the others of its resource type: a code that none of
    them lists is nobody's."""
    covered: dict[str, frozenset[str]] = {}
    for mapping in made.values():
        if mapping.recogniser is not None:
            own = mapping.recogniser.codec.crosswalk.covered
            covered[mapping.resource] = covered.get(mapping.resource, frozenset()) | own
    wider = {}
    for name, mapping in made.items():
        recogniser = mapping.recogniser
        if recogniser is not None:
            walk = replace(recogniser.codec.crosswalk, covered=covered[mapping.resource])
            codec = replace(recogniser.codec, crosswalk=walk)
            mapping = replace(mapping, recogniser=replace(recogniser, codec=codec))
        wider[name] = mapping
    return wider


def _version(files: Mapping[str, str], site: str) -> str:
    digest = hashlib.sha256()
    for name, text in sorted(files.items()):
        if not name.startswith("sites/") or name.startswith(f"sites/{site}/"):
            digest.update(f"{name}\n{text}\n".encode())
    return digest.hexdigest()[:12]


def _names(files: Mapping[str, str], study: Study, faults: list[Issue]) -> Mapping[str, str]:
    try:
        document = lined_yaml.load(files.get("names.yaml", "{}"), name="names.yaml")
    except BridgeError as fault:
        faults += fault.issues
        return MappingProxyType({})
    given = document.content if isinstance(document.content, dict) else {"": None}
    for name, url in given.items():
        if not isinstance(url, str):
            place = document.place((name,))
            faults.append(Issue("configuration", "a name needs a URL", "write one", place=place))
    return MappingProxyType(
        {name: str(url).replace("{canonical}", study.canonical) for name, url in given.items()}
    )


def _crosswalks(
    files: Mapping[str, str], site: str, faults: list[Issue]
) -> Mapping[str, crosswalk.Crosswalk]:
    systems, wrong = crosswalk.read_systems(
        files.get("crosswalks/systems.csv", "alias,system,form\n"), name="crosswalks/systems.csv"
    )
    faults += wrong
    lines: dict[str, list[crosswalk.Line]] = {}
    site_lines: dict[str, list[crosswalk.Line]] = {}
    for path, text in sorted(files.items()):
        folder, _, name = path.rpartition("/")
        if name == "systems.csv" or not name.endswith(".csv") or _TABLES.fullmatch(path):
            continue
        if folder not in ("crosswalks", f"sites/{site}"):
            continue
        read, wrong = crosswalk.read_lines(text, name=path, systems=systems)
        faults += wrong
        (lines if folder == "crosswalks" else site_lines)[name.removesuffix(".csv")] = read
    for name in site_lines.keys() - lines.keys():
        faults.append(
            Issue(
                "configuration",
                f"the study has no crosswalk '{name}'",
                near(name, lines),
                place=f"sites/{site}/{name}.csv:1",
            )
        )
    made = {}
    for name, own in lines.items():
        made[name], wrong = crosswalk.build(name, own, site_lines.get(name, ()), systems)
        faults += wrong
    return made


def _places(study: Study, made: Mapping[str, FormMapping], text: str) -> Iterator[Issue]:
    """Each field is written by one row, but for the keys, which stand in every resource."""
    document = lined_yaml.load(text, name="study.yaml")
    for form in study.forms.values():
        writing = [m for m in made.values() if m.form.name == form.name and not m.reads_only]
        files: dict[str, list[str]] = {name: [] for name in form.fields}
        for mapping in writing:
            rows = [row for block in mapping.blocks for row in block.rows if not row.reads_only]
            for name in {row.field.name for row in rows}:
                files[name].append(mapping.name)
        for name, names in files.items():
            place = document.place(("forms", form.name, "fields", name))
            if not names:
                cause = f"no row maps the field {form.name}.{name}"
                remedy = f"add a row to {form.name}.yaml"
                yield Issue("configuration", cause, remedy, place=place)
            elif len(names) > 1 and name not in form.key:
                cause = f"{form.name}.{name} is written by {' and '.join(names)}"
                remedy = "say 'read only: true' of the row in one of them"
                yield Issue("configuration", cause, remedy, place=place)
