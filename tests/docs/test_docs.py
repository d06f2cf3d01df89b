"""The documents name what the code has, and nothing of the machine that they were written on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import click
import pytest

from fhirbridge import crash, options, outcome, settings
from fhirbridge.app import create_app
from fhirbridge.cli import commands
from fhirbridge.fhir.search_parameters import PARAMETERS
from fhirbridge.mapping import codecs, crosswalk, parts, shape
from fhirbridge.registry import deliveries
from fhirbridge.servers.auth import KINDS
from fhirbridge.study import definition
from fhirbridge.sync import deliver, ingest
from fhirbridge.web import logs

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
TEXTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
DOCUMENTS = [*TEXTS, ROOT / "NOTICE"]

# Hosts that a document may name: examples, ourselves, and the owners of standards and terms.
HOSTS = {
    "127.0.0.1", "fhirbridge.example.org", "hospital.example.org", "hl7.org", "loinc.org",
    "ucum.org", "keepachangelog.com", "semver.org",
}  # fmt: skip
ROUTES = (
    "/connections",
    "/fhir",
    "/receipts",
    "/healthz",
    "/readyz",
    "/metrics",
    "/oauth/token",
    "/api/v1",
)
_ABSOLUTE = re.compile(r"(?<![\w.:/})>*~$\"-])/[a-z][\w./{}-]*", re.IGNORECASE)
_URL = re.compile(r"\bhttps?://[^\s`'\"<>)|,]+")
_LINK = re.compile(r"\[[^\]\[]*\]\(([^)\s]+)\)")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def reference(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def section(document: str, heading: str) -> str:
    """What stands below the heading, down to the next heading of any level."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", document, re.M | re.S)
    assert found, f"no heading '{heading}'"
    return found[1]


def first_cells(document: str) -> set[str]:
    """Every word in backticks of the first cells of tables."""
    rows = re.findall(r"^\| ([^|]*) \|", document, re.M)
    return {word for row in rows for word in re.findall(r"`([^`]+)`", row)}


def leaves(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from leaves(below, (*path, name))
    else:
        yield " ".join(path), command


LEAVES = dict(leaves(commands))


def test_the_settings_page_is_the_settings_reference() -> None:
    assert reference("settings.md") == settings.reference()


def test_the_options_page_is_the_options_reference() -> None:
    assert reference("options.md") == options.reference()


@pytest.mark.parametrize("kind", shape.SHAPES)
def test_the_words_of_a_mapping_file_are_those_in_the_reference(kind: str) -> None:
    told = first_cells(section(reference("mapping-files.md"), kind))
    assert told == {*shape.SHAPES[kind]}


def test_the_codecs_are_those_in_the_reference() -> None:
    told = first_cells(section(reference("mapping-files.md"), "Codecs"))
    assert told == {*codecs.PLAIN, *parts.FORMS_OF_CODECS}


def test_the_units_that_are_converted_are_those_in_the_reference() -> None:
    told = section(reference("mapping-files.md"), "Codecs")
    assert {*re.findall(r"`([^`]+)` to\s`([^`]+)`", told)} == {*codecs.CONVERSIONS}


def test_the_examples_of_mapping_files_stand_in_them() -> None:
    told = section(reference("mapping-files.md"), "Three shapes")
    files = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "mappings").glob("*.yaml"))
    held = {line.strip() for line in files.splitlines()}
    examples = {line.strip() for line in told.splitlines() if line.startswith("    ")}
    assert examples
    assert examples - held == set()


def test_the_words_of_the_study_definition_are_those_in_the_reference() -> None:
    told = section(reference("mapping-files.md"), "study.yaml")
    beside = {"instruments", "visits", "outcomes"}
    assert first_cells(told) == {*definition.WORDS["field"], *beside}
    named = {*re.findall(r"`([^`]+)`", told)}
    assert named >= {*definition.TYPES, *definition.ABSENT_REASONS}
    assert {*definition.WORDS["study"], *definition.WORDS["form"]} <= named


def test_every_field_of_the_study_is_in_the_reference() -> None:
    study = definition.load(text("mappings/study.yaml"))
    told = reference("study.md")
    for form in study.forms.values():
        rows = section(told, f"{form.name}: {form.title}")
        assert first_cells(rows) == {*form.fields}
        for field in form.fields.values():
            row = next(line for line in rows.splitlines() if line.startswith(f"| `{field.name}` |"))
            assert field.meaning.rstrip(".") in row
            assert [c for c in field.choices if f"`{c}`" not in row] == []
            assert ("Required" in row) == field.required
            assert ("Takes no reason of absence" in row) == (not field.absent)


def test_the_relationships_are_told_as_the_code_tells_them() -> None:
    told = section(reference("crosswalks.md"), "Relationships")
    rows = re.findall(r"^\| `([^`]+)` \| (.*) \|$", told, re.M)
    assert dict(rows) == dict(crosswalk.RELATIONSHIPS)


def test_the_columns_and_files_of_crosswalks_are_those_in_the_reference() -> None:
    told = reference("crosswalks.md")
    assert {*crosswalk.COLUMNS} <= first_cells(told)
    files = {path.stem for path in (ROOT / "mappings" / "crosswalks").glob("*.csv")}
    assert first_cells(section(told, "The study's crosswalks")) == files - {"systems"}


def test_the_fates_are_those_in_the_reference() -> None:
    assert first_cells(section(reference("receipts.md"), "Fates")) == {*ingest.FATES}


def test_the_ends_of_a_delivery_are_in_the_reference() -> None:
    assert [s for s in deliver.STATES if f"`{s}`" not in reference("commands.md")] == []
    told = first_cells(section(reference("deliver.md"), "What becomes of each"))
    assert told == {*deliver.STATES, *get_args(deliveries.Cause)}


def test_the_categories_answer_as_the_reference_says() -> None:
    told = section(reference("receipts.md"), "Categories of issues")
    rows = re.findall(r"^\| `([^`]+)` \| (\d+) \| `([^`]+)` \|", told, re.M)
    has = {name: (str(p.status), p.code) for name, p in outcome.POLICIES.items()}
    assert {name: (status, code) for name, status, code in rows} == has


def test_the_routes_of_the_api_are_those_in_the_reference(tmp_path: Path) -> None:
    app = create_app(settings.Settings(data=tmp_path))
    wired = {
        rule.rule.replace("<", "{").replace(">", "}")
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/") and not rule.rule.endswith(".json")
    }
    app.extensions["fhirbridge"].registry.close()
    told = re.findall(r"^\| `(?:GET|POST) (/api/v1/[^`]+)` \|", reference("api.md"), re.M)
    assert {*told} == wired


def test_the_metrics_and_the_keys_of_the_log_are_those_in_the_how_to() -> None:
    told = text("docs/how-to/operate.md")
    keys = section(told, "Logs").partition("`place`")[0]
    assert {*re.findall(r"`(\w+)`", keys)} | {"place"} == {
        *logs.KEYS, "time", "level", "event",
    }  # fmt: skip
    names = {*re.findall(r'"(fhirbridge_\w+)"', text("fhirbridge/web/metrics.py"))}
    assert {name.removesuffix("_total") for name in first_cells(section(told, "Numbers"))} >= names


def test_the_search_parameters_are_those_in_the_reference() -> None:
    told = section(reference("http.md"), "Searching")
    rows = dict(re.findall(r"^\| ([A-Z]\w+) \| (.*) \|$", told, re.M))
    assert {name: {*re.findall(r"`([^`]+)`", row)} for name, row in rows.items()} == {
        name: {*parameters} for name, parameters in PARAMETERS.items()
    }


@pytest.mark.parametrize("name", LEAVES)
def test_a_command_and_its_options_are_in_the_reference(name: str) -> None:
    rows = [
        line
        for line in reference("commands.md").splitlines()
        if re.match(rf"\| `fhirbridge {name}[ `]", line)
    ]
    assert len(rows) == 1
    cells = re.split(r"(?<!\\)\|", rows[0])
    told = {*re.findall(r"`(--[a-z-]+)`", cells[2])}
    has = {opt for p in LEAVES[name].params if isinstance(p, click.Option) for opt in p.opts}
    assert told == {opt for opt in has if opt.startswith("--")}


def test_the_reference_has_no_command_that_is_gone() -> None:
    rows = re.findall(
        r"^\| `fhirbridge ([a-z0-9 ]+?)(?: [A-Z][^`]*)?`", reference("commands.md"), re.M
    )
    assert {*rows} == {*LEAVES}


def test_contributing_names_every_crash_point_and_what_its_rows_touch() -> None:
    told = text("CONTRIBUTING.md")
    assert [point for point in crash.POINTS if f"`{point}`" not in told] == []
    files = re.findall(r"`((?:fhirbridge|mappings|tests|docs)/[\w./-]*)`", told)
    assert files
    assert [name for name in files if not (ROOT / name).exists()] == []


def test_the_logins_are_named() -> None:
    row = next(x for x in reference("commands.md").splitlines() if "connection add" in x)
    assert [kind for kind in KINDS if f"`{kind}`" not in row] == []


def targets(path: Path) -> list[str]:
    return _LINK.findall(path.read_text(encoding="utf-8"))


def anchors(path: Path) -> set[str]:
    """A heading's anchor: lower case, punctuation left out, blanks as hyphens."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in headings}


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    dead = []
    for target in targets(path):
        if urlsplit(target).scheme:
            continue
        name, _, anchor = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        inside = there.is_relative_to(ROOT) and there.exists()
        if not inside or (anchor and anchor not in anchors(there)):
            dead.append(target)
    assert dead == []


def test_every_page_is_linked() -> None:
    linked = {(p.parent / t.partition("#")[0]).resolve() for p in TEXTS for t in targets(p)}
    assert [p.name for p in TEXTS if p not in linked and p.name != "README.md"] == []


def strange(content: str) -> list[str]:
    """Paths of a machine, and hosts that no document needs."""
    urls = _URL.findall(content)
    hosts = [u for u in urls if (urlsplit(u).hostname or "") not in HOSTS]
    rest = _URL.sub(" ", content)
    paths = [p for p in _ABSOLUTE.findall(rest) if not p.startswith(ROUTES)]
    return [*hosts, *paths]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_no_document_names_a_machine_or_a_registry(path: Path) -> None:
    assert strange(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "content",
    [
        "see /home/someone/data",
        "`/srv/fhirbridge`",
        "https://registry.example.net/simple",
        "(/var/x)",
    ],
)
def test_a_strange_name_is_seen(content: str) -> None:
    assert strange(content)
