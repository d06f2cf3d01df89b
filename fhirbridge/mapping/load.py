"""Loads a set of mapping files: every fault of every file in one go, each with file and line.

Takes texts, not folders; whoever calls has read them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from fhirbridge import lined_yaml
from fhirbridge.mapping import crosswalk
from fhirbridge.mapping.read_file import FileReader
from fhirbridge.mapping.spec import FormMapping, MappingSet
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.study import definition
from fhirbridge.study.definition import Study, near

_NOT_FORMS = ("study.yaml", "names.yaml")


def load(files: Mapping[str, str], *, site: str = "") -> MappingSet:
    """The mappings of a study for one site.

    `files` maps a name inside the mappings folder to its text: `study.yaml`, `names.yaml`, one
    `<form>.yaml` a form, `crosswalks/*.csv`, and the site's own `sites/<site>/*.csv`.
    Raises `BridgeError` (configuration) with all faults.
    """
    faults: list[Issue] = []
    walks = _crosswalks(files, site, faults)
    try:
        study = definition.load(files["study.yaml"])
    except BridgeError as fault:  # what the other files say cannot be judged without it
        raise BridgeError(*fault.issues, *faults) from fault
    names = _names(files, study, faults)
    forms: dict[str, FormMapping] = {}
    for name, text in sorted(files.items()):
        if "/" in name or not name.endswith(".yaml") or name in _NOT_FORMS:
            continue
        try:
            document = lined_yaml.load(text, name=name)
        except BridgeError as fault:
            faults += fault.issues
            continue
        made = FileReader(document, study, names, walks, faults).mapping()
        if made is not None and made.form.name in forms:
            cause, remedy = f"another file maps the form {made.form.name}", "keep one of them"
            faults.append(Issue("configuration", cause, remedy, place=document.place(("form",))))
        elif made is not None:
            forms[made.form.name] = made
    faults += _unmapped(study, forms, files["study.yaml"]) if not faults else []
    if faults:
        raise BridgeError(*dict.fromkeys(faults))  # two rows may tell the same of one crosswalk
    return MappingSet(study, site, MappingProxyType(forms), names, _version(files, site))


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
        if name == "systems.csv" or not name.endswith(".csv"):
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


def _unmapped(study: Study, forms: Mapping[str, FormMapping], text: str) -> Iterator[Issue]:
    missing = [
        (form.name, name)
        for form in study.forms.values()
        for name in sorted(form.fields.keys() - _mapped(forms.get(form.name)))
    ]
    if missing:
        document = lined_yaml.load(text, name="study.yaml")
        for form_name, name in missing:
            cause = f"no row maps the field {form_name}.{name}"
            place = document.place(("forms", form_name, "fields", name))
            remedy = f"add a row to {form_name}.yaml"
            yield Issue("configuration", cause, remedy, place=place)


def _mapped(mapping: FormMapping | None) -> set[str]:
    blocks = mapping.blocks if mapping else ()
    return {row.field.name for block in blocks for row in block.rows}
