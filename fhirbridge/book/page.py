"""The page for people: one HTML file that needs no network and no script."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from fhirbridge.book import in_words, naming
from fhirbridge.book.contents import Contents
from fhirbridge.book.form_entry import form_entry
from fhirbridge.book.walk_entry import walk_entries
from fhirbridge.study.definition import ABSENT_REASONS

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "unknown": "nobody knows it",
        "not-asked": "nobody asked",
        "asked-declined": "asked, and no answer was given",
        "masked": "known, and not told here",
        "not-applicable": "does not apply",
        "not-performed": "was not done",
        "error": "went wrong",
    }
)


def page(contents: Contents, *, on: str) -> str:
    """`on` is the date that the page bears."""
    study = contents.mappings.study
    forms = [form_entry(contents, form) for form in study.forms.values()]
    walks = list(walk_entries(contents))
    template = _environment().get_template("page.html")
    return template.render(
        study=study,
        mappings=contents.mappings,
        on=on,
        forms=forms,
        walks=walks,
        fields=sum(len(entry.fields) for entry in forms),
        lines=sum(walk.count for walk in walks),
        reasons=[(reason, REASONS.get(reason, reason)) for reason in ABSENT_REASONS],
    )


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("fhirbridge.book", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters: dict[str, Any] = {
        "anchor": naming.id_of,
        "short": lambda url: url.rstrip("/").rpartition("/")[2],
        "listed": in_words.listed,
    }
    made.filters.update(filters)
    return made
