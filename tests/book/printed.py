"""The book of this repository's mapping, made once, and of edited copies of its files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from fhirbridge.book import artefacts, contents, page
from fhirbridge.book.contents import Contents
from fhirbridge.mapping import load
from tests.mapping.files import TEXTS, mappings

ON = "2026-11-22"


@cache
def told() -> Contents:
    return contents.gather(mappings(), TEXTS)


@cache
def made() -> Mapping[str, dict[str, Any]]:
    return artefacts.artefacts(told())


@cache
def html() -> str:
    return page.page(told(), on=ON)


def of(texts: Mapping[str, str], *, site: str = "") -> Contents:
    return contents.gather(load.load(texts, site=site), texts)
